"""The compiled engine's candidates and its greedy search: the same as torch's, in one call a
batch."""

import numpy as np
import pytest
import torch
from native_networks import CELLS, needs_library, network, random_sources, small_shortlist

from nmt.data.batches import padded
from nmt.engines.compiled.candidates import SHARED, CompiledShortlist
from nmt.engines.compiled.engine import CompiledNetwork
from nmt.engines.compiled.search import COMPILED
from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.search.beam import beam_search
from nmt.search.hypotheses import prediction_trees
from nmt.search.settings import SearchSettings
from nmt.vocabulary import BOS, EOS, PAD, UNK

pytestmark = pytest.mark.usefixtures("each_set")


@pytest.fixture
def shortlist():
    return small_shortlist()


@needs_library
@pytest.mark.parametrize("sentences", [1, 3, 37])
def test_the_candidates_are_those_of_the_shortlist(sentences, shortlist):
    spelling = Shortlist(
        shortlist.best_VX, shortlist.frequent_V, source_bytes=[20, 30], target_bytes=[50, 60, 199]
    )
    source_BS = padded(random_sources()[:sentences], suffix=(EOS,))[0]
    found, (expected_C, allowed_BC) = (
        CompiledShortlist(spelling).candidates(source_BS),
        spelling.candidates(source_BS),
    )
    outputs = found.outputs_O.tolist()
    used = [piece for number, piece in enumerate(outputs) if number < 4 or piece != PAD]
    assert used[:4] == [PAD, UNK, BOS, EOS]
    assert sorted(used) == expected_C[: len(used)].tolist()
    assert len(outputs) % 64 == 0
    assert len(outputs) - len(used) < 64
    bits_BO = np.unpackbits(found.allowed.numpy().view(np.uint8), axis=1, bitorder="little").astype(
        bool
    )
    for own_C, bits_O, count, allowed_C in zip(
        found.own_BC.tolist(), bits_BO, found.counts_B.tolist(), allowed_BC, strict=True
    ):
        assert own_C[:count] == [outputs[number] for number in bits_O.nonzero()[0]]
        assert sorted(own_C[:count]) == expected_C[allowed_C].tolist()
        assert set(own_C[count:]) <= {PAD}


@needs_library
def test_candidates_of_few_sentences_lie_side_by_side(shortlist):
    found = CompiledShortlist(shortlist).candidates(padded(random_sources(), suffix=(EOS,))[0])
    bits_BO = np.unpackbits(found.allowed.numpy().view(np.uint8), axis=1, bitorder="little").astype(
        bool
    )
    users_O = bits_BO.sum(0)
    shared = int((users_O > SHARED * len(bits_BO)).sum())
    assert (users_O[:shared] > SHARED * len(bits_BO)).all()
    rest_BO = bits_BO[:, shared:][:, users_O[shared:] > 0]
    assert rest_BO.shape[1] > 1
    assert (np.diff(rest_BO.argmax(0)) >= 0).all()  # the first sentence that may use each


@needs_library
def test_a_batch_of_nothing_has_no_candidates(shortlist):
    found = CompiledShortlist(shortlist).candidates(torch.empty(0, 5, dtype=torch.long))
    assert [part.numel() for part in found] == [0, 0, 0, 0]


class StepwiseNetwork:
    """A compiled network without the greedy search that is one call."""

    search_kernels = COMPILED

    def __init__(self, engine: CompiledNetwork) -> None:
        self.device, self.autocast = engine.device, engine.autocast
        self.start, self.step, self.candidates = engine.start, engine.step, engine.candidates


def greedy(engine, sources, *, whole, min_length=0, room=9):
    """The pieces of each sentence, in one call or step by step."""
    network = engine if whole else StepwiseNetwork(engine)
    settings = SearchSettings(
        beam=1, scored=False, length_factor=1, length_extra=room, min_length=min_length
    )
    return [best.pieces for (best,) in beam_search(network, sources, settings).hypotheses]


@needs_library
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("short", [False, True])
def test_a_greedy_search_in_one_call_chooses_what_its_steps_choose(cell, short, shortlist):
    engine, sources = (
        CompiledNetwork(network(biases=0.0, cell=cell), shortlist if short else None),
        random_sources(),
    )
    found = greedy(engine, sources, whole=True)
    assert found == greedy(engine, sources, whole=False)
    assert found == [greedy(engine, [source], whole=True)[0] for source in sources]
    assert len(set(found)) > 1


@needs_library
def test_a_greedy_search_in_one_call_keeps_to_the_lengths():
    engine, sources = CompiledNetwork(network(biases=0.0)), random_sources()
    free = greedy(engine, sources, whole=True, room=40)
    assert min(map(len, free)) < 3
    held = greedy(engine, sources, whole=True, min_length=4, room=3)
    assert all(
        3 <= len(pieces) <= len(source) + 2 for pieces, source in zip(held, sources, strict=True)
    )  # the end takes the last place
    assert any(len(pieces) == len(source) + 2 for pieces, source in zip(held, sources, strict=True))


@needs_library
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_greedy_search_in_one_call_names_the_sentence_whose_logits_are_not_finite(value):
    model = network(biases=0.0)
    with torch.no_grad():
        model.decoder.combine.bias[7] = value
    with pytest.raises(
        NmtError, match="no hypothesis for sentence 1 of the batch: its logits are not finite"
    ):
        greedy(CompiledNetwork(model), [[7], [5, 6]], whole=True)


@needs_library
@pytest.mark.parametrize("beam", [1, 3])
def test_no_repeated_ngrams_under_a_shortlist(beam, shortlist):
    engine, sources = CompiledNetwork(network(biases=0.0), shortlist), random_sources()
    plain, found = (
        [best.pieces for (best,) in beam_search(engine, sources, settings).hypotheses]
        for size in (0, 1)
        for settings in [
            SearchSettings(beam=beam, length_extra=20, scored=beam > 1, no_repeat_ngram=size)
        ]
    )
    assert any(len(set(pieces)) < len(pieces) for pieces in plain)
    assert all(len(set(pieces)) == len(pieces) for pieces in found)
    candidates_C, allowed_BC = shortlist.candidates(padded(sources, suffix=(EOS,))[0])
    for pieces, allowed_C in zip(found, allowed_BC, strict=True):
        assert set(pieces) <= set(candidates_C[allowed_C].tolist())


@needs_library
@pytest.mark.parametrize("beam", [1, 4])
def test_a_record_under_a_shortlist_replays_to_the_hypotheses(beam, shortlist):
    engine, sources = CompiledNetwork(network(biases=0.0), shortlist), random_sources()
    settings = SearchSettings(beam=beam, n_best=beam, length_extra=12, recorded=True)
    found, record = beam_search(engine, sources, settings)
    for tree, hypotheses in zip(prediction_trees(record), found, strict=True):
        finished = {
            tuple(tree.nodes[step].piece for step in tree.path(end)): node.score
            for end, node in enumerate(tree.nodes)
            if node.finished
        }
        assert [finished[(*each.pieces, EOS)] for each in hypotheses] == [
            each.score for each in hypotheses
        ]
