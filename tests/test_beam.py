"""Beam search against exhaustive search and against a slow search without early stop, over
random tables as models."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import pytest
import torch
from reference_search import NextLogProbs, beam_without_early_stop, exhaustive
from torch import Tensor

from nmt.errors import NmtError
from nmt.search.beam import SearchResult, beam_search, longest_outputs
from nmt.search.hypotheses import Hypothesis
from nmt.search.kernels import (
    TORCH,
    SearchKernels,
    best_candidates,
    best_pieces,
    log_normalisers,
    look,
)
from nmt.search.settings import SearchSettings

BOS, EOS = 0, 1
NOTHING = torch.tensor([], dtype=torch.long)
CONTEXTS = 97  # prefixes are hashed into this many rows of a table


class TableState(NamedTuple):
    """The model is a table of logits for each sentence (as attention memories are), its memory a
    hash of the row's prefix."""

    tables_BCV: Tensor
    hashes_N: Tensor

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> "TableState":
        return TableState(
            self.tables_BCV if sentences_B is None else self.tables_BCV[sentences_B],
            self.hashes_N[rows_N],
        )


class TableNetwork:
    """A network that ignores its sources; the n-th one of a batch has the n-th table."""

    def __init__(self, tables_BCV: Tensor, search_kernels: SearchKernels = TORCH) -> None:
        self.tables_BCV, self.search_kernels = tables_BCV, search_kernels
        self.device = torch.device("cpu")

    def autocast(self) -> nullcontext[None]:
        return nullcontext()

    def start(self, sources: Sequence[Sequence[int]], every_piece: bool = False) -> TableState:
        assert len(sources) == len(self.tables_BCV)
        return TableState(self.tables_BCV, torch.zeros(len(sources), dtype=torch.long))

    def step(self, columns_N: Tensor, state: TableState) -> tuple[Tensor, TableState]:
        hashes_N = (state.hashes_N * 31 + columns_N + 7) % CONTEXTS
        sentences_N = torch.arange(len(state.tables_BCV)).repeat_interleave(
            len(columns_N) // len(state.tables_BCV)
        )
        return state.tables_BCV[sentences_N, hashes_N], TableState(state.tables_BCV, hashes_N)

    def candidates(self, state: TableState) -> None:
        """Columns are pieces."""


def random_tables(sentences: int, pieces: int, seed: int, ending: float = 0.0) -> Tensor:
    tables_BCV = (
        torch.randn(sentences, CONTEXTS, pieces, generator=torch.Generator().manual_seed(seed)) * 2
    )
    tables_BCV[:, :, EOS] += ending
    return tables_BCV


def slow_model(table_CV: Tensor) -> NextLogProbs:
    log_probs_CV = table_CV.double().log_softmax(1).tolist()

    def next_log_probs(prefix: tuple[int, ...]) -> list[float]:
        state = 0
        for piece in (BOS, *prefix):
            state = (state * 31 + piece + 7) % CONTEXTS
        return log_probs_CV[state]

    return next_log_probs


def settings_of(**settings) -> SearchSettings:
    """Settings for the tables, in which an output may be as long as its source."""
    given = {"bos": BOS, "eos": EOS, "forbidden": (), "length_factor": 1.0, "length_extra": 0}
    return SearchSettings(**(given | settings))


def lengths_as_sources(max_lengths: Sequence[int]) -> list[list[int]]:
    return [[0] * length for length in max_lengths]


def recorded_search(tables_BCV: Tensor, max_lengths: Sequence[int], **settings) -> SearchResult:
    return beam_search(
        TableNetwork(tables_BCV), lengths_as_sources(max_lengths), settings_of(**settings)
    )


def search(tables_BCV: Tensor, max_lengths: Sequence[int], **settings) -> list[list[Hypothesis]]:
    return recorded_search(tables_BCV, max_lengths, **settings).hypotheses


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [hypothesis.pieces for hypothesis in found] == [
        hypothesis.pieces for hypothesis in expected
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.log_prob == pytest.approx(theirs.log_prob, abs=1e-4)
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)


@pytest.mark.parametrize("length_alpha", [0.0, 0.6, 1.0, 1.7])
def test_a_wide_beam_is_exhaustive_search(length_alpha: float) -> None:
    tables_BCV = random_tables(4, pieces=4, seed=1)
    found = search(
        tables_BCV, max_lengths=[5, 4, 5, 2], beam=500, n_best=3, length_alpha=length_alpha
    )
    for table_CV, max_length, hypotheses in zip(tables_BCV, [5, 4, 5, 2], found, strict=True):
        every = exhaustive(
            slow_model(table_CV),
            max_length=max_length,
            length_alpha=length_alpha,
            eos=EOS,
            pieces=4,
        )
        assert_same(hypotheses, every[:3])


@pytest.mark.parametrize("pieces", [5, 64, 150, 700])
@pytest.mark.parametrize("beam", [1, 2, 5])
@pytest.mark.parametrize("length_alpha", [0.0, 1.0])
def test_a_narrow_beam_is_the_slow_beam_search_without_early_stop(
    pieces: int, beam: int, length_alpha: float
) -> None:
    tables_BCV = random_tables(12, pieces, seed=pieces + beam, ending=2.0)
    max_lengths = [1 + sentence % 9 for sentence in range(12)]
    found = search(
        tables_BCV,
        max_lengths=max_lengths,
        beam=beam,
        n_best=min(beam, 2),
        length_alpha=length_alpha,
    )
    for table_CV, max_length, hypotheses in zip(tables_BCV, max_lengths, found, strict=True):
        slow = beam_without_early_stop(
            slow_model(table_CV),
            max_length=max_length,
            beam=beam,
            length_alpha=length_alpha,
            eos=EOS,
        )
        assert_same(hypotheses, slow[: min(beam, 2)])


def test_forbidden_pieces_and_the_shortest_length_are_kept_to() -> None:
    tables_BCV = random_tables(8, pieces=70, seed=5, ending=4.0)
    settings = {"beam": 3, "length_alpha": 1.0, "min_length": 4, "forbidden": (0, 2, 69)}
    found = search(tables_BCV.clone(), max_lengths=[6] * 8, n_best=3, **settings)
    for table_CV, hypotheses in zip(tables_BCV, found, strict=True):
        assert_same(
            hypotheses,
            beam_without_early_stop(slow_model(table_CV), max_length=6, eos=EOS, **settings),
        )
        assert all(
            len(hypothesis.pieces) + 1 >= 4 and not {0, 2, 69} & set(hypothesis.pieces)
            for hypothesis in hypotheses
        )


@pytest.mark.parametrize("beam", [1, 4])
def test_batch_mates_change_no_hypothesis(beam: int) -> None:
    tables_BCV = random_tables(9, pieces=200, seed=3, ending=3.0)
    max_lengths = [3, 9, 5, 1, 9, 2, 7, 9, 4]
    together = search(tables_BCV, max_lengths=max_lengths, beam=beam, n_best=beam, length_alpha=1.0)
    alone = [
        search(t[None], max_lengths=[m], beam=beam, n_best=beam, length_alpha=1.0)[0]
        for t, m in zip(tables_BCV, max_lengths, strict=True)
    ]
    assert together == alone


def test_finished_sentences_leave_the_batch_and_finished_slots_leave_the_beam() -> None:
    tables_BCV = torch.zeros(
        2, CONTEXTS, 10
    )  # equal logits: each piece costs log 10, the slots are taken by the pieces 0, 1 = EOS, 2
    tables_BCV[0, :, EOS] = (
        # the first sentence ends at once: a prefix that lost 9 nats cannot win them back in 4
        # pieces
        9.0
    )
    rows = []

    class WatchedNetwork(TableNetwork):
        def step(self, columns_N: Tensor, state: TableState) -> tuple[Tensor, TableState]:
            rows.append((len(state.tables_BCV), len(columns_N)))
            return super().step(columns_N, state)

    sources, settings = lengths_as_sources([4, 4]), settings_of(beam=3)
    found = beam_search(WatchedNetwork(tables_BCV), sources, settings).hypotheses
    assert [hypotheses[0].pieces for hypotheses in found] == [(), ()]
    # second sentence: slots 0 and 2 go on, then 0 0 beside the finished 0 EOS, then 0 0 0, which
    # must end
    assert rows == [(2, 2), (1, 2), (1, 1), (1, 1)]


def test_equal_candidates_are_taken_in_order_of_slot_and_piece() -> None:
    logits_NV, prefixes_BK = torch.zeros(4, 300), torch.tensor([[-1.0, -1.0], [-torch.inf, -2.0]])
    totals_BP, slots_BP, pieces_BP = best_candidates(
        look(logits_NV, NOTHING, False), prefixes_BK, 3
    )
    assert totals_BP.tolist() == [[-1.0] * 3, [-2.0] * 3]
    assert slots_BP.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert pieces_BP.tolist() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("count", [1, 4, 9])
@pytest.mark.parametrize("pieces", [3, 64, 130, 1000])
def test_candidates_are_a_stable_sort_of_all_totals(pieces: int, count: int) -> None:
    generator = torch.Generator().manual_seed(pieces + count)
    logits_NV = torch.randint(-6, 6, (6, pieces), generator=generator).float()  # many equal ones
    prefixes_BK = torch.randint(-3, 0, (2, 3), generator=generator).float()
    totals_BC = (logits_NV.view(2, 3, pieces) + prefixes_BK[:, :, None]).view(2, -1)
    totals_BP, order_BP = (
        part[:, :count] for part in totals_BC.sort(dim=1, descending=True, stable=True)
    )
    found = best_candidates(look(logits_NV, NOTHING, False), prefixes_BK, count)
    assert torch.equal(found.totals_BP, totals_BP)
    assert torch.equal(found.slots_BP * pieces + found.pieces_BP, order_BP)


@pytest.mark.parametrize("pieces", [3, 64, 130, 1000])
def test_the_best_piece_is_the_first_with_the_largest_logit(pieces: int) -> None:
    logits_NV = torch.randint(
        -6, 3, (200, pieces), generator=torch.Generator().manual_seed(pieces)
    ).float()
    values_N, pieces_N, _ = best_pieces(logits_NV, NOTHING, False)
    assert values_N.tolist() == [max(row) for row in logits_NV.tolist()]
    assert pieces_N.tolist() == [row.index(max(row)) for row in logits_NV.tolist()]


def test_log_normalisers_are_log_sum_exp_and_not_below_the_maximum() -> None:
    logits_NV = torch.randn(40, 5000, generator=torch.Generator().manual_seed(1)) * 50
    normalisers_N = log_normalisers(logits_NV, logits_NV.amax(1, keepdim=True))
    torch.testing.assert_close(normalisers_N.double(), logits_NV.double().logsumexp(1))
    assert bool((normalisers_N >= logits_NV.amax(1)).all())


def test_a_beam_wider_than_the_candidates_finds_them_all() -> None:
    found = search(
        random_tables(1, pieces=3, seed=2), max_lengths=[2], beam=50, n_best=50, length_alpha=1.0
    )
    assert sorted(hypothesis.pieces for hypothesis in found[0]) == [(), (0,), (2,)]


def test_a_greedy_search_finds_what_a_beam_of_one_finds_and_the_same_pieces_without_scores() -> (
    None
):
    settings = {
        "max_lengths": [8, 1, 8, 3, 8, 5, 8],
        "beam": 1,
        "length_alpha": 0.7,
        "min_length": 1,
        "forbidden": (0, 5),
    }
    tables_BCV = random_tables(7, pieces=300, seed=8, ending=3.0)
    # a record is kept by the beam search alone
    recorded = search(tables_BCV, **settings, recorded=True)
    greedy, unscored = (search(tables_BCV, **settings, scored=scored) for scored in (True, False))
    for (one,), (two,), (three,) in zip(recorded, greedy, unscored, strict=True):
        assert_same([two], [one])
        assert three.pieces == one.pieces
        assert math.isnan(three.log_prob)
        assert math.isnan(three.score)


def test_an_empty_batch_has_no_hypotheses() -> None:
    assert (
        search(random_tables(0, pieces=5, seed=0), max_lengths=[], beam=2, length_alpha=1.0) == []
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"beam": 0}, "beam must be at least 1 and at most 10,000, got 0"),
        ({"n_best": 4}, "n_best must be at least 1 and at most the beam of 3, got 4; raise the"),
        ({"length_alpha": -0.5}, "length_alpha must be at least 0 and at most 10, got -0.5"),
        ({"length_alpha": 10.5}, "length_alpha must be at least 0 and at most 10, got 10.5"),
        (
            {"length_alpha": 10, "max_lengths": [8000, 5]},
            "length_alpha is too large for outputs of 8,000 pieces, got 10; 1 is typical",
        ),
        ({"min_length": 6, "max_length": 5}, "max_length must be at least 6, got 5"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram must be at least 0"),
        ({"coverage": float("nan")}, "coverage must be at least 0 and at most 1,000,000, got nan"),
        ({"forbidden": (EOS,)}, "end of sentence is among the forbidden"),
        ({"scored": False}, "without scores is greedy, got beam = 3"),
    ],
)
def test_settings_out_of_range_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(NmtError, match=message):
        search(
            random_tables(2, pieces=5, seed=0),
            **{"max_lengths": [5, 5], "beam": 3, "length_alpha": 1.0, **changed},
        )


def test_lengths_follow_the_source_and_leave_room_for_the_least_pieces_and_the_prefix() -> None:
    settings = SearchSettings(beam=1, length_factor=1.5, length_extra=2, min_length=4, max_length=9)
    sources, prefixes = [[5], [5] * 3, [5] * 30, [5]], [(), (), (), (7,) * 11]
    # 3 -> 4 for min_length, 4.5 + 2 rounded down, 47 -> 9 for max_length, 11 and the end
    assert longest_outputs(settings, sources, prefixes) == [4, 6, 9, 12]
    assert longest_outputs(settings, sources[:3]) == [4, 6, 9]


@pytest.mark.parametrize("beam", [1, 2])
def test_logits_that_are_not_finite_are_reported(beam: int) -> None:
    tables_BCV = random_tables(2, pieces=5, seed=0)
    tables_BCV[1] = torch.nan
    with pytest.raises(
        NmtError, match="no hypothesis for sentence 2 of the batch: its logits are not finite"
    ):
        search(tables_BCV, max_lengths=[3, 3], beam=beam, length_alpha=1.0)
