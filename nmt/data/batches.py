"""Pieces -> batches: which pairs go together, in which order, and their tensors."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nmt.vocabulary import BOS, EOS, PAD

# ruff: noqa: N802 (tensors end in their shape)


Integers = npt.NDArray[np.integer]
ROWS = 8  # batches of four times as many and more have a multiple of it: matrix units work on tiles
# pieces; so that pairs of equal lengths change places and batches differ between epochs; more is
# more padding
SOURCE_JITTER = 1.0


class TrainingBatch(Protocol):
    """What training does with a batch, whatever its task."""

    @property
    def rows(self) -> int: ...
    @property
    def pieces(self) -> int: ...
    @property
    def padded_pieces(self) -> int: ...
    @property
    def longest(self) -> str: ...
    def to(self, device: torch.device | str) -> "TrainingBatch": ...
    def part(self, rows: slice) -> "TrainingBatch": ...


class Batch(NamedTuple):
    """Pairs of one update: the source ends in EOS, the decoder reads BOS + target and is to
    write target + EOS."""

    source_BS: Tensor
    source_lengths_B: Tensor
    input_BT: Tensor
    output_BT: Tensor
    output_lengths_B: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))

    @property
    def source_mask_BS(self) -> Tensor:
        return self.source_BS != PAD

    @property
    def output_mask_BT(self) -> Tensor:
        return self.output_BT != PAD

    def part(self, rows: slice) -> "Batch":
        """Some of the pairs, as wide as the whole."""
        return Batch(*(tensor[rows] for tensor in self))

    def twice(self) -> "Batch":
        """All pairs, and then all of them again."""
        return Batch(*(torch.cat([tensor, tensor]) for tensor in self))

    @property
    def padded_pieces(self) -> int:
        """Of the wider side, padding included: what the memory of an update grows with."""
        return max(self.source_BS.numel(), self.output_BT.numel())

    @property
    def pieces(self) -> int:
        """Target pieces, EOS included: what the loss is averaged over."""
        return int(self.output_lengths_B.sum())

    @property
    def rows(self) -> int:
        """Pairs."""
        return len(self.output_lengths_B)

    @property
    def longest(self) -> str:
        """The first pair's size in words, for messages."""
        source, target = int(self.source_lengths_B[0]), int(self.output_lengths_B[0])
        return f"one pair of {source} and {target} pieces"


def collate(
    sources: Sequence[Sequence[int] | Integers], targets: Sequence[Sequence[int] | Integers]
) -> Batch:
    """The batch of these pairs, in this order."""
    source_BS, source_lengths_B = padded(sources, suffix=(EOS,))
    input_BT, _ = padded(targets, prefix=(BOS,))
    output_BT, output_lengths_B = padded(targets, suffix=(EOS,))
    return Batch(source_BS, source_lengths_B, input_BT, output_BT, output_lengths_B)


def padded(
    rows: Sequence[Sequence[int] | Integers],
    prefix: tuple[int, ...] = (),
    suffix: tuple[int, ...] = (),
) -> tuple[Tensor, Tensor]:
    """(ids, lengths): `prefix + row + suffix` for each row, padded with PAD to the longest."""
    lengths = np.fromiter(
        (len(prefix) + len(row) + len(suffix) for row in rows), np.int64, len(rows)
    )
    filled = np.full((len(rows), lengths.max(initial=0)), PAD, np.int64)
    for line, row, length in zip(filled, rows, lengths, strict=True):
        line[:length] = (*prefix, *row, *suffix)
    return torch.from_numpy(filled), torch.from_numpy(lengths)


def batch_order(
    source_lengths: Integers,
    target_lengths: Integers,
    batch_pieces: int,
    seed: int,
    epoch: int,
    block: int = 0,
) -> list[Integers]:
    """The batches of one epoch, or of one block of it, as arrays of pair numbers; a pure function
    of its arguments.

    Each pair comes once. Rows times the longest row, EOS included, is at most `batch_pieces` on
    each side; only a pair that is longer itself is alone in its batch. Pairs are sorted by target
    length, then by source length, rising and falling in turn, so that the source is long on both
    sides where one target length ends and the next begins. Then the batches are shuffled.
    """
    random = np.random.default_rng((seed, epoch, block) if block else (seed, epoch))
    source_key = source_lengths + random.uniform(0.0, SOURCE_JITTER, len(source_lengths))
    order = np.lexsort((np.where(target_lengths % 2, source_key, -source_key), target_lengths))
    batches = _cut(order, source_lengths[order] + 1, target_lengths[order] + 1, batch_pieces)
    return [batches[number] for number in random.permutation(len(batches))]


def source_batches(lengths: Integers, batch_pieces: int) -> list[Integers]:
    """Batches for translation: sentences of near-equal length together, the longest first; sizes
    as in `batch_order`."""
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    widths = lengths[order] + 1
    return _cut(order, widths, widths, batch_pieces)


def _cut(
    order: Integers, source_widths: Integers, target_widths: Integers, batch_pieces: int
) -> list[Integers]:
    """Cut the sorted pairs into the fewest runs that fit the budget."""
    widths = np.maximum(source_widths, target_widths).astype(np.int64)
    batches = []
    start = 0
    while start < len(order):
        at_most = max(1, batch_pieces // int(widths[start]))
        padded_pieces = np.maximum.accumulate(widths[start : start + at_most]) * np.arange(
            1, min(at_most, len(order) - start) + 1
        )
        size = max(1, int(np.searchsorted(padded_pieces, batch_pieces, side="right")))
        size -= size % ROWS if size >= 4 * ROWS else 0
        batches.append(order[start : start + size])
        start += size
    return batches


BLOCK = 4_000_000  # pairs at most; sorting them takes some 250 MB
RUN = 10_000  # neighbouring pairs that stay in one block: the disk is read where it was read before


class Block(NamedTuple):
    """Pairs whose batches are made together."""

    number: int  # from 1; 0 of a corpus that is one block
    rows: Integers  # pair numbers, rising
    last: bool  # of the epoch


def blocks(pairs: int, seed: int, epoch: int) -> Iterator[Block]:
    """The blocks of an epoch; a pure function of its arguments. Each takes its runs of pairs
    from anywhere in the corpus."""
    if pairs <= BLOCK:
        yield Block(0, np.arange(pairs), last=True)
        return
    runs = -(-pairs // RUN)
    count = -(-runs // max(1, BLOCK // RUN))
    shuffled = np.random.default_rng((seed, epoch)).permutation(runs)
    for number, chosen in enumerate(np.array_split(shuffled, count), 1):
        starts = np.sort(chosen) * RUN
        rows = (starts[:, None] + np.arange(RUN)).reshape(-1)
        yield Block(number, rows[rows < pairs], number == count)
