"""Forced prefixes and unrepeated n-grams against slow searches that check each piece, over
random tables as models."""

import pytest
import torch
from reference_search import beam_without_early_stop, constraints_allow, exhaustive, repeats
from test_beam import (
    EOS,
    TableNetwork,
    assert_same,
    lengths_as_sources,
    random_tables,
    recorded_search,
    search,
    settings_of,
    slow_model,
)
from torch import Tensor

from nmt.errors import NmtError
from nmt.search.beam import SearchResult, beam_search
from nmt.search.constraints import block_repeats
from nmt.search.hypotheses import Hypothesis
from nmt.search.kernels import TORCH

PREFIXES = [(), (2,), (3, 3, 3), (4, 2, 4, 2), (2, 3), ()]


def recorded_within(
    tables_BCV: Tensor,
    prefixes: list[tuple[int, ...]],
    no_repeat_ngram: int,
    max_lengths: list[int],
    **settings,
) -> SearchResult:
    return beam_search(
        TableNetwork(tables_BCV),
        lengths_as_sources(max_lengths),
        settings_of(no_repeat_ngram=no_repeat_ngram, **settings),
        prefixes,
    )


def search_within(
    tables_BCV: Tensor, prefixes: list[tuple[int, ...]], no_repeat_ngram: int, **settings
) -> list[list[Hypothesis]]:
    return recorded_within(tables_BCV, prefixes, no_repeat_ngram, **settings).hypotheses


@pytest.mark.parametrize("pieces", [5, 70, 300])
@pytest.mark.parametrize("beam", [1, 2, 5])
@pytest.mark.parametrize("no_repeat_ngram", [0, 1, 2, 3])
def test_a_narrow_beam_is_the_slow_beam_search_with_the_same_constraints(
    pieces: int, beam: int, no_repeat_ngram: int
) -> None:
    tables_BCV = random_tables(12, pieces, seed=pieces + beam, ending=1.0)
    prefixes, max_lengths = PREFIXES * 2, [5 + sentence % 7 for sentence in range(12)]
    settings = {"beam": beam, "length_alpha": 0.8, "min_length": 3, "forbidden": (0,)}
    found = search_within(
        tables_BCV.clone(),
        prefixes,
        no_repeat_ngram,
        max_lengths=max_lengths,
        n_best=min(beam, 2),
        **settings,
    )
    for table_CV, max_length, prefix, hypotheses in zip(
        tables_BCV, max_lengths, prefixes, found, strict=True
    ):
        constraints = {"forced": prefix, "no_repeat_ngram": no_repeat_ngram}
        slow = beam_without_early_stop(
            slow_model(table_CV), max_length=max_length, eos=EOS, **settings, **constraints
        )
        assert_same(hypotheses, slow[: min(beam, 2)])


@pytest.mark.parametrize("no_repeat_ngram", [0, 1, 2])
def test_a_wide_beam_is_exhaustive_search_among_the_outputs_within_the_constraints(
    no_repeat_ngram: int,
) -> None:
    prefixes: list[tuple[int, ...]] = [(), (2,), (0, 2), (3, 3, 3)]
    tables_BCV = random_tables(4, pieces=4, seed=1)
    found = search_within(
        tables_BCV,
        prefixes,
        no_repeat_ngram,
        max_lengths=[5] * 4,
        beam=500,
        n_best=3,
        length_alpha=0.6,
    )
    for table_CV, prefix, hypotheses in zip(tables_BCV, prefixes, found, strict=True):
        every = exhaustive(slow_model(table_CV), max_length=5, length_alpha=0.6, eos=EOS, pieces=4)
        assert_same(
            hypotheses, [each for each in every if within(each.pieces, prefix, no_repeat_ngram)][:3]
        )


def within(output: tuple[int, ...], prefix: tuple[int, ...], no_repeat_ngram: int) -> bool:
    whole = (*output, EOS)
    return all(
        constraints_allow(whole[:t], piece, EOS, prefix, no_repeat_ngram)
        for t, piece in enumerate(whole)
    )


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_n_gram_comes_twice_and_every_hypothesis_ends(beam: int, size: int) -> None:
    found = search_within(
        random_tables(40, pieces=7, seed=size, ending=-3.0),
        [()] * 40,
        size,
        max_lengths=[25] * 40,
        beam=beam,
        **PLAIN,
    )
    lengths = {len(hypotheses[0].pieces) for hypotheses in found}
    assert max(lengths) > 5
    for (best,) in found:
        assert not any(repeats(best.pieces[:end], size) for end in range(len(best.pieces) + 1))


PLAIN = {"length_alpha": 1.0}


@pytest.mark.parametrize("beam", [1, 3])
def test_every_hypothesis_begins_with_its_prefix_and_repetitions_in_it_are_left_alone(
    beam: int,
) -> None:
    found = search_within(
        random_tables(6, pieces=9, seed=2),
        PREFIXES,
        1,
        max_lengths=[5] * 6,
        beam=beam,
        n_best=beam,
        **PLAIN,
    )
    for prefix, hypotheses in zip(PREFIXES, found, strict=True):
        assert all(hypothesis.pieces[: len(prefix)] == prefix for hypothesis in hypotheses)
        assert all(
            len(set(hypothesis.pieces[len(prefix) :])) == len(hypothesis.pieces) - len(prefix)
            for hypothesis in hypotheses
        )


@pytest.mark.parametrize("beam", [1, 500])
def test_a_models_own_best_output_as_the_prefix_changes_nothing(beam: int) -> None:
    tables_BCV = random_tables(8, pieces=4, seed=6)
    free = search(tables_BCV, max_lengths=[5] * 8, beam=beam, **PLAIN)
    forced = search_within(
        tables_BCV, [best.pieces for (best,) in free], 0, max_lengths=[5] * 8, beam=beam, **PLAIN
    )
    for before, after in zip(free, forced, strict=True):
        assert_same(after, before)


def test_constraints_that_forbid_nothing_change_no_pick() -> None:
    tables_BCV = random_tables(9, pieces=200, seed=3, ending=2.0)
    settings = {
        "max_lengths": [9, 3, 7, 9, 1, 5, 9, 9, 2],
        "beam": 4,
        "n_best": 2,
        "length_alpha": 1.0,
        "forbidden": (0, 5),
    }
    free = recorded_search(tables_BCV, **settings, recorded=True).record
    within = recorded_within(tables_BCV, [()] * 9, 10, **settings, recorded=True).record
    for ours, theirs in zip(within, free, strict=True):
        assert torch.equal(ours.sentences_B, theirs.sentences_B)
        torch.testing.assert_close(ours.log_probs_BP, theirs.log_probs_BP)
        kept_BP = theirs.log_probs_BP > -torch.inf
        for name in ("parents_BP", "pieces_BP"):
            assert torch.equal(getattr(ours, name)[kept_BP], getattr(theirs, name)[kept_BP])


def test_an_unscored_search_finds_the_same_pieces_within_the_constraints() -> None:
    tables_BCV = random_tables(6, pieces=30, seed=4)
    settings = {"max_lengths": [6] * 6, "beam": 1, **PLAIN}
    scored, unscored = (
        search_within(tables_BCV.clone(), PREFIXES, 2, **settings, scored=scored)
        for scored in (True, False)
    )
    assert [best.pieces for (best,) in unscored] == [best.pieces for (best,) in scored]


def test_other_kernels_choose_within_the_constraints() -> None:
    scorings = []

    def watching_advance(logits_NV, beam, rules):
        scorings.append(rules.scored)
        return TORCH.advance(logits_NV, beam, rules)

    kernels = TORCH._replace(advance=watching_advance)
    network = TableNetwork(random_tables(1, pieces=5, seed=0), kernels)
    settings = settings_of(beam=2)
    ((best,),) = beam_search(network, lengths_as_sources([4]), settings, [(2, 2)]).hypotheses
    assert best.pieces[:2] == (2, 2)
    # what the step hands on are log-probabilities already
    assert scorings == [False] * (len(best.pieces) + 1)


def test_the_pieces_that_complete_an_n_gram_are_blocked() -> None:
    histories_NT = torch.tensor([[1, 2, 3, 1, 2], [4, 4, 4, 4, 4]])
    blocked = {
        size: [
            row.nonzero().view(-1).tolist()
            for row in block_repeats(torch.zeros(2, 6), histories_NT, size) < 0
        ]
        for size in range(1, 7)
    }
    assert blocked == {
        1: [[1, 2, 3], [4]],
        2: [[3], [4]],
        3: [[3], [4]],
        4: [[], [4]],
        5: [[], [4]],
        6: [[], []],
    }


def test_a_prefix_that_cannot_be_written_is_reported() -> None:
    with pytest.raises(NmtError, match="no hypothesis for sentence 1 of the batch"):
        search_within(
            random_tables(1, pieces=5, seed=0),
            [(2, 3)],
            0,
            beam=2,
            forbidden=(2,),
            max_lengths=[5],
        )


def test_an_empty_batch_has_no_hypotheses_within_constraints() -> None:
    assert (
        search_within(random_tables(0, pieces=5, seed=0), [], 2, max_lengths=[], beam=2, **PLAIN)
        == []
    )
