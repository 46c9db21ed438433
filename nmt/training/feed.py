"""The batches of a run, in their order and from any place on."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nmt.config import Recipe
from nmt.data.batches import Batch, Integers, batch_order, collate
from nmt.data.rare_characters import Ids, sprinkle
from nmt.data.store import Store
from nmt.data.subwords import SubwordPair
from nmt.training.processes import ALONE, Processes


class PlacedBatches(NamedTuple):
    """The batches of one update and its place in the run."""

    epoch: int
    place: int  # in the epoch, in updates from 0
    last: bool  # of the epoch
    seed: int  # of the network's random numbers in this update
    batches: tuple[Batch, ...]  # this process's share of each; a share may be without rows
    rows: Integers  # pair numbers in the store, of all processes

    @property
    def pieces(self) -> int:
        """Target pieces of this process's share."""
        return sum(batch.pieces for batch in self.batches)


def updates_of(order: Sequence[Integers], accumulate: int) -> list[Sequence[Integers]]:
    """The batches of an epoch, as many together as make one update."""
    return [order[start : start + accumulate] for start in range(0, len(order), accumulate)]


def placed_batches(
    store: Store, subwords: SubwordPair, recipe: Recipe, epoch: int, place: int, processes: Processes = ALONE
) -> Iterator[PlacedBatches]:
    """The updates of a run from a place in an epoch on: order and all randomness are functions of seed, epoch and place alone."""
    config = recipe.training
    for current in range(epoch, config.epochs + 1):
        order = batch_order(store.source_lengths, store.target_lengths, config.batch_pieces, config.seed, current)
        updates = updates_of(order, config.accumulate)
        for index in range(place, len(updates)):
            first = index * config.accumulate
            batches = [_batch(store, subwords, recipe, (current, first + i), rows, processes) for i, rows in enumerate(updates[index])]
            # The first process draws as if it were alone.
            seed = _seeds(config.seed, current, first, *([processes.rank] if processes.rank else []))[3]
            last = index == len(updates) - 1
            yield PlacedBatches(current, index, last, seed, tuple(batches), np.concatenate(updates[index]))
        place = 0


def _batch(store: Store, subwords: SubwordPair, recipe: Recipe, place: tuple[int, int], rows: Integers, processes: Processes) -> Batch:
    """This process's share of a batch: every size-th pair, so that all shares are of the same lengths."""
    sampling = recipe.subwords.sampling
    seeds = _seeds(recipe.training.seed, *place)
    share = rows[processes.rank :: processes.size]
    if not len(share):
        return collate([], [])
    sources: Sequence[Ids]
    targets: Sequence[Ids]
    if sampling:
        texts = store.texts(share)
        sources = subwords.source.sample(texts[0], sampling, seeds[0])
        targets = subwords.target.sample(texts[1], sampling, seeds[1])
    else:
        sources, targets = store.ids(share)
    rare = recipe.subwords.rare_characters if recipe.subwords.byte_fallback else 0.0
    return collate(*sprinkle(sources, targets, subwords, rare, seeds[2]))


def _seeds(*place: int) -> list[int]:
    """Of the source's pieces, the target's, the rare characters and the network."""
    return [int(seed) for seed in np.random.SeedSequence(place).generate_state(4)]
