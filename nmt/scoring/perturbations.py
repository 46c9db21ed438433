"""Test sets made harder: what a system meets outside a clean corpus. Pure functions of the text
and a seed."""

import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

TYPO_SHARE = 0.1  # of the words
UNSEEN = "☃🦩⸙ꙮ𝄞"  # characters that corpora of sentences hardly have
INVISIBLE = ("\N{NO-BREAK SPACE}", "  ", "\N{SOFT HYPHEN}", "\N{ZERO WIDTH SPACE}")
QUOTES = (("“", "”"), ("„", "“"), ("«", "»"), ('"', '"'))
ROWS = (2, 3, 4, 6, 8, 32)  # sentences on a line
STOPS = (".", "!", "?", "…", "。", "！", "？")


class Condition(NamedTuple):
    """A test set changed in one way."""

    name: str
    about: str  # what was done, for people
    sources: list[str]
    references: list[str]  # changed where the source's change calls for it
    alike: str = ""  # a name in FOLDS: what is made equal in outputs and references


def conditions(sources: Sequence[str], references: Sequence[str], seed: int = 1) -> list[Condition]:
    """The test set as it is, then in each changed form; line for line, longer conditions with
    fewer lines."""
    chance = random.Random(seed)
    plain, expected = list(sources), list(references)
    return [
        Condition("as it is", "the test set itself", plain, expected),
        *_of_characters(plain, expected, chance),
        *_of_case(plain, expected),
        *_of_punctuation(plain, expected, chance),
        Condition(
            "doubled",
            "every sentence twice on its line",
            [f"{s} {s}" for s in plain],
            [f"{s} {s}" for s in expected],
        ),
        *(
            Condition(
                f"{count} in a row",
                f"{count} sentences on one line",
                joined(plain, count),
                joined(expected, count),
            )
            for count in ROWS
            if len(plain) >= count
        ),
    ]


def _of_characters(
    plain: list[str], expected: list[str], chance: random.Random
) -> Iterator[Condition]:
    share = f"{TYPO_SHARE:.0%}"
    yield Condition(
        "typos",
        f"a letter swapped, dropped, doubled or replaced in {share} of the words",
        [typos(s, chance) for s in plain],
        expected,
    )
    yield Condition(
        "unseen characters",
        "a character from outside the corpus as one more word; it is not scored",
        [unseen(s, chance) for s in plain],
        expected,
        "unseen",
    )
    yield Condition(
        "invisible characters",
        "a no-break space, a second space, a soft hyphen or a zero-width space in each line",
        [invisible(s, chance) for s in plain],
        expected,
    )
    yield Condition(
        "decomposed accents",
        "accented letters as a letter and a combining accent (NFD)",
        [unicodedata.normalize("NFD", s) for s in plain],
        expected,
    )


def _of_case(plain: list[str], expected: list[str]) -> Iterator[Condition]:
    yield Condition("lower case", "the source in lower case", [s.lower() for s in plain], expected)
    yield Condition(
        "upper case",
        "the source in capitals; scored without case",
        [s.upper() for s in plain],
        expected,
        "case",
    )
    yield Condition(
        "title case",
        "every word with a capital; scored without case",
        [" ".join(word[:1].upper() + word[1:] for word in s.split(" ")) for s in plain],
        expected,
        "case",
    )


def _of_punctuation(
    plain: list[str], expected: list[str], chance: random.Random
) -> Iterator[Condition]:
    yield Condition(
        "no final stop",
        "no full stop at the end, in the reference neither",
        [unstopped(s) for s in plain],
        [unstopped(s) for s in expected],
    )
    yield Condition(
        "doubled final stop",
        "the final stop two or three times; repeated stops are scored as one",
        [stops_repeated(s, chance) for s in plain],
        expected,
        "stops",
    )
    yield Condition(
        "no punctuation",
        "no punctuation on either side",
        [unpunctuated(s) for s in plain],
        [unpunctuated(s) for s in expected],
    )
    yield Condition(
        "quotes",
        "typographic, straight or angle quotes around the line; scored as one kind",
        [f"{left}{s}{right}" for s in plain for left, right in [chance.choice(QUOTES)]],
        [f'"{s}"' for s in expected],
        "quotes",
    )
    yield Condition(
        "typographic apostrophes",
        "’ instead of '; scored as one kind",
        [s.replace("'", "’") for s in plain],
        expected,
        "quotes",
    )


def _without_case(line: str) -> str:
    return line.lower()


def _without_unseen(line: str) -> str:
    return " ".join(line.translate({ord(each): " " for each in UNSEEN}).split())


def _quotes_alike(line: str) -> str:
    line = re.sub("[“”„‟«»]|''|,,", '"', line)
    return re.sub("[‘’‚]", "'", line)


def _stops_alike(line: str) -> str:
    return re.sub(r"([.!?…。！？])[.!?…。！？]+", r"\1", line)


FOLDS: Mapping[str, Callable[[str], str]] = {
    "": str,
    "case": _without_case,
    "unseen": _without_unseen,
    "quotes": _quotes_alike,
    "stops": _stops_alike,
}


def typos(line: str, chance: random.Random, share: float = TYPO_SHARE) -> str:
    """Each word of two letters or more is hurt with probability `share`."""
    return " ".join(
        _hurt(word, chance) if len(word) > 1 and chance.random() < share else word
        for word in line.split(" ")
    )


def unseen(line: str, chance: random.Random) -> str:
    """One word more, at a random place but not at the end."""
    words = line.split(" ")
    words.insert(chance.randrange(len(words)), chance.choice(UNSEEN))
    return " ".join(words)


def invisible(line: str, chance: random.Random) -> str:
    """A kind of space in the place of one space, or a character without width inside a word."""
    character = chance.choice(INVISIBLE)
    spaces = [place for place, each in enumerate(line) if each == " "]
    inside = [
        place
        for place in range(1, len(line))
        if line[place - 1].isalpha() and line[place].isalpha()
    ]
    if character.isspace():
        if not spaces:
            return line
        place = chance.choice(spaces)
        return line[:place] + character + line[place + 1 :]
    if not inside:
        return line
    place = chance.choice(inside)
    return line[:place] + character + line[place:]


def stops_repeated(line: str, chance: random.Random) -> str:
    """The final stop two or three times; as it is without one."""
    bare = unstopped(line)
    stop = line.rstrip()[len(bare) :].strip()
    return bare + stop * chance.randint(2, 3)


def unpunctuated(line: str) -> str:
    """Letters, numbers and spaces alone, apostrophes and hyphens inside words too."""
    bare = re.sub(r"(?<!\w)['’-]|['’-](?!\w)|[^\w\s'’-]", " ", line)
    return " ".join(bare.split())


def unstopped(line: str) -> str:
    """Without the final stop."""
    return (
        line.rstrip()
        .removesuffix(next((stop for stop in STOPS if line.rstrip().endswith(stop)), ""))
        .rstrip()
    )


def joined(lines: Sequence[str], count: int) -> list[str]:
    """Every `count` lines as one; what is left over at the end is left out."""
    return [
        " ".join(lines[start : start + count]) for start in range(0, len(lines) - count + 1, count)
    ]


def _hurt(word: str, chance: random.Random) -> str:
    place = chance.randrange(len(word) - 1)
    before, first, second, after = word[:place], word[place], word[place + 1], word[place + 2 :]
    other = chance.choice("abcdefghijklmnopqrstuvwxyz")
    return (
        before
        + chance.choice([second + first, second, first + first + second, first + other])
        + after
    )
