"""What is to be translated: lines that callers hand over, checked; texts of several lines, taken
apart and put together again; and lines longer than the model has seen, in segments. Nothing is
truncated.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice, pairwise, zip_longest
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from nmt.data.batches import Integers, source_batches
from nmt.errors import NmtError
from nmt.text.lines import is_blank
from nmt.text.segments import is_within_word, segment_ends
from nmt.text.subwords import WORD_START, SubwordPair, Subwords
from nmt.vocabulary import UNK


def texts_of(texts: Iterable[str], name: str) -> Iterator[str]:
    """The texts, each a string; `name` is the argument's.

    Raises:
        NmtError: a text in place of several, or something that is no text among them.
    """
    if isinstance(texts, str | bytes):
        raise NmtError(
            f"{name} must be several lines, got the text {texts[:40]!r}; put it in a list"
        )
    if not isinstance(texts, Iterable):
        raise NmtError(f"{name} must be a list of lines, got {texts!r}")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise NmtError(
                f"{name}[{index}] must be a string, got {repr(text)[:60]}; give '' for a blank line"
            )
        yield text


def single_lines(texts: Iterable[str], name: str) -> Iterator[str]:
    """As `texts_of`, without the line ends.

    Raises:
        NmtError: also for a text of several lines.
    """
    for index, text in enumerate(texts_of(texts, name)):
        line = text.rstrip("\r\n")
        if "\n" in line:
            raise NmtError(
                f"{name}[{index}] has a line break inside, got {line[:60]!r}; give each line by"
                " itself"
            )
        yield line


def with_prefixes(
    lines: Iterable[str], prefixes: Iterable[str] | None
) -> Iterator[tuple[str, str]]:
    """Each line with its prefix, "" for none.

    Raises:
        NmtError: not as many prefixes as lines, or as of `single_lines`.
    """
    if prefixes is None:
        yield from ((line, "") for line in lines)
        return
    for number, (line, prefix) in enumerate(
        zip_longest(lines, single_lines(prefixes, "prefixes")), start=1
    ):
        if line is None or prefix is None:
            raise NmtError(
                f"{'prefix' if line is None else 'line'} {number} has no partner; give one prefix"
                " for each line, '' for none"
            )
        yield line, prefix


class SplitTexts(NamedTuple):
    """The lines of texts."""

    lines: list[tuple[str, str]]  # with their prefixes; a text's prefix is that of its first line
    counts: list[int]  # of the lines of each text
    places: list[tuple[int, ...]]  # of each line: the number of its text, and its own in the text


def split_breaks(pairs: Iterable[tuple[str, str]], first: int = 0) -> SplitTexts:
    """Takes texts with prefixes apart; `first` texts came before them."""
    split = SplitTexts([], [], [])
    for number, (text, prefix) in enumerate(pairs, first):
        parts = text.rstrip("\r\n").replace("\r\n", "\n").split("\n")
        split.counts.append(len(parts))
        for line, part in enumerate(parts):
            split.lines.append((part, "" if line else prefix))
            split.places.append((number, line))
    return split


def join_breaks(lines: Iterable[str], counts: Sequence[int]) -> Iterator[str]:
    """The texts that `split_breaks` took apart."""
    each = iter(lines)
    return ("\n".join(islice(each, count)) for count in counts)


class Segment(NamedTuple):
    """A line, or a part of a line longer than the model has seen."""

    line: int
    ids: list[int]
    prefix: list[int]  # what its translation begins with
    spaced: bool = True  # white space stands before it in the line
    within_word: bool = False  # it goes on with a word of the segment before
    # its line in the whole input and its number in the line, which decide what is drawn for it
    place: tuple[int, ...] = ()


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


def cut_into_batches(
    lines: Sequence[tuple[str, str]],
    subwords: SubwordPair,
    longest: int,
    batch_pieces: int,
    places: Sequence[tuple[int, ...]],
) -> tuple[list[Segment], list[Integers]]:
    """The segments of lines with prefixes, as of `cut_lines`, and batches of their numbers, of at
    most `batch_pieces` padded pieces. Segments with a prefix keep to themselves: how the others are
    searched does not depend on them. `places` are of the lines."""
    texts, prefixes = [text for text, _ in lines], [prefix for _, prefix in lines]
    segments = [
        segment._replace(place=(*places[segment.line], number))
        for _, parts in groupby(cut_lines(texts, prefixes, subwords, longest), itemgetter(0))
        for number, segment in enumerate(parts)
    ]
    lengths = np.array([len(segment.ids) for segment in segments])
    forced = np.array([bool(segment.prefix) for segment in segments], dtype=bool)
    groups = [np.flatnonzero(forced == whether) for whether in (False, True)]
    return segments, [
        group[batch] for group in groups for batch in source_batches(lengths[group], batch_pieces)
    ]
