"""Test sets made harder: what a system meets outside a clean corpus. Pure functions of the text
and a seed."""

import random
from collections.abc import Sequence
from typing import NamedTuple

TYPO_SHARE = 0.1  # of the words
UNSEEN = "☃🦩⸙ꙮ𝄞"  # characters that corpora of sentences hardly have
STOPS = (".", "!", "?", "…", "。", "！", "？")


class Condition(NamedTuple):
    """A test set changed in one way."""

    name: str
    about: str  # what was done, for people
    sources: list[str]
    references: list[str]  # changed where the source's change calls for it


def conditions(sources: Sequence[str], references: Sequence[str], seed: int = 1) -> list[Condition]:
    """The test set as it is, then in each changed form; line for line, longer conditions with
    fewer lines."""
    chance = random.Random(seed)
    plain, expected = list(sources), list(references)
    share = f"{TYPO_SHARE:.0%}"
    made = [
        Condition("as it is", "the test set itself", plain, expected),
        Condition(
            "typos",
            f"a letter swapped, dropped, doubled or replaced in {share} of the words",
            [typos(s, chance) for s in plain],
            expected,
        ),
        Condition(
            "lower case", "the source in lower case", [line.lower() for line in plain], expected
        ),
        Condition(
            "unseen characters",
            "a character from outside the corpus as one more word",
            [unseen(s, chance) for s in plain],
            expected,
        ),
        Condition(
            "no final stop",
            "no full stop at the end, in the reference neither",
            [unstopped(s) for s in plain],
            [unstopped(s) for s in expected],
        ),
        Condition(
            "doubled",
            "every sentence twice on its line",
            [f"{s} {s}" for s in plain],
            [f"{s} {s}" for s in expected],
        ),
    ]
    return made + [
        Condition(
            f"{count} in a row",
            f"{count} sentences on one line",
            joined(plain, count),
            joined(expected, count),
        )
        for count in (4, 8)
        if len(plain) >= count
    ]


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
