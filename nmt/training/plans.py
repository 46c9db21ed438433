"""The batches of a run, in their order and from any place on."""

from collections.abc import Callable, Generator, Iterator, Sequence
from random import Random
from typing import NamedTuple, Protocol

import numpy as np

from nmt.data.batches import Batch, Block, Integers, TrainingBatch, batch_order, blocks, collate
from nmt.data.store import Store
from nmt.recipe import Recipe, TrainingConfig
from nmt.text.augmentation import JOINED, joined, marked_pair, varied
from nmt.text.rare_characters import Ids, sprinkle
from nmt.text.subwords import SubwordPair
from nmt.training.distributed import ALONE, Processes

Sample = Callable[
    [Sequence[str], Sequence[str], float, tuple[int, int]], tuple[list[list[int]], list[list[int]]]
]


class PlacedBatches(NamedTuple):
    """The batches of one update and its place in the run."""

    epoch: int
    place: int  # in the epoch, in updates from 0
    last: bool  # of the epoch
    seed: int  # of the network's random numbers in this update
    batches: tuple[TrainingBatch, ...]  # this process's share of each; a share may be without rows
    rows: Integers  # pair numbers in the store, of all processes

    @property
    def pieces(self) -> int:
        """Target pieces of this process's share."""
        return sum(batch.pieces for batch in self.batches)


class Plan(NamedTuple):
    """One update before its batches are made."""

    epoch: int
    place: int  # in the epoch, in updates from 0
    last: bool  # of the epoch
    batches: Sequence[Integers]  # pair numbers in the store


class Rows(Protocol):
    """What the order of an epoch depends on: the lengths of the pairs, in pieces."""

    @property
    def source_lengths(self) -> Integers: ...
    @property
    def target_lengths(self) -> Integers: ...
    def __len__(self) -> int: ...


def plans(store: Rows, config: TrainingConfig, epoch: int, place: int) -> Iterator[Plan]:
    """The updates of a run from a place in an epoch on. Blocks before it are made again, to
    count their updates, one at a time."""
    for current in range(epoch, config.epochs + 1):
        passed = 0
        for block in blocks(len(store), config.seed, current):
            passed += yield from _plans_of_block(store, config, current, block, passed, place)
        place = 0


def _plans_of_block(
    store: Rows, config: TrainingConfig, epoch: int, block: Block, passed: int, place: int
) -> Generator[Plan, None, int]:
    """Plans from `place` on, where `passed` updates of the epoch come before the block; returns
    how many updates the block has."""
    updates = _updates(store, config, epoch, block)
    for index in range(max(0, place - passed), len(updates)):
        rows = [block.rows[batch] for batch in updates[index]]
        yield Plan(epoch, passed + index, block.last and index == len(updates) - 1, rows)
    return len(updates)


def updates_in_epoch(store: Rows, config: TrainingConfig, epoch: int) -> int:
    """How many there are, counted a block at a time."""
    return sum(
        len(_updates(store, config, epoch, block))
        for block in blocks(len(store), config.seed, epoch)
    )


def _updates(
    store: Rows, config: TrainingConfig, epoch: int, block: Block
) -> list[Sequence[Integers]]:
    """The batches of a block, as many together as make one update."""
    lengths = store.source_lengths[block.rows], store.target_lengths[block.rows]
    order = batch_order(*lengths, config.batch_pieces, config.seed, epoch, block.number)
    return [
        order[start : start + config.accumulate]
        for start in range(0, len(order), config.accumulate)
    ]


class Maker(NamedTuple):
    """What turns a plan into batches."""

    store: Store
    subwords: SubwordPair
    recipe: Recipe
    processes: Processes
    sample: Sample  # SubwordPair.sample, or something that does the same elsewhere

    def make(self, plan: Plan) -> PlacedBatches:
        """All randomness is a function of seed, epoch and place alone."""
        config, rank = self.recipe.training, self.processes.rank
        first = plan.place * config.accumulate
        batches = tuple(
            self._batch((plan.epoch, first + index), rows)
            for index, rows in enumerate(plan.batches)
        )
        # The first process draws as if it were alone.
        seed = seeds_at(config.seed, plan.epoch, first, *([rank] if rank else []))[3]
        return PlacedBatches(
            plan.epoch, plan.place, plan.last, seed, batches, np.concatenate(plan.batches)
        )

    def _batch(self, place: tuple[int, int], rows: Integers) -> Batch:
        """This process's share of a batch: every size-th pair, so that all shares are of the
        same lengths."""
        subwords = self.recipe.subwords
        seeds = seeds_at(self.recipe.training.seed, *place)
        share = rows[self.processes.rank :: self.processes.size]
        if not len(share):
            return collate([], [])
        generator = Random(seeds[4])
        changes = subwords.variety if self.subwords.placeholders else 0.0
        changed = [row for row in range(len(share)) if generator.random() < changes]
        if subwords.sampling:
            texts = list(zip(*self.store.texts(share), strict=True))
            if self.subwords.placeholders:
                texts = [marked_pair(*each) for each in texts]
            for row in changed:
                texts[row] = varied(*texts[row], generator)
            sides = [source for source, _ in texts], [target for _, target in texts]
            drawn = self.sample(*sides, subwords.sampling, (seeds[0], seeds[1]))
            sources, targets = list[Ids](drawn[0]), list[Ids](drawn[1])
        else:
            kept = self.store.ids(share)
            sources, targets = list[Ids](kept[0]), list[Ids](kept[1])
            self._change(share, changed, sources, targets, generator)
        if changes and generator.random() < JOINED:
            longest = self.recipe.data.max_length
            sources, targets = joined(sources, targets, longest, generator)
        rare = subwords.rare_characters if subwords.byte_fallback else 0.0
        return collate(*sprinkle(sources, targets, self.subwords, rare, seeds[2]))

    def _change(
        self,
        share: Integers,
        changed: list[int],
        sources: list[Ids],
        targets: list[Ids],
        generator: Random,
    ) -> None:
        """Puts changed pairs into the places of these rows of the share."""
        if not changed:
            return
        texts = zip(*self.store.texts(share[changed]), strict=True)
        pairs = [varied(*each, generator) for each in texts]
        new_sources = self.subwords.source.encode([source for source, _ in pairs])
        new_targets = self.subwords.target.encode([target for _, target in pairs])
        for row, source, target in zip(changed, new_sources, new_targets, strict=True):
            if source and target:
                sources[row], targets[row] = source, target


def placed_batches(
    store: Store,
    subwords: SubwordPair,
    recipe: Recipe,
    epoch: int,
    place: int,
    processes: Processes = ALONE,
) -> Iterator[PlacedBatches]:
    """The updates of a run from a place in an epoch on, each made when it is asked for."""
    maker = Maker(store, subwords, recipe, processes, subwords.sample)
    return map(maker.make, plans(store, recipe.training, epoch, place))


def seeds_at(*place: int) -> list[int]:
    """Of the source's pieces, the target's, the rare characters, the network and the changes."""
    return [int(seed) for seed in np.random.SeedSequence(place).generate_state(5)]
