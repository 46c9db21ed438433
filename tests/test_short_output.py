import pytest
import torch
from test_engine import FP32, ROUNDED, hypotheses

from nmt.data.batches import padded
from nmt.engines import shortlist as shortlist_module
from nmt.engines.packed.network import PackedNetwork
from nmt.engines.packed.short_output import moments, short_output
from nmt.engines.shortlist import Shortlist
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig
from nmt.search.hypotheses import BeamRecord, Hypothesis, in_pieces, record_in_pieces
from nmt.vocabulary import BOS, EOS, PAD, UNK

V = 300


@pytest.fixture
def engine(monkeypatch):
    """Each source piece calls for seven target pieces, beside the ten that are frequent."""
    monkeypatch.setattr(shortlist_module, "FREQUENT", 10)
    monkeypatch.setattr(shortlist_module, "STEP", 8)
    return PackedNetwork(
        large_network(), FP32, Shortlist(torch.randint(4, V, (V, 7)), torch.randperm(V))
    )


def large_network():
    torch.manual_seed(1)
    model = Seq2Seq(ModelConfig(embedding_size=8, hidden_size=12), V, V, shared=True).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


SOURCES = [[piece % V for piece in range(5 * row, 5 * row + 1 + row % 9)] for row in range(1, 38)]


@pytest.mark.parametrize("beam", [1, 4])
def test_batch_mates_change_no_hypothesis_found_with_a_shortlist(engine, beam):
    alone = [found(engine, [source], beam)[0] for source in SOURCES]
    assert found(engine, SOURCES, beam) == alone
    assert found(engine, SOURCES[::-1], beam) == alone[::-1]
    assert len({len(pieces) for pieces in alone}) > 1  # some sentences leave before others


def found(engine, sources, beam):
    """The best hypothesis of each sentence."""
    candidates_C, allowed_BC = engine.shortlist.candidates(padded(sources, suffix=(EOS,))[0])
    best = hypotheses(engine, sources, beam)
    for pieces, allowed_C in zip(best, allowed_BC, strict=True):
        assert set(pieces) <= set(candidates_C[allowed_C].tolist())
    return best


def test_a_sentence_has_the_networks_logits_for_its_own_candidates_and_none_for_others(engine):
    sources = [[5, 6, 7], [8]]
    plain = PackedNetwork(large_network(), FP32)
    with torch.inference_mode():
        states = [each.start(sources) for each in (engine, plain)]
        logits_NC, logits_NV = (
            each.step(torch.tensor([BOS, BOS]), state)[0]
            for each, state in zip((engine, plain), states, strict=True)
        )
    candidates_C, allowed_BC = engine.shortlist.candidates(padded(sources, suffix=(EOS,))[0])
    assert not allowed_BC.all()
    assert (logits_NC[~allowed_BC] == -torch.inf).all()
    own_BC = allowed_BC & (candidates_C != PAD)
    torch.testing.assert_close(logits_NC[own_BC], logits_NV[:, candidates_C][own_BC])


@pytest.mark.parametrize("length", [0.0, 0.5, 1.0])
def test_what_is_left_out_keeps_its_share_if_the_rows_are_normally_distributed(length):
    generator = torch.Generator().manual_seed(1)
    weight_VE = 0.3 + torch.randn(50_000, 16, generator=generator)
    vectors_NE = length * torch.nn.functional.normalize(torch.randn(6, 16, generator=generator))
    candidates_C = torch.arange(1000)
    allowed_BC = torch.stack([candidates_C < 1000, candidates_C < 600])
    output = short_output(weight_VE, moments(weight_VE), candidates_C, allowed_BC, FP32)
    expected_N = (vectors_NE @ weight_VE.T).logsumexp(1)
    torch.testing.assert_close(output(vectors_NE).logsumexp(1), expected_N, atol=0.03, rtol=0)
    one = output.select(torch.tensor([1]))
    torch.testing.assert_close(one(vectors_NE[3:]), output(vectors_NE)[3:])


def test_nothing_left_out_has_no_share():
    weight_VE = torch.randn(64, 8)
    output = short_output(
        weight_VE, moments(weight_VE), torch.arange(64), torch.ones(1, 64, dtype=torch.bool), FP32
    )
    vectors_NE = torch.randn(3, 8)
    logits_NV = vectors_NE @ weight_VE.T
    logits_NV[:, PAD] = -torch.inf
    torch.testing.assert_close(output(vectors_NE), logits_NV)


@pytest.mark.parametrize("kernels", [FP32, *ROUNDED], ids=str)
def test_a_shortlist_of_all_pieces_finds_the_same(kernels):
    everything = Shortlist(torch.arange(4, V).repeat(V, 1), torch.arange(V))
    model = large_network()
    plain, short = (
        hypotheses(PackedNetwork(model, kernels, each), SOURCES, 1) for each in (None, everything)
    )
    if kernels.precision == "int8":  # whose shortlists are not rounded to 8 bits
        assert [len(pieces) > 0 for pieces in short] == [len(pieces) > 0 for pieces in plain]
    else:
        assert short == plain


def test_columns_become_pieces():
    hypothesis = [[Hypothesis((4, 5), -1.0, -0.5)]]
    assert in_pieces(hypothesis, None) is hypothesis
    candidates_C = torch.tensor([PAD, UNK, BOS, EOS, 17, 40])
    assert in_pieces(hypothesis, candidates_C) == [[Hypothesis((17, 40), -1.0, -0.5)]]
    of_each_BC = torch.stack([candidates_C, torch.tensor([PAD, UNK, BOS, EOS, 8, 9])])
    assert in_pieces(hypothesis * 2, of_each_BC) == [
        [Hypothesis((17, 40), -1.0, -0.5)],
        [Hypothesis((8, 9), -1.0, -0.5)],
    ]


def test_columns_of_a_record_become_pieces_but_for_those_that_fell_off_the_beam():
    candidates_BC = torch.tensor([[PAD, UNK, BOS, EOS, 17, 40], [PAD, UNK, BOS, EOS, 8, 9]])
    columns_BP = torch.tensor([[5, EOS, 4], [4, 10**9, 5]])
    log_probs_BP = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -torch.inf, -2.0]])
    step = BeamRecord(torch.tensor([1, 0]), columns_BP, columns_BP, log_probs_BP, log_probs_BP)
    (of_each,) = record_in_pieces([step], candidates_BC)
    assert of_each.pieces_BP[log_probs_BP > -torch.inf].tolist() == [9, EOS, 8, 17, 40]
    (of_all,) = record_in_pieces([step], candidates_BC[0])
    assert of_all.pieces_BP[log_probs_BP > -torch.inf].tolist() == [40, EOS, 17, 17, 40]
    assert record_in_pieces([step], None)[0] is step
