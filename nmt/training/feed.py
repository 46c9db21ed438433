"""The batches of a run, in their order and from any place on."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nmt.config import Recipe
from nmt.data.batches import Batch, batch_order, collate
from nmt.data.rare_characters import Ids, sprinkle
from nmt.data.store import Store
from nmt.data.subwords import SubwordPair


class PlacedBatch(NamedTuple):
    """A batch and its place in the run."""

    epoch: int
    place: int  # in the epoch, from 0
    last: bool  # of the epoch
    batch: Batch


def placed_batches(store: Store, subwords: SubwordPair, recipe: Recipe, epoch: int, place: int) -> Iterator[PlacedBatch]:
    """The batches of a run from a place in an epoch on: order and subword sampling are functions of seed, epoch and place alone."""
    config, sampling = recipe.training, recipe.subwords.sampling
    rare = recipe.subwords.rare_characters if recipe.subwords.byte_fallback else 0.0
    for current in range(epoch, config.epochs + 1):
        order = batch_order(store.source_lengths, store.target_lengths, config.batch_pieces, config.seed, current)
        for index in range(place, len(order)):
            seeds = [int(seed) for seed in np.random.SeedSequence([config.seed, current, index]).generate_state(3)]
            sources: Sequence[Ids]
            targets: Sequence[Ids]
            if sampling:
                texts = store.texts(order[index])
                sources = subwords.source.sample(texts[0], sampling, seeds[0])
                targets = subwords.target.sample(texts[1], sampling, seeds[1])
            else:
                sources, targets = store.ids(order[index])
            batch = collate(*sprinkle(sources, targets, subwords, rare, seeds[2]))
            yield PlacedBatch(current, index, index == len(order) - 1, batch)
        place = 0
