"""Lines longer than the model has seen are translated in segments: nothing is truncated."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from nmt.data.batches import Integers, source_batches
from nmt.data.spaces import is_blank
from nmt.data.subwords import UNK, WORD_START, SubwordPair
from nmt.errors import NmtError

SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", ".\"", "!\"", "?\"", ".”", "!”", "?”")  # fmt: skip
CLAUSE_ENDS = (",", ";", ":", "–", "、", "，", "；", "：")


class Segment(NamedTuple):
    """A line, or a part of a line longer than the model has seen."""

    line: int
    ids: list[int]
    prefix: list[int]  # what its translation begins with


def cut_lines(lines: Sequence[str], prefixes: Sequence[str], subwords: SubwordPair, longest: int) -> list[Segment]:
    """The segments of all lines, of at most `longest` pieces each; a blank line has none. A line's prefix is its first segment's.

    Raises:
        NmtError: a prefix has characters without a piece.
    """
    prefix_ids = encode_prefixes(prefixes, subwords, [""] * len(prefixes))
    segments = []
    for line, ids in enumerate(subwords.encode_sources(lines)):
        whole = [len(ids)] if ids else []
        ends = segment_ends(subwords.source.pieces(ids), longest) if len(ids) > longest else whole
        for start, end in zip([0, *ends], ends, strict=False):
            segments.append(Segment(line, ids[start:end], [] if start else prefix_ids[line]))
    return segments


def encode_prefixes(prefixes: Sequence[str], subwords: SubwordPair, places: Sequence[str]) -> list[list[int]]:
    """Ids of each prefix, none of an empty one.

    Raises:
        NmtError: one has characters without a piece; the message begins with its place.
    """
    if not any(prefixes):
        return [[] for _ in prefixes]
    found = subwords.target.encode(["" if is_blank(prefix) else prefix for prefix in prefixes])
    for prefix, ids, place in zip(prefixes, found, places, strict=True):
        if UNK in ids:
            raise NmtError(f"{place}prefix {prefix[:60]!r}: the model has no piece for some of its characters; leave them out")
    return found


def with_prefixes(lines: Iterable[str], prefixes: Iterable[str] | None) -> Iterator[tuple[str, str]]:
    """Each line with its prefix, "" for none.

    Raises:
        NmtError: a text in place of several, or not as many prefixes as lines.
    """
    for name, value in (("lines", lines), ("prefixes", prefixes)):
        if isinstance(value, str):
            raise NmtError(f"{name} must be several lines, got the text {value[:40]!r}; put it in a list")
    if prefixes is None:
        yield from ((line, "") for line in lines)
        return
    for number, (line, prefix) in enumerate(zip_longest(lines, prefixes), start=1):
        if line is None or prefix is None:
            raise NmtError(f"{'prefix' if line is None else 'line'} {number} has no partner; give one prefix for each line, '' for none")
        yield line, prefix


def segment_batches(segments: Sequence[Segment], batch_pieces: int) -> list[Integers]:
    """Batches of segment numbers. Those with a prefix keep to themselves: how the others are searched does not depend on them."""
    lengths = np.array([len(segment.ids) for segment in segments])
    forced = np.array([bool(segment.prefix) for segment in segments], dtype=bool)
    groups = [np.flatnonzero(forced == whether) for whether in (False, True)]
    return [group[batch] for group in groups for batch in source_batches(lengths[group], batch_pieces)]


def segment_ends(pieces: Sequence[str], longest: int) -> list[int]:
    """Ends of segments of at most `longest` pieces: behind the last sentence that fits, else the last clause, word or piece.

    `pieces` are written as sentencepiece does, with U+2581 where a word starts. The last end is len(pieces).
    """
    ends: list[int] = []
    start = 0
    while len(pieces) - start > longest:
        start = _best_end(pieces, start, start + longest)
        ends.append(start)
    return [*ends, len(pieces)]


def _best_end(pieces: Sequence[str], start: int, limit: int) -> int:
    word_ends = [end for end in range(limit, start, -1) if pieces[end].startswith(WORD_START)]
    for marks in (SENTENCE_ENDS, CLAUSE_ENDS, ("",)):
        for end in word_ends:
            if pieces[end - 1].endswith(marks):
                return end
    return limit
