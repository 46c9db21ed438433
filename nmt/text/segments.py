"""Lines longer than any in training: the lengths seen there, where a line is cut, and how its
parts are joined."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from nmt.errors import NmtError
from nmt.files import TABLE_BYTES, read_json
from nmt.limits import LIMITS, shown
from nmt.run_folder import LENGTHS
from nmt.text.subwords import WORD_START

CLOSERS = "\"'”’»›)\\]）」』】》〉］｣"
# The full stops, question and exclamation marks of all scripts, and the marks of clauses, with the
# quotes and brackets that close after.
SENTENCE_END = re.compile(f"[.!?…‥‽؟۔।॥։።፧།။។。！？．｡][{CLOSERS}]*$")
CLAUSE_END = re.compile(f"[,;:–—،؛၊፣፤、，；：][{CLOSERS}]*$")
# Marks of Chinese and Japanese, after which no space is written.
WIDE_END = re.compile(f"[。！？｡、，；：][{CLOSERS}]*$")
NOT_FIRST = re.compile(f"[{CLOSERS}。！？｡、，；：…]")  # belongs to what stands before it
CHINESE_JAPANESE = "\u2e80-\u303f\u3040-\u30ff\u31c0-\u31ff\u3400-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"  # noqa: E501
WIDE = re.compile(f"[{CHINESE_JAPANESE}]")
WITHOUT_SPACES = re.compile(
    f"[{CHINESE_JAPANESE}\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]"
)  # also Thai, Lao, Tibetan, Burmese, Khmer
BYTES = re.compile("(?:<0x[0-9A-F]{2}>)+")  # how sentencepiece spells what it has no piece for
LATER_BYTE = re.compile("<0x[89AB].>")  # not the first one of a character
MARKS = 8  # pieces before a cut in which its mark and closing quotes are


def segment_ends(pieces: Sequence[str], longest: int) -> list[int]:
    """Ends of segments of at most `longest` pieces: after the last sentence that fits, else the
    last clause, word, or character.

    `pieces` are written as sentencepiece does, with U+2581 where a word starts. The last end is
    len(pieces). What begins without a word start gets one when it is encoded anew: there is room
    for it.
    """
    ends: list[int] = []
    start, room = 0, longest
    while len(pieces) - start > room:
        start = _best_end(pieces, start, start + room)
        ends.append(start)
        room = longest if pieces[start].startswith(WORD_START) else max(1, longest - 1)
    return [*ends, len(pieces)]


def _best_end(pieces: Sequence[str], start: int, limit: int) -> int:
    by_mark: dict[re.Pattern[str], int] = {}
    word = character = 0
    for end in range(limit, start, -1):
        starts_word = pieces[end].startswith(WORD_START)
        before = _text(pieces[max(start, end - MARKS) : end]).rstrip(WORD_START)
        if starts_word or (
            WIDE_END.search(before) and not NOT_FIRST.match(_text(pieces[end : end + MARKS]))
        ):
            if SENTENCE_END.search(before):
                return end
            if CLAUSE_END.search(before):
                by_mark.setdefault(CLAUSE_END, end)
        if starts_word:
            word = word or end
        elif not LATER_BYTE.fullmatch(pieces[end]):
            character = character or end
    return by_mark.get(CLAUSE_END) or word or character or limit


def _text(pieces: Sequence[str]) -> str:
    return BYTES.sub(
        lambda spelled: bytes.fromhex(spelled[0][3:-1].replace("><0x", "")).decode(
            errors="replace"
        ),
        "".join(pieces),
    )


def is_within_word(pieces: Sequence[str], cut: int) -> bool:
    """Whether a cut is inside a word: no space stands there, and the script would have one
    between words."""
    before, after = _text(pieces[max(0, cut - MARKS) : cut]), _text(pieces[cut : cut + MARKS])
    return not (
        after.startswith(WORD_START)
        or WITHOUT_SPACES.match(before[-1:])
        or WITHOUT_SPACES.match(after)
    )


def glue(before: str, after: str) -> str:
    """What is written between two texts: nothing where one of them is Chinese or Japanese, else
    a space."""
    return (
        ""
        if WIDE.search(before.rstrip("\"'”’)")[-1:]) or WIDE.match(after.lstrip("\"'“‘("))
        else " "
    )


class Lengths(NamedTuple):
    """Pieces of the longest line on each side, the end of sentence not counted."""

    source: int
    target: int

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What the folder records; None for models from before this was recorded.

        Raises:
            NmtError: the record is damaged.
        """
        path = folder / LENGTHS
        if not path.exists():
            return None
        try:
            values = read_json(path, TABLE_BYTES, folder)
            found = cls(values["source"], values["target"])
            if any(
                type(value) is not int or not 1 <= value <= LIMITS["data.max_length"].high
                for value in found
            ):
                raise ValueError(f"got {shown(found.source)} and {shown(found.target)}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NmtError(
                f"{path}: not the longest lines of training ({error}); copy it again, or delete it"
            ) from None
        return found

    def text(self) -> str:
        """The content of the record."""
        return json.dumps(self._asdict()) + "\n"


def longest_of(several: Iterable[Lengths]) -> Lengths:
    """What a model has seen that was trained on one corpus after another."""
    return Lengths(*map(max, zip(*several, strict=True)))


def shortest_of(several: Iterable[Lengths]) -> Lengths:
    """What every model of an ensemble has seen."""
    return Lengths(*map(min, zip(*several, strict=True)))
