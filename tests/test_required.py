"""Required pieces against an exhaustive search that keeps what has each of them once."""

import pytest
import torch
from reference_search import exhaustive
from test_beam import EOS, TableNetwork, assert_same, random_tables, settings_of, slow_model

from nmt.search.beam import beam_search
from nmt.search.required import EARLY, Required

PIECES = 5  # the beginning and the end of sentence, two that may be required, a word
MAY = (2, 3)


@pytest.mark.parametrize("needed", [(), (2,), (2, 3)])
def test_a_wide_beam_is_exhaustive_search_among_outputs_with_each_piece_once(needed) -> None:
    tables_BCV = random_tables(3, PIECES, seed=len(needed))
    sources = [list(needed) + [4] * (4 - len(needed))] * 3  # a source's length is its max_length
    network = Required(TableNetwork(tables_BCV), MAY, EOS)
    settings = settings_of(beam=800, n_best=3, length_alpha=0.6, length_factor=1.0, length_extra=1)
    found = beam_search(network, sources, settings).hypotheses
    for table_CV, hypotheses in zip(tables_BCV, found, strict=True):
        every = exhaustive(
            slow_model(table_CV), max_length=5, length_alpha=0.6, eos=EOS, pieces=PIECES
        )
        wanted = [each for each in every if all(each.pieces.count(m) == (m in needed) for m in MAY)]
        assert_same(hypotheses, wanted[:3])


def test_a_hypothesis_without_room_for_all_pieces_still_ends() -> None:
    tables_BCV = random_tables(2, PIECES, seed=5)
    network = Required(TableNetwork(tables_BCV), MAY, EOS)
    settings = settings_of(beam=3, length_alpha=0.0, max_length=2)
    for (best,) in beam_search(network, [[2, 3]] * 2, settings).hypotheses:
        assert len(best.pieces) == 1
        assert EARLY - 20 < best.log_prob < EARLY


def test_a_row_needs_no_more_what_it_has_read() -> None:
    network = Required(TableNetwork(random_tables(1, PIECES, seed=1)), MAY, EOS)
    _, state = network.step(torch.tensor([0]), network.start([[2, 4]]))
    assert state.needed_NP.tolist() == [[True, False]]
    _, state = network.step(torch.tensor([2]), state)
    assert state.needed_NP.tolist() == [[False, False]]
