"""Lines longer than the model has seen are translated in segments: nothing is truncated."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from nmt.data.batches import Integers, source_batches
from nmt.errors import NmtError
from nmt.text.lines import is_blank
from nmt.text.segments import is_within_word, segment_ends
from nmt.text.subwords import WORD_START, SubwordPair, Subwords
from nmt.vocabulary import UNK


class Segment(NamedTuple):
    """A line, or a part of a line longer than the model has seen."""

    line: int
    ids: list[int]
    prefix: list[int]  # what its translation begins with
    spaced: bool = True  # white space stands before it in the line
    within_word: bool = False  # it goes on with a word of the segment before


def cut_lines(
    lines: Sequence[str], prefixes: Sequence[str], subwords: SubwordPair, longest: int
) -> list[Segment]:
    """The segments of all lines, of at most `longest` pieces each; a blank line has none. A line's
    prefix is its first segment's.

    Raises:
        NmtError: a prefix has characters without a piece.
    """
    prefix_ids = encode_prefixes(prefixes, subwords, [""] * len(prefixes))
    segments = []
    for line, ids in enumerate(subwords.encode_sources(lines)):
        if 0 < len(ids) <= longest:
            segments.append(Segment(line, ids, prefix_ids[line]))
        elif ids:
            segments += _cut(line, ids, prefix_ids[line], subwords.source, longest)
    return segments


def _cut(
    line: int, ids: list[int], prefix: list[int], source: Subwords, longest: int
) -> Iterator[Segment]:
    """The segments of a long line. What follows a cut without white space is encoded anew:
    training text begins with a word start."""
    pieces = source.pieces(ids)
    ends = segment_ends(pieces, longest)
    yield Segment(line, ids[: ends[0]], prefix)
    for start, end in pairwise(ends):
        part, spaced = ids[start:end], pieces[start].startswith(WORD_START)
        if not spaced and UNK not in part:
            anew = source.encode(source.decode([part]))[0]
            part = anew if 0 < len(anew) <= longest else part
        yield Segment(line, part, [], spaced, is_within_word(pieces, start))


def encode_prefixes(
    prefixes: Sequence[str], subwords: SubwordPair, places: Sequence[str]
) -> list[list[int]]:
    """Ids of each prefix, none of an empty one.

    Raises:
        NmtError: one has characters without a piece; the message begins with its place.
    """
    if not any(prefixes):
        return [[] for _ in prefixes]
    found = subwords.target.encode(["" if is_blank(prefix) else prefix for prefix in prefixes])
    for prefix, ids, place in zip(prefixes, found, places, strict=True):
        if UNK in ids:
            raise NmtError(
                f"{place}prefix {prefix[:60]!r}: the model has no piece for some of its characters;"
                " leave them out"
            )
    return found


def segment_batches(segments: Sequence[Segment], batch_pieces: int) -> list[Integers]:
    """Batches of segment numbers. Those with a prefix keep to themselves: how the others are
    searched does not depend on them."""
    lengths = np.array([len(segment.ids) for segment in segments])
    forced = np.array([bool(segment.prefix) for segment in segments], dtype=bool)
    groups = [np.flatnonzero(forced == whether) for whether in (False, True)]
    return [
        group[batch] for group in groups for batch in source_batches(lengths[group], batch_pieces)
    ]
