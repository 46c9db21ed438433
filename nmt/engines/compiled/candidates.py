"""The shortlist in compiled code: the same candidates of each sentence, and their places in the
output layer of a batch.

Dimensions besides the legend: X target pieces of a source piece, O outputs (the candidates of any
sentence), C candidates of a sentence.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.native import PANEL, CandidatesArrays, ShortlistArrays, address, functions
from nmt.vocabulary import PAD

# of the sentences of a batch: a piece that more of them may use is among those that are computed
# for all
SHARED = 0.1


class BatchCandidates(NamedTuple):
    """What the sentences of a batch may use."""

    # all of it: those of many sentences first, then those of each sentence side by side; PAD up to
    # a multiple of 64
    outputs_O: Tensor
    counts_B: Tensor  # how many candidates each sentence has
    allowed: Tensor  # [B, O / 64], 64 bits each: which outputs they are
    own_BC: Tensor  # which pieces they are, in the order of the outputs; PAD up to a multiple of 64


class CompiledShortlist:
    """A shortlist in the order that the compiled function reads it. Most of 64 outputs side by
    side are candidates of few sentences."""

    def __init__(self, shortlist: Shortlist) -> None:
        V = len(shortlist.always_V)
        bytes_V = torch.zeros(V, dtype=torch.bool)
        bytes_V[shortlist.target_bytes] = True
        self.always, self.bytes = int(shortlist.always_V.sum()), len(shortlist.target_bytes)
        self.pieces, self.best = V, shortlist.best_VX.shape[1]
        self.tensors = (
            shortlist.best_VX.contiguous(),
            shortlist.is_byte_V,
            _bits(shortlist.always_V),
            _bits(bytes_V),
        )  # kept alive
        self.arrays = ShortlistArrays(
            source_pieces=len(shortlist.best_VX),
            pieces=V,
            best_count=self.best,
            best=address(self.tensors[0]),
            is_byte=address(self.tensors[1]),
            always=address(self.tensors[2]),
            bytes=address(self.tensors[3]),
            shared=SHARED,
        )

    def candidates(self, source_BS: Tensor) -> BatchCandidates:
        """As Shortlist.candidates. PAD, UNK, BOS and EOS, which every sentence may use, are the
        first outputs."""
        (B, S), source_BS = source_BS.shape, source_BS.contiguous()
        most = _whole(min(self.pieces, self.always + self.bytes + S * self.best))
        every = _whole(min(self.pieces, B * most))
        sizes = every, B, B * every // PANEL, B * most
        outputs_O, counts_B, allowed, own = (torch.empty(size, dtype=torch.long) for size in sizes)
        arrays = CandidatesArrays(
            sentences=B,
            length=S,
            source=address(source_BS),
            outputs=address(outputs_O),
            counts=address(counts_B),
            allowed=address(allowed),
            own=address(own),
            padding=PAD,
        )
        refuse_piece(
            functions().nmt_candidates(self.arrays, arrays),
            source_BS.view(-1),
            self.arrays.source_pieces,
        )
        O, C = arrays.columns, arrays.width  # noqa: E741
        return BatchCandidates(
            outputs_O[:O],
            counts_B,
            allowed[: B * O // PANEL].view(B, O // PANEL),
            own[: B * C].view(B, C),
        )


def refuse_piece(number: int, pieces: Tensor, size: int) -> None:
    """Raises NmtError unless `number` is -1: it is that of a piece that a compiled function did
    not find in a table of this size."""
    if number >= 0:
        raise NmtError(
            f"piece {int(pieces[number])} is none of the model's {size:,}; these subwords are not"
            " the model's"
        )


def _whole(size: int) -> int:
    return -(-size // PANEL) * PANEL


def _bits(chosen_V: Tensor) -> Tensor:
    """A set of pieces in words of 64 bits."""
    return torch.from_numpy(
        np.packbits(np.pad(chosen_V.numpy(), (0, -len(chosen_V) % 64)), bitorder="little")
    )
