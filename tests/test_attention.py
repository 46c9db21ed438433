import numpy as np
import pytest
import torch
from reference_model import additive_weights

from nmt.model.attention import AdditiveAttention, MultiplicativeAttention, make_attention

KINDS = [("multiplicative", 1), ("multiplicative", 4), ("additive", 1)]


@pytest.mark.parametrize(("kind", "heads"), KINDS)
def test_weights_sum_to_one_and_are_zero_on_padding(kind, heads):
    attention = make_attention(kind, 8, heads)
    mask_BS = torch.tensor([[True] * 5, [True, True, False, False, False]])
    _, weights_BTS = attention(
        torch.randn(2, 3, 8), attention.memory(torch.randn(2, 5, 8), mask_BS)
    )
    torch.testing.assert_close(weights_BTS.sum(-1), torch.ones(2, 3))
    assert (weights_BTS[1, :, 2:] == 0).all()


@pytest.mark.parametrize(("kind", "heads"), KINDS)
def test_what_lies_on_padding_is_never_read(kind, heads):
    attention = make_attention(kind, 8, heads)
    states_BSH, queries_BTH = torch.randn(1, 5, 8), torch.randn(1, 3, 8)
    mask_BS = torch.tensor([[True, True, True, False, False]])
    other_BSH = torch.cat([states_BSH[:, :3], 100 * torch.randn(1, 2, 8)], dim=1)
    contexts = [
        attention(queries_BTH, attention.memory(states, mask_BS))[0]
        for states in (states_BSH, other_BSH)
    ]
    torch.testing.assert_close(contexts[0], contexts[1])


def test_one_head_is_the_scaled_general_form_of_luong():
    attention = MultiplicativeAttention(8, 1)
    queries_BTH, states_BSH = torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    context_BTH, weights_BTS = attention(
        queries_BTH, attention.memory(states_BSH, torch.ones(1, 5, dtype=torch.bool))
    )
    energies_TS = torch.stack(
        [
            torch.stack([q @ attention.key.weight @ h / 8**0.5 for h in states_BSH[0]])
            for q in queries_BTH[0]
        ]
    )
    torch.testing.assert_close(weights_BTS[0], torch.softmax(energies_TS, dim=1))
    torch.testing.assert_close(context_BTH[0], weights_BTS[0] @ states_BSH[0])


def test_heads_attend_on_their_own_parts():
    torch.manual_seed(1)
    attention = MultiplicativeAttention(8, 2)
    torch.nn.init.eye_(attention.key.weight)
    queries_BTH, states_BSH = torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    mask_BS = torch.ones(1, 5, dtype=torch.bool)
    context_BTH, weights_BTS = attention(queries_BTH, attention.memory(states_BSH, mask_BS))
    single = MultiplicativeAttention(4, 1)
    torch.nn.init.eye_(single.key.weight)
    halves = [
        single(queries_BTH[..., part], single.memory(states_BSH[..., part], mask_BS))
        for part in (slice(0, 4), slice(4, 8))
    ]
    torch.testing.assert_close(context_BTH, torch.cat([context for context, _ in halves], dim=-1))
    torch.testing.assert_close(weights_BTS, (halves[0][1] + halves[1][1]) / 2)


def test_additive_attention_equals_bahdanaus_equation():
    attention = AdditiveAttention(4).double()
    queries_BTH, states_BSH = (
        torch.randn(1, 3, 4, dtype=torch.float64),
        torch.randn(1, 5, 4, dtype=torch.float64),
    )
    _, weights_BTS = attention(
        queries_BTH, attention.memory(states_BSH, torch.ones(1, 5, dtype=torch.bool))
    )
    query_W, query_b, key_W = (
        p.detach().numpy()
        for p in (attention.query.weight, attention.query.bias, attention.key.weight)
    )
    energy_v = attention.energy.weight.detach().numpy()[0]
    expected = additive_weights(
        queries_BTH[0].numpy(), states_BSH[0].numpy(), query_W, query_b, key_W, energy_v
    )
    np.testing.assert_allclose(weights_BTS[0].detach().numpy(), expected, rtol=1e-10)
