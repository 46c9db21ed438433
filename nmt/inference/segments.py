"""Lines longer than the model has seen are translated in segments: nothing is truncated."""

from collections.abc import Sequence
from typing import NamedTuple

from nmt.data.subwords import WORD_START, Subwords

SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", ".\"", "!\"", "?\"", ".”", "!”", "?”")  # fmt: skip
CLAUSE_ENDS = (",", ";", ":", "–", "、", "，", "；", "：")


class Segment(NamedTuple):
    """A line, or a part of a line longer than the model has seen."""

    line: int
    ids: list[int]


def cut_lines(lines: Sequence[str], subwords: Subwords, longest: int) -> list[Segment]:
    """The segments of all lines, of at most `longest` pieces each; a blank line has none."""
    segments = []
    for line, ids in enumerate(subwords.encode([line.rstrip("\r\n") for line in lines])):
        ends = segment_ends(subwords.pieces(ids), longest) if ids else []
        segments += [Segment(line, ids[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    return segments


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
