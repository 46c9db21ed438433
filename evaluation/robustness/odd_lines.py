"""Lines without references: single words, another language, symbols alone, blank ones.

What can be told of their outputs: whether they are empty, repeat themselves or are far too long.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nmt.scoring.checks import repeats
from nmt.scoring.tokenisers import spaced

SYMBOLS = "-–—=+*/\\|~^#@&%$€£§°•★→☐✓"
TIMES, SPARE = 2, 8  # words of an output: more than TIMES the source's and SPARE are far too many


class Shares(NamedTuple):
    """Shares of outputs, each 0 to 1."""

    empty: float  # where the source has text
    repeating: float
    too_long: float


def shares(sources: Sequence[str], outputs: Sequence[str]) -> Shares:
    """What is wrong with outputs at first sight, next to their sources; no references are
    needed."""
    pairs = list(zip(sources, outputs, strict=True))
    return Shares(
        *(
            sum(found) / max(1, len(pairs))
            for found in (
                [not output.strip() and bool(source.strip()) for source, output in pairs],
                [repeats(output, source) for source, output in pairs],
                [too_long(source, output) for source, output in pairs],
            )
        )
    )


def too_long(source: str, output: str) -> bool:
    """Whether the output has more than twice the source's words and 8."""
    return len(spaced(output).split()) > TIMES * len(spaced(source).split()) + SPARE


def shows(line: str) -> bool:
    """Whether the line has a character that people can see."""
    return any(each.isprintable() and not each.isspace() for each in line)


def single_words(sources: Sequence[str], count: int, seed: int = 1) -> list[str]:
    """The most frequent words of the test set and as many rare ones, half of them with a
    capital."""
    counted = Counter(word for line in sources for word in re.findall(r"[^\W\d_]{2,}", line))
    ranked = sorted(counted, key=lambda word: (-counted[word], word))
    chance = random.Random(seed)
    frequent, rest = ranked[: count // 2], ranked[count // 2 :]
    words = frequent + chance.sample(rest, min(len(rest), count - len(frequent)))
    return [word.capitalize() if number % 2 else word.lower() for number, word in enumerate(words)]


def symbol_lines(count: int, seed: int = 1) -> list[str]:
    """Lines without a letter: symbols, stops, emoji, digits between symbols."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        pick = number % 4
        if pick == 0:
            made.append(chance.choice(SYMBOLS) * chance.randint(1, 12))
        elif pick == 1:
            made.append(" ".join(chance.choices(SYMBOLS, k=chance.randint(2, 5))))
        elif pick == 2:
            made.append("".join(chance.choices("🙂🎉🚲🌧🐢🧭", k=chance.randint(1, 4))))
        else:
            made.append(chance.choice(["...", "?", "!!!", "…", ":-)", "(?)", "—?"]))
    return made


BLANK = ("", " ", "\t", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}", "\N{IDEOGRAPHIC SPACE} ")
