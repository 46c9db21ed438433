from itertools import product

import pytest
import torch

from nmt.data.batches import collate
from nmt.model.cells import STEPS
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig
from nmt.vocabulary import BOS, EOS

V = 20
PAIRS = [([5, 6, 7, 8, 9, 10], [11, 12, 13]), ([6], [14]), ([9, 8], [15, 16, 17, 18, 19, 5, 6, 7])]


def network(**settings) -> Seq2Seq:
    torch.manual_seed(1)
    return Seq2Seq(
        ModelConfig(embedding_size=8, hidden_size=12, **settings), V, V, shared=True
    ).eval()


def all_logits(model, pairs):
    return model.output(
        model(collate([source for source, _ in pairs], [target for _, target in pairs]))[0]
    )


FORMS = [
    {"cell": cell, "attention": attention, "input_feeding": feeding}
    for cell, attention, feeding in product(STEPS, ("multiplicative", "additive"), (False, True))
] + [
    {"decoder_layers": 1, "encoder_layers": 1},
    {"decoder_layers": 3, "heads": 3},
    {"tie_embeddings": False},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_teacher_forcing_equals_stepping(form):
    model = network(**form)
    for source, target in PAIRS:
        logits_TV = all_logits(model, [(source, target)])[0]
        state = model.encode(torch.tensor([[*source, EOS]]), torch.tensor([len(source) + 1]))
        for position, piece in enumerate([BOS, *target]):
            logits_NV, state = model.step(torch.tensor([piece]), state)
            torch.testing.assert_close(logits_NV[0], logits_TV[position], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_padding_and_batch_mates_change_no_logit(form):
    model = network(**form)
    together = all_logits(model, PAIRS)
    for row, pair in enumerate(PAIRS):
        alone_TV = all_logits(model, [pair])[0]
        torch.testing.assert_close(together[row, : len(alone_TV)], alone_TV, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_parameter_learns(form):
    model = network(**form).train()
    all_logits(model, PAIRS).square().sum().backward()
    still = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert still == []


def test_rows_of_a_search_state_follow_their_sentences():
    model = network()
    batch = collate([source for source, _ in PAIRS], [target for _, target in PAIRS])
    state = model.encode(batch.source_BS, batch.source_lengths_B)
    _, state = model.step(torch.full((3,), BOS), state)
    kept = state.select(torch.tensor([2, 2, 0, 0]), torch.tensor([2, 0]))
    expected_NV, _ = model.step(torch.tensor([7, 7, 7]), state)
    found_NV, _ = model.step(torch.tensor([7, 7, 7, 7]), kept)
    torch.testing.assert_close(found_NV, expected_NV[[2, 2, 0, 0]])


def test_tied_embeddings_are_one_matrix_and_untied_ones_three():
    tied = network()
    assert tied.output.weight is tied.source_embedding.weight is tied.target_embedding.weight
    untied = network(tie_embeddings=False)
    assert (
        len(
            {
                id(untied.output.weight),
                id(untied.source_embedding.weight),
                id(untied.target_embedding.weight),
            }
        )
        == 3
    )


def test_separate_vocabularies_have_their_own_sizes():
    model = Seq2Seq(ModelConfig(embedding_size=8, hidden_size=12), 10, 15, shared=False)
    assert (
        model.source_embedding.num_embeddings,
        model.target_embedding.num_embeddings,
        model.output.out_features,
    ) == (10, 15, 15)
    assert model.output.weight is model.target_embedding.weight
