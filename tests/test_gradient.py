"""The gradient of an update does not depend on how it is cut: into accumulated batches, into
parts, or when memory gives out."""

import numpy as np
import pytest
import torch
from training_runs import small_network

from nmt.data.batches import collate
from nmt.errors import NmtError
from nmt.recipe import TrainingConfig
from nmt.training import gradient as gradient_module
from nmt.training.gradient import add_gradients
from nmt.training.precision import autocast

PAIRS = [
    ([5, 6, 7], [8, 9]),
    ([10], [11, 12, 13, 14]),
    ([4, 5], [6]),
    ([15, 16, 17, 18], [19, 4, 5]),
]


def batch_of(pairs):
    return collate([source for source, _ in pairs], [target for _, target in pairs])


def gradients(batches, model=None, part_pieces=0, **settings):
    """(what add_gradients returns, the gradients)"""
    model = model or small_network()
    pieces = sum(batch.pieces for batch in batches)
    plain = autocast(torch.device("cpu"), "fp32")
    found = add_gradients(
        model, tuple(batches), pieces, TrainingConfig(**settings), plain, 1, part_pieces
    )
    return found, [parameter.grad for parameter in model.parameters()]


def assert_same(first, second):
    assert first[0][:2] == pytest.approx(second[0][:2], rel=1e-5)
    for ours, theirs in zip(first[1], second[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_accumulated_batches_have_the_gradient_of_one_batch():
    assert_same(gradients([batch_of(PAIRS[:1]), batch_of(PAIRS[1:])]), gradients([batch_of(PAIRS)]))


@pytest.mark.parametrize("part_pieces", [1, 5, 10, 1000])
def test_parts_of_a_batch_have_the_gradient_of_the_whole(part_pieces):
    assert_same(gradients([batch_of(PAIRS)], part_pieces=part_pieces), gradients([batch_of(PAIRS)]))


def test_a_share_without_rows_adds_nothing():
    assert_same(gradients([collate([], []), batch_of(PAIRS)]), gradients([batch_of(PAIRS)]))


def memory_for(
    rows,
    monkeypatch,
    message="DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
):
    """Lets the loss of more than so many rows fail as torch's allocator does; returns the sizes
    that were tried."""
    real, tried = gradient_module.batch_loss, []

    def limited(model, batch, *rest):
        tried.append(len(batch.output_lengths_B))
        if len(batch.output_lengths_B) > rows:
            raise RuntimeError(message)
        return real(model, batch, *rest)

    monkeypatch.setattr(gradient_module, "batch_loss", limited)
    return tried


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_running_out_of_memory_splits_the_batch_and_drops_nothing(rows, monkeypatch):
    whole = gradients([batch_of(PAIRS[:2]), batch_of(PAIRS)])
    tried = memory_for(rows, monkeypatch)
    split = gradients([batch_of(PAIRS[:2]), batch_of(PAIRS)])
    assert_same(split, whole)
    assert max(tried[-3:]) <= rows  # the limit is kept for what follows
    assert 0 < split[0].part_pieces < batch_of(PAIRS).padded_pieces


def test_a_pair_too_large_for_memory_ends_with_advice(monkeypatch):
    memory_for(0, monkeypatch, message="CUDA out of memory. Tried to allocate 9 GiB")
    with pytest.raises(
        NmtError,
        match=(
            r"memory does not suffice to train on one pair of 4 and 3 pieces; lower data.max_length"
        ),
    ):
        gradients([batch_of(PAIRS)])


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch):
    memory_for(0, monkeypatch, message="shapes do not fit")
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        gradients([batch_of(PAIRS)])


def test_the_same_seed_draws_the_same_dropout_whatever_was_drawn_before():
    settings = {"dropout": 0.5, "word_dropout": 0.2, "weight_drop": 0.2}
    first = gradients([batch_of(PAIRS)], small_network(**settings))
    torch.rand(7)
    second = gradients([batch_of(PAIRS)], small_network(**settings))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(first[1], second[1], strict=True))


def test_r_drop_without_dropout_changes_nothing():
    assert_same(gradients([batch_of(PAIRS)], r_drop=5.0), gradients([batch_of(PAIRS)]))


def test_r_drop_adds_the_divergence_of_two_different_passes():
    plain = gradients([batch_of(PAIRS)], small_network(dropout=0.5), r_drop=1e-9)[0]
    strong = gradients([batch_of(PAIRS)], small_network(dropout=0.5), r_drop=5.0)[0]
    assert strong.cross_entropy == pytest.approx(plain.cross_entropy)
    assert strong.smoothed > plain.smoothed


def test_padding_of_parts_stays_as_it_was():
    part = batch_of(PAIRS).part(slice(1, 2))
    assert part.source_BS.shape == (1, 5)
    assert np.array_equal(part.output_lengths_B, [5])
