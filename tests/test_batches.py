"""Batches hold each pair once, within the budget, in an order that seed and epoch alone decide."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.batches import ROWS, batch_order, collate, source_batches

LENGTHS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=80)
BUDGET = st.integers(1, 200)


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    array = np.array(pairs, np.int32).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def test_collate_adds_the_ends_and_pads() -> None:
    batch = collate([[7, 8], [9]], [[5], [4, 6, 10]])
    assert batch.source_BS.tolist() == [[7, 8, 3], [9, 3, 0]]
    assert batch.input_BT.tolist() == [[2, 5, 0, 0], [2, 4, 6, 10]]
    assert batch.output_BT.tolist() == [[5, 3, 0, 0], [4, 6, 10, 3]]
    assert batch.source_lengths_B.tolist() == [3, 2]
    assert batch.output_lengths_B.tolist() == [2, 4]
    assert batch.source_mask_BS.tolist() == [[True, True, True], [True, True, False]]
    assert batch.output_mask_BT.tolist() == [[True, True, False, False], [True, True, True, True]]
    assert batch.pieces == 6
    assert {tensor.dtype for tensor in batch} == {torch.int64}


def test_collate_takes_arrays_and_empty_sides() -> None:
    batch = collate([np.array([], np.int32)], [np.array([5], np.int32)])
    assert batch.source_BS.tolist() == [[3]]
    assert batch.input_BT.tolist() == [[2, 5]]


def test_moving_a_batch_keeps_it() -> None:
    batch = collate([[7]], [[8]])
    moved = batch.to("cpu")
    assert all(torch.equal(a, b) for a, b in zip(batch, moved, strict=True))


@settings(deadline=None)
@given(pairs=LENGTHS, budget=BUDGET, seed=st.integers(0, 3), epoch=st.integers(0, 3))
def test_each_pair_comes_once_and_batches_fit(
    pairs: list[tuple[int, int]], budget: int, seed: int, epoch: int
) -> None:
    sources, targets = columns(pairs)
    batches = batch_order(sources, targets, budget, seed, epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(pairs)))
    for batch in batches:
        assert (
            len(batch) == 1
            or len(batch) * (max(sources[batch].max(), targets[batch].max()) + 1) <= budget
        )


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    random = np.random.default_rng(1)
    sources, targets = random.integers(1, 40, 1000), random.integers(1, 40, 1000)

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in batch_order(sources, targets, 200, seed, epoch)]

    assert order(1, 0) == order(1, 0)
    assert len({str(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_pairs_of_one_length_meet_others_in_the_next_epoch() -> None:
    lengths = np.full(100, 9)
    first, second = (
        {frozenset(batch.tolist()) for batch in batch_order(lengths, lengths, 100, 1, epoch)}
        for epoch in (0, 1)
    )
    assert len(first) == len(second) == 10
    assert not first & second


def test_short_sources_of_neighbouring_target_lengths_share_a_batch() -> None:
    targets = np.repeat([10, 11], 32)
    sources = np.tile(np.repeat([5, 30], 16), 2)
    batches = batch_order(
        sources, targets, 496, 1, 0
    )  # 496 holds 16 rows of 30 + EOS, or 32 rows of which the longest side is 11 + EOS
    assert sorted((len(batch), int(sources[batch].max())) for batch in batches) == [
        (16, 30),
        (16, 30),
        (32, 5),
    ]


def test_little_of_a_batch_is_padding() -> None:
    random = np.random.default_rng(1)
    targets = random.integers(4, 40, 20_000)
    sources = np.maximum(1, targets + random.integers(-5, 6, 20_000))
    batches = batch_order(sources, targets, 2000, 1, 0)
    padded = sum(
        len(batch) * (lengths[batch].max() + 1)
        for batch in batches
        for lengths in (sources, targets)
    )
    assert (sources + 1).sum() + (targets + 1).sum() > 0.93 * padded


@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 40), max_size=80), budget=BUDGET)
def test_source_batches_come_longest_first_and_fit(lengths: list[int], budget: int) -> None:
    array = np.array(lengths, np.int32)
    batches = source_batches(array, budget)
    order = [int(index) for batch in batches for index in batch]
    assert order == sorted(range(len(lengths)), key=lambda index: -lengths[index])
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (array[batch].max() + 1) <= budget
    for batch in batches[:-1]:
        is_full = (len(batch) + 1) * (array[batch].max() + 1) > budget
        assert is_full or (len(batch) >= 4 * ROWS and len(batch) % ROWS == 0)


def test_batches_of_many_rows_leave_some_out_for_whole_tiles() -> None:
    assert [len(batch) for batch in source_batches(np.zeros(80, int), 39)] == [
        32,
        32,
        16,
    ]  # 39 rows would fit


def test_a_pair_longer_than_the_budget_is_alone() -> None:
    lengths = np.array([50, 3, 3])
    assert sorted(len(batch) for batch in batch_order(lengths, lengths, 10, 1, 0)) == [1, 2]


@pytest.mark.parametrize(
    "order",
    [
        batch_order(np.zeros(0, int), np.zeros(0, int), 10, 1, 0),
        source_batches(np.zeros(0, int), 10),
    ],
)
def test_no_pairs_make_no_batches(order: list[np.ndarray]) -> None:
    assert order == []


def test_larger_batches_have_whole_tiles_of_rows() -> None:
    lengths = np.random.default_rng(1).integers(1, 40, 2000)
    sizes = [len(batch) for batch in batch_order(lengths, lengths, 2048, seed=1, epoch=1)]
    assert sum(size % ROWS > 0 for size in sizes) <= 1  # the last one of the corpus
    assert sum(sizes) == 2000
