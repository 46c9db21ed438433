"""Indices of the compiled engine stay in their tables, whatever the weights are, and weights
that it cannot hold are named."""

import math

import pytest
import torch
from native_networks import SETS, needs_library, network, small_shortlist
from test_native_search import greedy

from nmt.engines.choice import choose_engine
from nmt.engines.compiled.candidates import CompiledShortlist
from nmt.engines.compiled.engine import CompiledNetwork
from nmt.engines.compiled.search import COMPILED
from nmt.errors import NmtError
from nmt.model.translation import Seq2Seq
from nmt.model.weights import named_weights, read_weights, save_weights
from nmt.recipe import ModelConfig

pytestmark = pytest.mark.usefixtures("each_set")
EXTREMES = (0.0, 1e-40, 1e38, math.inf, math.nan)
NOTHING = torch.tensor([], dtype=torch.long)


@needs_library
@pytest.mark.parametrize("scored", [False, True])
def test_the_best_column_always_has_a_piece(scored):
    torch.manual_seed(1)
    for vocabulary in range(4, 131):
        columns = -(-vocabulary // 64) * 64
        logits_NV = torch.randn(6 * len(EXTREMES), columns)
        for number, (inside, behind) in enumerate(
            (inside, behind) for inside in EXTREMES for behind in (-math.inf, math.nan)
        ):
            some_V = torch.rand(columns) < 0.5
            for row, chosen_V in zip(
                range(3 * number, 3 * number + 3),
                (some_V, some_V | True, torch.arange(columns) < 4),
                strict=True,
            ):
                logits_NV[row, chosen_V] = inside if number % 3 else -inside
                logits_NV[row, vocabulary:] = behind
        found = COMPILED.best_pieces(logits_NV, NOTHING, scored)
        assert (found.pieces_N >= 0).all()
        assert (found.pieces_N < vocabulary).all()


@needs_library
@pytest.mark.parametrize("value", EXTREMES)
def test_extreme_weights_give_pieces_of_the_vocabulary_or_an_error(value):
    outcomes = set()
    for number, vocabulary in enumerate((*range(4, 12), *range(60, 69), *range(124, 131))):
        torch.manual_seed(vocabulary)
        model = Seq2Seq(
            ModelConfig(embedding_size=64, hidden_size=128), vocabulary, vocabulary, shared=True
        ).eval()
        weights = list(named_weights(model).values())
        weights[number % len(weights)].fill_(value)
        try:
            found = greedy(CompiledNetwork(model), [[number % vocabulary] * 3, [3]], whole=True)
        except NmtError as error:
            outcomes.add("half" if "half precision" in str(error) else "logits")
        else:
            outcomes.add("pieces")
            assert all(0 <= piece < vocabulary for pieces in found for piece in pieces)
    assert outcomes == {"pieces"} if abs(value) < 1 else "half" in outcomes


@needs_library
def test_a_piece_that_the_model_does_not_have_is_refused():
    engine = CompiledNetwork(network(biases=0.0))
    for piece in (200, -1, 2**40):
        with pytest.raises(
            NmtError,
            match=f"piece {piece} is none of the model's 200; these subwords are not the model's",
        ):
            engine.start([[7, piece, 8]])
        with pytest.raises(NmtError, match=f"piece {piece} is none of the model's 200"):
            engine.step(torch.tensor([piece]), engine.start([[7]]))
        with pytest.raises(NmtError, match=f"piece {piece} is none of the model's 200"):
            CompiledShortlist(small_shortlist()).candidates(torch.tensor([[7, piece]]))


@needs_library
@pytest.mark.parametrize("value", [7e4, -7e4, math.inf])
def test_a_weight_beyond_half_precision_is_named_and_torchs_kernels_translate(value):
    model = network(biases=0.0)
    with torch.no_grad():
        model.decoder.upper[0].bias_input_G[5] = value
    with pytest.raises(
        NmtError,
        match=r"a bias of decoder layer 2 is -?(7e\+04|inf), and half precision ends at 65,504",
    ):
        CompiledNetwork(model)
    chosen = choose_engine(model, "auto", None)
    assert not isinstance(chosen, CompiledNetwork)
    assert "not the compiled engine: a bias of decoder layer 2" in chosen.note


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_named_when_they_are_read(tmp_path, value):
    model = network()
    weights = {name: weight.clone() for name, weight in named_weights(model).items()}
    save_weights(weights, tmp_path / "weights.safetensors")
    read_weights(tmp_path / "weights.safetensors", model)
    weights["decoder.bridge.bias"][3] = value
    save_weights(weights, tmp_path / "weights.safetensors")
    with pytest.raises(NmtError, match=r"decoder\.bridge\.bias holds numbers that are not finite"):
        read_weights(tmp_path / "weights.safetensors", model)


@needs_library
def test_the_engine_is_tested_with_each_set_of_the_processor(each_set):
    assert each_set in SETS
