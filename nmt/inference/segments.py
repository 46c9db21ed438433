"""Lines longer than the model has seen are translated in segments: nothing is truncated."""

from collections.abc import Sequence

from nmt.data.subwords import WORD_START

SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", ".\"", "!\"", "?\"", ".”", "!”", "?”")  # fmt: skip
CLAUSE_ENDS = (",", ";", ":", "–", "、", "，", "；", "：")


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
