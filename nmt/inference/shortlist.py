"""Lexical shortlist: the target pieces that the pieces of a source sentence may call for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nmt.data.subwords import EOS
from nmt.errors import NmtError

SHORTLIST = "shortlist.safetensors"  # its file in a model folder
STEP = 64  # candidate sets are a multiple of so many pieces
BEST = 100  # target pieces of each source piece
FREQUENT = 128  # target pieces that are always candidates
LINKS = 20_000_000  # at most so many pairs of positions are counted
ROUNDS = 4  # of expectation and maximisation

Integers = npt.NDArray[np.integer]


class Shortlist:
    """For each source piece its likeliest target pieces, and all target pieces by frequency, of which the first are always candidates.

    A batch's candidates are the union over its source pieces (Jean et al. 2015, sec. 3.3; Schwenk et al. 2007), filled up with the next
    frequent pieces to a multiple of 64.
    """

    def __init__(self, best_VX: Tensor, frequent_V: Tensor) -> None:
        self.best_VX, self.frequent_V = best_VX.long(), frequent_V.long()

    @classmethod
    def load(cls, path: Path, source_size: int, target_size: int) -> Self:
        """Reads what `save` wrote for vocabularies of these sizes.

        Raises:
            NmtError: no such file, or a shortlist of another model.
        """
        try:
            parts = load_file(path)
        except (OSError, SafetensorError) as error:
            raise NmtError(f"{path}: cannot read the shortlist ({error}); export the model again") from error
        best_VX, frequent_V = parts.get("best"), parts.get("frequent")
        if best_VX is None or frequent_V is None or best_VX.ndim != 2 or len(best_VX) != source_size or len(frequent_V) != target_size:
            raise NmtError(f"{path}: the shortlist of another model; export the model again")
        if min(int(best_VX.min()), int(frequent_V.min())) < 0 or max(int(best_VX.max()), int(frequent_V.max())) >= target_size:
            raise NmtError(f"{path}: names pieces that the model does not have; export the model again")
        return cls(best_VX, frequent_V)

    def save(self, path: Path) -> None:
        """Writes one safetensors file."""
        save_file({"best": self.best_VX.int(), "frequent": self.frequent_V.int()}, path)

    def candidates(self, source_BS: Tensor) -> Tensor:
        """The pieces that any of these sentences may need, in rising order; the special ones are always there."""
        wanted_V = torch.zeros(len(self.frequent_V), dtype=torch.bool)
        wanted_V[: EOS + 1] = True
        wanted_V[self.frequent_V[:FREQUENT]] = True
        wanted_V[self.best_VX.index_select(0, source_BS.reshape(-1).unique()).view(-1)] = True
        missing = -int(wanted_V.sum()) % STEP
        if missing:
            others = self.frequent_V[~wanted_V[self.frequent_V]]
            wanted_V[others[:missing]] = True
        return wanted_V.nonzero().view(-1)


def learn_shortlist(sources: Sequence[Integers], targets: Sequence[Integers], source_size: int, target_size: int) -> Shortlist:
    """A shortlist from training pairs, each given as pieces, by the lexical translation probabilities of IBM model 1 (Brown et al. 1993).

    Of a large corpus an even sample of the pairs is used.
    """
    links = sum(len(source) * len(target) for source, target in zip(sources, targets, strict=True))
    stride = 1 + links // LINKS
    counts_V = np.bincount(np.concatenate([*targets, np.zeros(0, np.int64)]), minlength=target_size)
    keys, probabilities = _translation_probabilities(sources[::stride], targets[::stride], target_size)
    order = np.lexsort((-probabilities, keys // target_size))
    keys = keys[order]
    source_pieces, target_pieces = keys // target_size, keys % target_size
    rank = np.arange(len(keys)) - np.searchsorted(source_pieces, source_pieces)
    best_VX = np.full((source_size, BEST), EOS, np.int64)
    chosen = rank < BEST
    best_VX[source_pieces[chosen], rank[chosen]] = target_pieces[chosen]
    return Shortlist(torch.from_numpy(best_VX), torch.from_numpy(np.argsort(-counts_V, kind="stable")))


def _translation_probabilities(
    sources: Sequence[Integers], targets: Sequence[Integers], target_size: int
) -> tuple[Integers, npt.NDArray[np.float64]]:
    """-> keys (source piece * target size + target piece), rising, and P(target piece | source piece) of each."""
    keys, positions = [], []
    position = 0
    for source, target in zip(sources, targets, strict=True):
        ended = np.append(source, EOS).astype(np.int64)  # the end stands for whatever no piece calls for: model 1's empty word
        keys.append((ended * target_size + np.asarray(target, np.int64)[:, None]).reshape(-1))
        positions.append(np.repeat(np.arange(position, position + len(target)), len(ended)))
        position += len(target)
    if not keys:
        return np.zeros(0, np.int64), np.zeros(0)
    position_of_link = np.concatenate(positions)
    unique, link = np.unique(np.concatenate(keys), return_inverse=True)
    source_of_key = unique // target_size
    probabilities = np.ones(len(unique))
    for _ in range(ROUNDS):
        shares = probabilities[link]
        shares /= np.bincount(position_of_link, shares)[position_of_link]
        counts = np.bincount(link, shares, len(unique))
        probabilities = counts / np.bincount(source_of_key, counts)[source_of_key]
    return unique, probabilities
