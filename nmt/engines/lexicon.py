"""The lexical shortlist of a corpus, by IBM model 1 (Brown et al. 1993), from a sample of its
pairs.

A link is a source and a target position of one pair. Dimensions besides the legend: X target pieces
of a source piece.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from nmt.data.store import Store
from nmt.engines.shortlist import Shortlist
from nmt.text.subwords import SubwordPair
from nmt.vocabulary import EOS

BEST = 100  # target pieces of each source piece
ROWS = 1_000_000  # at most so many pairs are looked at
LINKS = 50_000_000  # at most about so many links are counted
CHUNK = 4_000_000  # links counted together, in some 200 MB
ROUNDS = 4  # of expectation and maximisation

Integers = npt.NDArray[np.integer]
Counts = tuple[
    Integers, npt.NDArray[np.float64]
]  # keys, rising: source piece * target size + target piece; their counts


def learn_shortlist(store: Store, subwords: SubwordPair) -> Shortlist:
    """A shortlist from training pairs, in bounded memory. Of a large corpus an even sample of
    the pairs is used."""
    target_size = subwords.target.size
    total: Counts = np.zeros(0, np.int64), np.zeros(0)
    frequencies_V = np.zeros(target_size, np.int64)
    for rows in sampled_rows(store.source_lengths, store.target_lengths):
        sources, targets = store.ids(rows)
        total = added(total, link_counts(sources, targets, target_size))
        frequencies_V += np.bincount(np.concatenate(targets), minlength=target_size)
    best_VX = best_targets(total, copies_of(subwords), target_size)
    frequent_V = np.argsort(-frequencies_V, kind="stable")
    parts = torch.from_numpy(best_VX), torch.from_numpy(frequent_V)
    return Shortlist(*parts, subwords.source.byte_pieces, subwords.target.byte_pieces)


def sampled_rows(source_lengths: Integers, target_lengths: Integers) -> Iterator[Integers]:
    """An even sample of the pairs, in parts of about CHUNK links."""
    rows = np.arange(0, len(source_lengths), 1 + (len(source_lengths) - 1) // ROWS)
    links = (source_lengths[rows].astype(np.int64) + 1) * target_lengths[rows]
    stride = 1 + int(links.sum()) // LINKS
    rows, ends = rows[::stride], links[::stride].cumsum()
    yield from np.split(rows, np.flatnonzero(np.diff(ends // CHUNK)) + 1)


def link_counts(
    sources: Sequence[Integers], targets: Sequence[Integers], target_size: int
) -> Counts:
    """How often each source piece is expected to be the reason for each target piece, by the model
    of these pairs.

    P(target piece | source piece) starts equal for all; the end of sentence stands for whatever no
    piece calls for, model 1's empty word.
    """
    keys, target_positions = _links(sources, targets, target_size)
    order = keys.argsort(kind="stable")
    keys, target_positions = keys[order], target_positions[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    repeats, keys = np.diff(starts, append=len(keys)), keys[starts]
    probabilities, source_of_key = np.ones(len(keys)), keys // target_size
    for _ in range(ROUNDS):
        shares = np.repeat(probabilities, repeats)
        shares /= np.bincount(target_positions, shares)[target_positions]
        counts = np.add.reduceat(shares, starts)
        probabilities = counts / np.bincount(source_of_key, counts)[source_of_key]
    return keys, counts


def _links(
    sources: Sequence[Integers], targets: Sequence[Integers], target_size: int
) -> tuple[Integers, Integers]:
    """Key and target position, counted through all pairs, of each link."""
    ended = np.concatenate([part for source in sources for part in (source, (EOS,))]).astype(
        np.int64
    )
    written = np.concatenate(targets).astype(np.int64)
    source_lengths = np.array([len(source) + 1 for source in sources])
    target_lengths = np.array([len(target) for target in targets])
    repeats = np.repeat(source_lengths, target_lengths)  # the links of each target position
    target_positions = np.repeat(np.arange(len(written), dtype=np.int32), repeats)
    shifts = np.repeat(source_lengths.cumsum() - source_lengths, target_lengths) - (
        repeats.cumsum() - repeats
    )
    source_positions = np.arange(len(target_positions)) + np.repeat(shifts, repeats)
    return ended[source_positions] * target_size + written[target_positions], target_positions


def added(first: Counts, second: Counts) -> Counts:
    """The counts of two parts of a corpus together."""
    keys, counts = (np.concatenate(parts) for parts in zip(first, second, strict=True))
    order = keys.argsort(kind="stable")
    keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[starts], np.add.reduceat(counts, starts)


def best_targets(counts: Counts, copies: Sequence[Sequence[int]], target_size: int) -> Integers:
    """best_VX: the copies of each source piece, then the target pieces with the highest counts;
    EOS where there are no more."""
    order = np.lexsort((-counts[1], counts[0] // target_size))
    source_pieces, target_pieces = np.divmod(counts[0][order], target_size)
    ranks = np.arange(len(order)) - np.searchsorted(source_pieces, source_pieces)
    best_VX = np.full((len(copies), BEST), EOS, np.int64)
    chosen = ranks < BEST
    best_VX[source_pieces[chosen], ranks[chosen]] = target_pieces[chosen]
    for row_X, pieces in zip(best_VX, copies, strict=True):
        row_X[BEST - len(pieces[:BEST]) :] = pieces[:BEST]
    return best_VX


def copies_of(subwords: SubwordPair) -> list[list[int]]:
    """What a copy of each source piece takes: the same piece, or where the target has none its
    characters, or their bytes."""
    numbers = {
        text: piece
        for piece, text in enumerate(subwords.target.pieces(range(subwords.target.size)))
    }
    copies = []
    for text in subwords.source.pieces(range(subwords.source.size)):
        parts = (
            [text]
            if text in numbers
            else [part for character in text for part in _spelt(character, numbers)]
        )
        copies.append([numbers[part] for part in parts if part in numbers])
    return copies


def _spelt(character: str, numbers: Mapping[str, int]) -> list[str]:
    return (
        [character] if character in numbers else [f"<0x{byte:02X}>" for byte in character.encode()]
    )
