"""Batches of one-sided text: the network reads each piece and is to write the next one."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.batches import Integers, padded
from nmt.vocabulary import BOS, EOS, PAD

# ruff: noqa: N802 (tensors end in their shape)

Layers = tuple[tuple[Tensor, ...], ...]  # of each layer the parts of its cell's state [B, H]


class Carried(NamedTuple):
    """The states of a batch's streams of running text: read, and written by the update."""

    before: Layers  # in front of the first piece
    after: Layers  # behind the last piece: filled when the loss is computed

    def part(self, rows: slice) -> "Carried":
        """Views of some of the rows."""
        return Carried(*(_part(layers, rows) for layers in self))


class TextBatch(NamedTuple):
    """Lines, or windows of running text, of one update."""

    input_BT: Tensor
    output_BT: Tensor
    carried: Carried | None = None  # None: every row begins a text of its own

    def to(self, device: torch.device | str) -> "TextBatch":
        return self._replace(
            input_BT=self.input_BT.to(device, non_blocking=True),
            output_BT=self.output_BT.to(device, non_blocking=True),
        )

    @property
    def mask_BT(self) -> Tensor:
        """True where there is a piece to write."""
        return self.output_BT != PAD

    def part(self, rows: slice) -> "TextBatch":
        """Some of the rows, as wide as the whole."""
        carried = self.carried and self.carried.part(rows)
        return TextBatch(self.input_BT[rows], self.output_BT[rows], carried)

    @property
    def rows(self) -> int:
        """Lines, or streams of running text."""
        return len(self.output_BT)

    @property
    def padded_pieces(self) -> int:
        """Padding included: what the memory of an update grows with."""
        return self.output_BT.numel()

    @property
    def pieces(self) -> int:
        """Pieces to write, ends of line included: what the loss is averaged over."""
        return int(self.mask_BT.sum())

    @property
    def longest(self) -> str:
        """The first row's size in words, for messages."""
        return f"one row of {self.output_BT.shape[1]} pieces"


def collate_lines(lines: Sequence[Sequence[int] | Integers]) -> TextBatch:
    """Each line as a text of its own: BOS + line is read, line + EOS written."""
    return TextBatch(padded(lines, prefix=(BOS,))[0], padded(lines, suffix=(EOS,))[0])


def _part(layers: Layers, rows: slice) -> Layers:
    return tuple(tuple(part_BH[rows] for part_BH in layer) for layer in layers)
