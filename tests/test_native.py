"""The compiled engine: exactly the 8-bit products that the reference makes slowly, nearly what
the network computes."""

import numpy as np
import pytest
import torch
from native_networks import CELLS, V, needs_library, network, random_sources, small_shortlist

from nmt.engines.compiled.engine import (
    CompiledNetwork,
    linear,
    put_column,
    select_columns,
    unavailable_reason,
)
from nmt.engines.compiled.search import COMPILED
from nmt.engines.compiled.weights import PackedMatrix
from nmt.engines.packed.layers import Kernels
from nmt.engines.packed.network import PackedNetwork
from nmt.engines.plain import PlainNetwork
from nmt.recipe import ModelConfig
from nmt.search.beam import beam_search
from nmt.search.kernels import TORCH
from nmt.search.settings import SearchSettings
from nmt.vocabulary import BOS, PAD

pytestmark = pytest.mark.usefixtures("each_set")
SOURCES = [[5, 6, 7, 8, 9], [10, 11], [12] * 33, [33, 44, 55, 66]]


def steps_of(engine, sources=SOURCES):
    """The logits of four steps; rows are reordered after the second one, and a sentence leaves."""
    pieces_N, logits = torch.tensor([5, 9, 40, 70]), []
    with torch.inference_mode():
        state = engine.start(sources)
        for step in range(4):
            logits_NV, state = engine.step(pieces_N, state)
            logits.append(logits_NV[:, :V].clone())
            if step == 1:
                rows_N = torch.tensor([0, 0, 0, 3, 2, 2])
                state, pieces_N = (
                    state.select(rows_N, torch.tensor([0, 2])),
                    torch.tensor([5, 6, 7, 8, 9, 10]),
                )
    return logits


def reference_linear(weight_OI, inputs_NI):
    """Both sides in steps of a 127th of the largest magnitude of their row."""
    steps_O = weight_OI.abs().amax(1, keepdim=True) / 127
    steps_N = inputs_NI.abs().amax(1, keepdim=True).clamp(min=1e-30) / 127
    return (
        (inputs_NI / steps_N).round().double()
        @ (weight_OI / steps_O).round().double().T
        * steps_N
        * steps_O.T
    )


@needs_library
@pytest.mark.parametrize("rows", [*range(1, 15), 16, 17, 35])
def test_a_product_is_the_exact_product_of_rounded_numbers(rows):
    torch.manual_seed(rows)
    weight_OI, bias_O, inputs_NI = torch.randn(96, 128), torch.randn(96), torch.randn(rows, 128)
    found_NO = linear(PackedMatrix.of(weight_OI, bias_O), inputs_NI)
    torch.testing.assert_close(
        found_NO[:, :96].double(),
        reference_linear(weight_OI, inputs_NI) + bias_O,
        rtol=1e-5,
        atol=1e-5,
    )
    assert (found_NO[:, 96:] == -torch.inf).all()


@needs_library
def test_many_rows_in_tiles_are_what_each_is_by_itself():
    torch.manual_seed(1)
    matrix, inputs_NI = (
        PackedMatrix.of(torch.randn(192, 320), torch.randn(192)),
        torch.randn(50, 320),
    )
    alone = torch.cat(
        [linear(matrix, inputs_NI[n : n + 1]) for n in range(50)]
    )  # one row never takes a tile
    for rows in (2, 3, 15, 16, 18, 19, 50):
        assert torch.equal(linear(matrix, inputs_NI[:rows]), alone[:rows])


@needs_library
def test_the_largest_sums_do_not_overflow():
    ones_OI = torch.ones(64, 4096)
    torch.testing.assert_close(
        linear(PackedMatrix.of(ones_OI), torch.ones(20, 4096)), torch.full((20, 64), 4096.0)
    )
    torch.testing.assert_close(
        linear(PackedMatrix.of(-ones_OI), torch.ones(20, 4096)), torch.full((20, 64), -4096.0)
    )
    torch.testing.assert_close(
        linear(PackedMatrix.of(ones_OI), torch.ones(2, 4096)), torch.full((2, 64), 4096.0)
    )
    torch.testing.assert_close(
        linear(PackedMatrix.of(-ones_OI), torch.ones(2, 4096)), torch.full((2, 64), -4096.0)
    )


@needs_library
def test_a_row_of_zeros_gives_the_bias():
    assert torch.equal(
        linear(PackedMatrix.of(torch.randn(64, 64), torch.arange(64.0)), torch.zeros(1, 64))[0],
        torch.arange(64.0),
    )


@needs_library
def test_selected_columns_are_those_of_the_whole_product():
    torch.manual_seed(1)
    matrix, inputs_NI = PackedMatrix.of(torch.randn(256, 64)), torch.randn(7, 64)
    columns_C = torch.randperm(256)[:128]
    assert torch.equal(
        linear(select_columns(matrix, columns_C), inputs_NI),
        linear(matrix, inputs_NI)[:, columns_C],
    )


@needs_library
def test_a_column_put_in_replaces_that_one_alone():
    torch.manual_seed(1)
    matrix, other, inputs_NI = (
        PackedMatrix.of(torch.randn(128, 64)),
        PackedMatrix.of(torch.randn(1, 64), torch.ones(1)),
        torch.randn(7, 64),
    )
    expected_NO = linear(matrix, inputs_NI)
    expected_NO[:, 5] = linear(other, inputs_NI)[:, 0]
    put_column(matrix, 5, other)
    assert torch.equal(linear(matrix, inputs_NI), expected_NO)


@pytest.fixture
def shortlist():
    return small_shortlist()


def logits_of_pieces(logits_NC, candidates_NC):
    """[N, V]: what each row says of each piece; -inf for those that are no candidates."""
    found_NV = torch.full((len(logits_NC), V), -torch.inf)
    for found_V, logits_C, candidates_C in zip(found_NV, logits_NC, candidates_NC, strict=True):
        found_V[candidates_C[logits_C > -torch.inf]] = logits_C[logits_C > -torch.inf]
    return found_NV


@needs_library
def test_with_a_shortlist_the_logits_are_nearly_those_of_torchs_engine(shortlist):
    model = network()
    ours, torchs = (
        CompiledNetwork(model, shortlist),
        PackedNetwork(model, Kernels(precision="fp32"), shortlist),
    )
    with torch.inference_mode():
        state, expected_state = (engine.start(SOURCES) for engine in (ours, torchs))
        own_NC, all_NC = state.candidates, expected_state.candidates.expand(len(SOURCES), -1)
        assert own_NC.shape[1] < all_NC.shape[1]
        for step, column in enumerate(
            (BOS, 5, 7, 12)
        ):  # pieces that differ from sentence to sentence, from the fifth on
            columns_N = torch.stack(
                [
                    (all_C == own_C[column]).nonzero()[0, 0]
                    for own_C, all_C in zip(own_NC, all_NC, strict=True)
                ]
            )
            found_NC, state = ours.step(torch.full((len(own_NC),), column), state)
            expected_NC, expected_state = torchs.step(columns_N, expected_state)
            found_NV, expected_NV = (
                logits_of_pieces(found_NC, own_NC),
                logits_of_pieces(expected_NC, all_NC),
            )
            assert torch.equal(expected_NV == -torch.inf, found_NV == -torch.inf)
            assert not (expected_NV > -torch.inf).all()
            own_NV = expected_NV > -torch.inf
            own_NV[:, PAD] = False
            assert (
                0
                < float((expected_NV - found_NV)[own_NV].std())
                < 0.05 * float(expected_NV[own_NV].std())
            )
            torch.testing.assert_close(
                expected_NV[:, PAD], found_NV[:, PAD], atol=0.05, rtol=0.01
            )  # what is left out
            if step == 1:  # as in steps_of: rows are reordered, and two sentences leave
                rows_N, sentences_B = torch.tensor([0, 0, 0, 3, 2, 2]), torch.tensor([0, 2])
                state, expected_state = (
                    state.select(rows_N, sentences_B),
                    expected_state.select(rows_N, sentences_B),
                )
                own_NC, all_NC = own_NC[[0, 0, 0, 2, 2, 2]], all_NC[:1].expand(6, -1)


@needs_library
@pytest.mark.parametrize(
    "settings",
    [*({"cell": cell} for cell in CELLS), {"heads": 4}, {"encoder_layers": 1, "decoder_layers": 3}],
    ids=str,
)
def test_the_logits_are_nearly_those_of_the_network(settings):
    model = network(**settings)
    for expected_NV, found_NV in zip(
        steps_of(PlainNetwork(model)), steps_of(CompiledNetwork(model)), strict=True
    ):
        assert 0 < float((expected_NV - found_NV).std()) < 0.05 * float(expected_NV.std())


@needs_library
@pytest.mark.parametrize("cell", CELLS)
def test_batch_mates_change_no_logit(cell):
    engine = CompiledNetwork(network(cell=cell))
    together = [logits_NV[2] for logits_NV in steps_of(engine)[:2]]
    others = [
        logits_NV[0] for logits_NV in steps_of(engine, [SOURCES[2], [7], [8, 9], [4] * 50])[:2]
    ]
    with torch.inference_mode():
        state = engine.start([SOURCES[2]])
        for together_V, before in zip(together, (40, 40), strict=True):
            logits_NV, state = engine.step(torch.tensor([before]), state)
            assert torch.equal(logits_NV[0, :V], together_V)
    assert not torch.equal(others[0], together[0])  # the piece before differs: 5 there, 40 here


def hypotheses(engine, batch, beam):
    with torch.inference_mode():
        settings = SearchSettings(beam=beam, length_factor=1, length_extra=10)
        return [best for (best,) in beam_search(engine, batch, settings).hypotheses]


@needs_library
@pytest.mark.parametrize("beam", [1, 4])
def test_batch_mates_change_no_hypothesis(beam):
    engine, sources = CompiledNetwork(network()), random_sources()
    alone = [hypotheses(engine, [source], beam)[0] for source in sources]
    assert hypotheses(engine, sources, beam) == alone
    assert hypotheses(engine, sources[::-1], beam) == alone[::-1]
    assert len({hypothesis.pieces for hypothesis in alone}) > 1


@needs_library
@pytest.mark.parametrize("beam", [1, 4])
def test_batch_mates_change_no_hypothesis_found_with_a_shortlist(beam, shortlist):
    engine, sources = CompiledNetwork(network(), shortlist), random_sources()
    alone = [hypotheses(engine, [source], beam)[0] for source in sources]
    assert hypotheses(engine, sources, beam) == alone
    assert hypotheses(engine, sources[::-1], beam) == alone[::-1]


@needs_library
def test_the_order_of_columns_changes_no_normaliser():
    torch.manual_seed(1)
    logits_NV, order_V = torch.randn(5, 640) * 4, torch.randperm(640)
    found, shuffled = (
        COMPILED.best_pieces(each, torch.tensor([], dtype=torch.long), True)
        for each in (logits_NV.clone(), logits_NV[:, order_V])
    )
    assert torch.equal(found.normalisers_N, shuffled.normalisers_N)


@needs_library
def test_a_step_leaves_the_state_before_it_as_it_was():
    engine = CompiledNetwork(network())
    with torch.inference_mode():
        state = engine.start(SOURCES)
        first_NV = engine.step(torch.tensor([5, 6, 7, 8]), state)[0].clone()
        engine.step(torch.tensor([9, 9, 9, 9]), state)
        assert torch.equal(engine.step(torch.tensor([5, 6, 7, 8]), state)[0], first_NV)


@needs_library
def test_rows_selected_twice_are_rows_of_the_first_selection():
    engine = CompiledNetwork(network())
    with torch.inference_mode():
        state = engine.start(SOURCES)
        twice = state.select(torch.tensor([3, 2, 1, 0]), torch.tensor([3, 2, 1, 0])).select(
            torch.tensor([1, 3]), torch.tensor([1, 3])
        )
        once = state.select(torch.tensor([2, 0]), torch.tensor([2, 0]))
        pieces_N = torch.tensor([5, 6])
        assert torch.equal(engine.step(pieces_N, twice)[0], engine.step(pieces_N, once)[0])


def random_logits(rows, seed):
    """Some rows with few distinct values, so that many totals are equal, one with only one
    finite logit."""
    torch.manual_seed(seed)
    logits_NV = torch.randn(rows, 192) * 3
    logits_NV[::3] = logits_NV[::3].round()
    logits_NV[1, :191] = -torch.inf
    return logits_NV


@needs_library
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scored", [True, False])
def test_the_best_pieces_are_torchs(seed, scored):
    forbidden_F = torch.tensor([0, 1, 3, 100])
    logits = [random_logits(9, seed) for _ in range(2)]
    expected, found = (
        kernels.best_pieces(each, forbidden_F, scored)
        for kernels, each in zip((TORCH, COMPILED), logits, strict=True)
    )
    assert torch.equal(*logits)  # with the forbidden ones overwritten
    assert torch.equal(expected.pieces_N, found.pieces_N)
    torch.testing.assert_close(
        expected.values_N, found.values_N, rtol=0, atol=2e-6 if scored else 0
    )
    torch.testing.assert_close(
        expected.normalisers_N, found.normalisers_N, rtol=0, atol=2e-6 if scored else 0
    )


@needs_library
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, None),
        ({"attention": "additive"}, "additive"),
        ({"input_feeding": True}, "input feeding"),
        ({"hidden_size": 64}, "multiple of 128"),
    ],
)
def test_the_engine_says_which_networks_it_does_not_know(settings, reason):
    found = unavailable_reason(
        ModelConfig(**({"embedding_size": 64, "hidden_size": 128} | settings))
    )
    assert found is None if reason is None else reason in found


def test_the_packed_order_is_panels_of_64_columns_and_quadruples_of_inputs():
    weight_OI = torch.arange(128 * 8).view(128, 8) % 255 - 127.0
    weight_OI[:, 0] = 127  # every row's largest magnitude: a step is 1
    packed = PackedMatrix.of(weight_OI)
    expected = np.array([weight_OI[64 + 3, 4 + byte] for byte in range(4)], np.int8)
    assert packed.tensors[0].view(2, 2, 64, 4)[1, 1, 3].numpy().tolist() == expected.tolist()
