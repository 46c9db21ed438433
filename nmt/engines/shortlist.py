"""Lexical shortlist: the target pieces that the pieces of a source sentence may call for.

Dimensions besides the legend: X target pieces of a source piece, C candidates of a batch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nmt.errors import NmtError
from nmt.model.weights import HEADER_BYTES, array_shapes, save_weights
from nmt.vocabulary import EOS, PAD

STEP = 64  # candidate sets are a multiple of so many pieces
LARGEST = 256  # target pieces of one source piece; training writes 100
FREQUENT = 128  # target pieces that are always candidates


def largest_shortlist(source_size: int, target_size: int) -> int:
    """Bytes that the file of a shortlist between vocabularies of these sizes has at most: its
    pieces are numbers of 4 bytes."""
    return 8 + HEADER_BYTES + 4 * (source_size * (LARGEST + 1) + 2 * target_size)


class Shortlist:
    """For each source piece its likeliest target pieces, all target pieces by frequency, and which
    pieces of both sides are bytes.

    A sentence may use the special pieces, the 128 most frequent ones, the likeliest ones of its own
    pieces (Jean et al. 2015, sec. 3.3; Schwenk et al. 2007) and, if a byte is among its pieces,
    every byte: a rare character is copied byte by byte.
    """

    def __init__(
        self,
        best_VX: Tensor,
        frequent_V: Tensor,
        source_bytes: Sequence[int] | Tensor = (),
        target_bytes: Sequence[int] | Tensor = (),
    ) -> None:
        padding = torch.tensor(
            [PAD]
        )  # which calls for nothing, or a sentence's candidates would depend on longer neighbours
        self.best_VX, self.frequent_V = best_VX.int().index_fill(0, padding, EOS), frequent_V.long()
        self.source_bytes, self.target_bytes = (
            torch.as_tensor(part, dtype=torch.long) for part in (source_bytes, target_bytes)
        )
        self.always_V = torch.zeros(len(frequent_V), dtype=torch.bool)
        self.always_V[: EOS + 1] = True
        self.always_V[self.frequent_V[:FREQUENT]] = True
        self.is_byte_V = torch.zeros(len(best_VX), dtype=torch.bool)
        self.is_byte_V[self.source_bytes] = True
        self.is_byte_V[PAD] = False

    @classmethod
    def load(cls, path: Path, source_size: int, target_size: int) -> Self:
        """Reads what `save` wrote for vocabularies of these sizes.

        Raises:
            NmtError: no such file, or a shortlist of another model.
        """
        advice = "delete it, and the `nmt train` of this run makes it again"
        try:
            found = array_shapes(path, largest_shortlist(source_size, target_size))
            shapes = {name: each.shape for name, each in found.items()}
            best, rest = (
                shapes.pop("best", ()),
                {name: len(shape) for name, shape in shapes.items()},
            )
            if len(best) != 2 or rest != {"frequent": 1, "source_bytes": 1, "target_bytes": 1}:
                raise NmtError(f"{path}: not a shortlist; {advice}")
            if best[0] != source_size or shapes["frequent"] != (target_size,):
                raise NmtError(f"{path}: the shortlist of another model; {advice}")
            parts = load_file(path)
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            raise NmtError(f"{path}: cannot read the shortlist ({reason}); {advice}") from error
        for name, part in parts.items():
            if (
                part.dtype != torch.int32
                or (
                    (part < 0) | (part >= (source_size if name == "source_bytes" else target_size))
                ).any()
            ):
                raise NmtError(f"{path}: names pieces that the model does not have; {advice}")
        return cls(parts["best"], parts["frequent"], parts["source_bytes"], parts["target_bytes"])

    def save(self, path: Path) -> None:
        """Writes one safetensors file."""
        parts = {
            "best": self.best_VX,
            "frequent": self.frequent_V,
            "source_bytes": self.source_bytes,
            "target_bytes": self.target_bytes,
        }
        save_weights({name: part.int() for name, part in parts.items()}, path)

    def candidates(self, source_BS: Tensor) -> tuple[Tensor, Tensor]:
        """-> candidates_C, the pieces that any of these sentences may use, rising; allowed_BC,
        which of them each sentence may use.

        What a sentence may use depends on that sentence alone. The first candidates are PAD, UNK,
        BOS and EOS. The last ones may be PAD again, which then no sentence may use: they make a
        multiple of 64, so that products come in few sizes.
        """
        # NumPy: torch takes several times as long over small bool tensors
        source = source_BS.numpy()
        B, V = len(source), len(self.always_V)
        allowed = np.repeat(self.always_V.numpy()[None], B, 0)
        allowed.reshape(-1)[
            self.best_VX.numpy()[source].reshape(B, -1) + V * np.arange(B)[:, None]
        ] = True
        spelt = self.is_byte_V.numpy()[source].any(1)
        if spelt.any():
            allowed[np.ix_(spelt, self.target_bytes.numpy())] = True
        candidates = np.flatnonzero(allowed.any(0))
        missing = -len(candidates) % STEP
        allowed_BC = np.pad(allowed.take(candidates, 1), ((0, 0), (0, missing)))
        return torch.from_numpy(
            np.pad(candidates, (0, missing), constant_values=PAD)
        ), torch.from_numpy(allowed_BC)
