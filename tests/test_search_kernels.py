"""How the prefixes of a beam search go on: the compiled function does to the bit what torch's
does."""

from collections.abc import Iterable

import pytest
import torch
from native_networks import needs_library
from test_beam import BOS, EOS, TableNetwork, lengths_as_sources, random_tables, settings_of
from torch import Tensor

from nmt.engines.compiled.search import COMPILED
from nmt.search.beam import beam_search
from nmt.search.constraints import Constrained
from nmt.search.hypotheses import BeamRecord
from nmt.search.kernels import TORCH, Beam, NextRows, Rules, SearchKernels

pytestmark = pytest.mark.usefixtures("each_set")
LENGTHS = 9  # max_lengths reach so far


def rules(
    beam: int,
    max_lengths: Iterable[int],
    divisors_T: Tensor,
    min_length: int = 0,
    scored: bool = False,
) -> Rules:
    return Rules(
        beam,
        EOS,
        min_length,
        frozenset(max_lengths),
        torch.tensor([BOS]),
        torch.tensor([BOS, EOS]),
        divisors_T,
        scored,
    )


def random_step(seed: int) -> tuple[Tensor, Beam, Rules]:
    """The log-probabilities of a beam of any size; with an odd seed most totals are equal to
    others."""
    generator = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator)

    def log_probs(*shape: int) -> Tensor:
        values = torch.rand(shape, generator=generator) * -4
        values = values.round() if seed % 2 else values
        return (
            values.masked_fill(torch.rand(shape, generator=generator) < 0.2, -torch.inf)
            .sort(dim=1, descending=True)
            .values
        )

    B, K, V = int(integers(1, 40, 1)), int(integers(1, 7, 1)), 64 * int(integers(1, 20, 1))
    width, length = K + int(integers(0, 4, 1)), int(integers(1, LENGTHS + 1, 1))
    logits_NV = torch.randn(B * K, V, generator=generator) * 2
    logits_NV[:, EOS] += 4
    logits_NV[::7, 4:] = -torch.inf  # rows with few continuations
    logits_NV = logits_NV.round() if seed % 2 else logits_NV
    beam = Beam(
        length=length,
        picked=int(integers(0, 1000, 1)),
        sentences_B=integers(0, 100, B).sort().values,
        max_lengths_B=integers(length, LENGTHS + 1, B),
        log_probs_BK=log_probs(B, K),
        origins_BK=integers(0, 1000, B, K),
        free_B=integers(0, width + 1, B),
        best_BQ=log_probs(B, int(integers(1, width + 1, 1))),
    )
    return (
        logits_NV,
        beam,
        rules(
            width,
            range(LENGTHS + 1),
            torch.arange(1, LENGTHS + 1) ** 0.7,
            min_length=3 * (seed % 3),
        ),
    )


def assert_equal(
    found: BeamRecord | NextRows | Beam,
    expected: BeamRecord | NextRows | Beam,
    but_for: dict[str, Tensor],
) -> None:
    """Fields named in `but_for` are compared where it is True: elsewhere is no prefix."""
    for name, ours, theirs in zip(expected._fields, found, expected, strict=True):
        if isinstance(theirs, Tensor):
            assert ours.dtype == theirs.dtype, name
            assert ours.shape == theirs.shape, name
            where = but_for.get(name, slice(None))
            assert torch.equal(ours[where], theirs[where]), name
        else:
            assert ours == theirs, name


@needs_library
@pytest.mark.parametrize("seed", range(80))
def test_a_step_is_torchs(seed: int) -> None:
    picks, next_rows, beam = TORCH.advance(*random_step(seed))
    found_picks, found_next, found_beam = COMPILED.advance(*random_step(seed))
    kept_BP, live_BK = picks.log_probs_BP > -torch.inf, beam.log_probs_BK > -torch.inf
    assert_equal(found_picks, picks, {"parents_BP": kept_BP, "pieces_BP": kept_BP})
    assert_equal(found_next, next_rows, {"pieces_N": live_BK.view(-1), "rows_N": live_BK.view(-1)})
    assert_equal(found_beam, beam, {"origins_BK": live_BK})


@needs_library
@pytest.mark.parametrize("seed", range(4))
def test_a_step_from_logits_is_one_from_their_log_probabilities(seed: int) -> None:
    logits_NV, beam, unscored = random_step(seed)
    normalisers_N = COMPILED.best_pieces(logits_NV.clone(), torch.tensor([BOS]), True).normalisers_N
    expected = COMPILED.advance(logits_NV - normalisers_N[:, None], beam, unscored)
    for part, value in zip(
        COMPILED.advance(logits_NV, beam, unscored._replace(scored=True)), expected, strict=True
    ):
        assert_equal(part, value, {})


@needs_library
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("beam", "n_best"), [(1, 1), (2, 1), (5, 1), (5, 5), (12, 3), (70, 70)])
@pytest.mark.parametrize("pieces", [64, 448])
def test_a_search_is_torchs(seed: int, beam: int, n_best: int, pieces: int) -> None:
    tables_BCV = random_tables(30, pieces, seed, ending=3.0)
    tables_BCV = tables_BCV.round() if seed % 2 else tables_BCV
    settings = {
        "beam": beam,
        "n_best": n_best,
        "length_alpha": 0.7,
        "min_length": 2,
        "forbidden": (2, 3),
    }
    found, records = [], []
    sources = lengths_as_sources([2 + (sentence + seed) % LENGTHS for sentence in range(30)])
    for kernels in (TORCH, COMPILED):
        # without the softmax, which differs
        network = Constrained(TableNetwork(tables_BCV, kernels), (), 0)
        result = beam_search(network, sources, settings_of(**settings, recorded=True))
        found.append(result.hypotheses)
        records.append(result.record)
    assert found[0] == found[1]
    for theirs, ours in zip(*records, strict=True):
        kept_BP = theirs.log_probs_BP > -torch.inf
        assert_equal(ours, theirs, {"parents_BP": kept_BP, "pieces_BP": kept_BP})
    assert len({len(picks.pieces_BP) for picks in records[0]}) > 1  # sentences have left


@pytest.mark.parametrize("kernels", [TORCH, pytest.param(COMPILED, marks=needs_library)])
@pytest.mark.parametrize(
    ("best", "live"), [(-1.0, 1), (-0.4, 0)]
)  # the live prefix may reach -2 / 4 in the end
def test_the_best_take_the_free_slots_and_a_prefix_that_cannot_win_ends(
    kernels: SearchKernels, best: float, live: int
) -> None:
    logits_NV = torch.full((2, 64), -9.0)
    logits_NV[0, 7], logits_NV[1, EOS], logits_NV[1, 8] = -2.0, -1.5, -2.0
    beam = Beam(
        2,
        6,
        *torch.tensor([[9], [4]]),
        torch.zeros(1, 2),
        torch.tensor([[3, 5]]),
        torch.tensor([2]),
        torch.tensor([[best]]),
    )
    picks, next_rows, after = kernels.advance(
        logits_NV, beam, rules(3, [4], torch.tensor([1.0, 2.0, 3.0, 4.0]))
    )
    assert picks.log_probs_BP.tolist() == [[-1.5, -2.0, -torch.inf]]
    assert picks.pieces_BP.tolist() == [[EOS, 7, 8]]
    assert picks.parents_BP.tolist() == [[5, 3, 5]]
    assert picks.scores_BP.tolist() == [[-0.75, -torch.inf, -torch.inf]]
    assert after.best_BQ.tolist() == [[max(best, -0.75)]] * live
    assert (next_rows.pieces_N.tolist(), next_rows.rows_N.tolist(), after.origins_BK.tolist()) == (
        [7] * live,
        [0] * live,
        [[6 + 1]] * live,
    )
    assert (after.length, after.picked, after.free_B.tolist(), after.sentences_B.tolist()) == (
        3,
        9,
        [1] * live,
        [9] * live,
    )


@pytest.mark.parametrize("kernels", [TORCH, pytest.param(COMPILED, marks=needs_library)])
def test_a_sentence_at_its_max_length_can_only_end(kernels: SearchKernels) -> None:
    logits_NV = torch.arange(128.0).view(2, 64)
    beam = Beam(
        1,
        0,
        *torch.tensor([[0], [1]]),
        torch.tensor([[-0.5, -1.0]]),
        torch.tensor([[3, 5]]),
        torch.tensor([4]),
        torch.zeros(1, 1),
    )
    picks, next_rows, after = kernels.advance(logits_NV, beam, rules(3, [1], torch.ones(1)))
    assert picks.scores_BP.tolist() == [[EOS - 0.5, 64 + EOS - 1.0, -torch.inf]]
    assert (len(next_rows.pieces_N), len(after.sentences_B)) == (0, 0)


@needs_library
def test_logits_that_are_not_finite_give_no_pick() -> None:
    logits_NV, forbidden_F = torch.full((1, 64), torch.nan), torch.tensor([BOS])
    assert COMPILED.best_pieces(logits_NV.clone(), forbidden_F, True).values_N.isnan().all()
    beam = Beam(
        1,
        0,
        *torch.tensor([[0], [4]]),
        torch.zeros(1, 1),
        torch.tensor([[-1]]),
        torch.tensor([5]),
        torch.full((1, 1), -torch.inf),
    )
    picks, _, after = COMPILED.advance(logits_NV, beam, rules(5, [4], torch.ones(4), scored=True))
    assert (picks.log_probs_BP == -torch.inf).all()
    assert len(after.sentences_B) == 0
