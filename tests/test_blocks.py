"""Large corpora come in blocks: each pair once an epoch, a position found again exactly, one
block in memory."""

from types import SimpleNamespace

import numpy as np
import pytest

from nmt.data import batches as blocks_module
from nmt.data.batches import batch_order, blocks
from nmt.recipe import TrainingConfig
from nmt.training import plans as feed
from nmt.training.plans import Plan, plans, updates_in_epoch

PAIRS = 1234
CONFIG = TrainingConfig(epochs=2, batch_pieces=100, accumulate=2, seed=3)
LENGTHS = np.random.default_rng(1).integers(1, 30, (2, PAIRS))


class Lengths(SimpleNamespace):
    """The part of a store that an order is made of."""

    source_lengths, target_lengths = LENGTHS

    def __len__(self) -> int:
        return PAIRS


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of 10 pairs and blocks of at most 300: five of them."""
    monkeypatch.setattr(blocks_module, "RUN", 10)
    monkeypatch.setattr(blocks_module, "BLOCK", 300)


def listed(given: list[Plan]) -> list[tuple[int, int, bool, list[list[int]]]]:
    return [
        (plan.epoch, plan.place, plan.last, [rows.tolist() for rows in plan.batches])
        for plan in given
    ]


def run(epoch: int = 1, place: int = 0) -> list[Plan]:
    return list(plans(Lengths(), CONFIG, epoch, place))  # type: ignore[arg-type]


def test_a_small_corpus_is_one_block_in_the_order_of_the_whole() -> None:
    order = batch_order(*LENGTHS, CONFIG.batch_pieces, CONFIG.seed, 2)
    made = [rows.tolist() for plan in run(epoch=2) for rows in plan.batches]
    assert made == [rows.tolist() for rows in order]


@pytest.mark.parametrize("epoch", [1, 2])
def test_blocks_hold_each_pair_once_in_whole_runs(small_blocks: None, epoch: int) -> None:
    made = list(blocks(PAIRS, 3, epoch))
    assert [block.number for block in made] == [1, 2, 3, 4, 5]
    assert [block.last for block in made] == [False] * 4 + [True]
    assert sorted(row for block in made for row in block.rows) == list(range(PAIRS))
    for block in made:
        assert len(block.rows) <= 300
        assert block.rows.tolist() == sorted(
            row
            for run in set(block.rows // 10)
            for row in range(10 * run, min(PAIRS, 10 * run + 10))
        )


def test_blocks_are_others_in_the_next_epoch_and_with_another_seed(small_blocks: None) -> None:
    made = {
        str([block.rows.tolist() for block in blocks(PAIRS, seed, epoch)])
        for seed in (1, 2)
        for epoch in (1, 2)
        for _ in "ab"
    }
    assert len(made) == 4


def test_an_epoch_in_blocks_has_each_pair_once_and_ends_once(small_blocks: None) -> None:
    made = run()
    for epoch in (1, 2):
        ours = [plan for plan in made if plan.epoch == epoch]
        assert sorted(row for plan in ours for rows in plan.batches for row in rows) == list(
            range(PAIRS)
        )
        assert [plan.place for plan in ours] == list(
            range(updates_in_epoch(Lengths(), CONFIG, epoch))
        )  # type: ignore[arg-type]
        assert [plan.place for plan in ours if plan.last] == [len(ours) - 1]


def test_batches_of_a_block_fit_the_budget(small_blocks: None) -> None:
    for plan in run():
        for rows in plan.batches:
            assert len(rows) == 1 or len(rows) * (LENGTHS[:, rows].max() + 1) <= CONFIG.batch_pieces


def test_any_place_is_found_again(small_blocks: None) -> None:
    whole = listed(run())
    for start in range(0, len(whole), 7):
        assert listed(run(*whole[start][:2])) == whole[start:]


def test_no_more_than_a_block_is_ordered_at_a_time(
    small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def ordered(source_lengths: np.ndarray, *rest: object) -> list[np.ndarray]:
        sizes.append(len(source_lengths))
        return batch_order(source_lengths, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(feed, "batch_order", ordered)
    given = plans(Lengths(), CONFIG, 1, 0)  # type: ignore[arg-type]
    next(given)
    assert len(sizes) == 1  # the next block waits until it is needed
    assert len(list(given)) > 0
    assert len(sizes) == 10
    assert sum(sizes) == 2 * PAIRS
    assert max(sizes) <= 300
