"""Scores of parts of a test set: by length, by how rare the source words are, by domain. A mean
hides where a system fails."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from nmt.errors import NmtError
from nmt.scoring.bleu import Score, corpus_scores
from nmt.scoring.tokenisers import USUAL, spaced

LENGTHS = (1, 6, 11, 21, 31, 51)  # least number of words in each group
COUNTS = (0, 1, 10, 100, 1000)  # least count of the rarest source word in each group
WORD = re.compile(r"\w+")


class Group(NamedTuple):
    """Some of the lines of a test set."""

    name: str
    lines: list[int]  # counted from 0, in order


def by_length(references: Sequence[str], bounds: Sequence[int] = LENGTHS) -> list[Group]:
    """Lines grouped by the number of words of the (first) reference, of characters in scripts
    without spaces."""
    return _by_number(
        [max(bounds[0], len(spaced(line).split())) for line in references], bounds, "words"
    )


def word_counts(lines: Iterable[str]) -> Counter[str]:
    """How often each word occurs in the training text, letter case aside."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(words_of(line))
    return counts


def words_of(line: str) -> list[str]:
    """The words of a line in lower case, without punctuation; each character is one in scripts
    without spaces."""
    return WORD.findall(spaced(line).casefold())


def by_frequency(
    sources: Sequence[str], counts: Mapping[str, int], bounds: Sequence[int] = COUNTS
) -> list[Group]:
    """Lines grouped by how often the rarest word of the source occurs in the training text; a
    line without words goes with the rarest."""
    rarest = [
        min((counts.get(word, 0) for word in words_of(line)), default=bounds[0]) for line in sources
    ]
    return _by_number(rarest, bounds, "times")


def by_label(labels: Sequence[str]) -> list[Group]:
    """Lines grouped by their label (a domain, a document, an origin), in the order in which
    labels first appear."""
    groups: dict[str, list[int]] = {}
    for line, label in enumerate(labels):
        groups.setdefault(label.strip() or "(none)", []).append(line)
    return [Group(name, lines) for name, lines in groups.items()]


def group_scores(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    groups: Sequence[Group],
    metrics: Sequence[str],
    tokeniser: str = USUAL,
) -> list[list[Score]]:
    """The scores of each group, as `corpus_scores` of its lines alone.

    Raises: NmtError for a group without lines or with lines that are not there.
    """
    scores = []
    for group in groups:
        if not group.lines or max(group.lines) >= len(hypotheses):
            raise NmtError(
                f"the group {group.name!r} does not fit a test set of {len(hypotheses)} lines;"
                " group the lines of this one"
            )
        chosen = [[reference[line] for line in group.lines] for reference in references]
        scores.append(
            corpus_scores(
                [hypotheses[line] for line in group.lines], chosen, metrics, tokeniser=tokeniser
            )
        )
    return scores


def _by_number(numbers: Sequence[int], bounds: Sequence[int], unit: str) -> list[Group]:
    """Groups that have lines, in the order of `bounds`, named as 1-5 or 51+."""
    ends = [bound - 1 for bound in bounds[1:]]
    names = [
        f"{low}-{high}" if high > low else f"{low}" for low, high in zip(bounds, ends, strict=False)
    ] + [f"{bounds[-1]}+"]
    lines: list[list[int]] = [[] for _ in bounds]
    for line, number in enumerate(numbers):
        lines[max(place for place, bound in enumerate(bounds) if bound <= number)].append(line)
    return [
        Group(f"{name} {unit}", members)
        for name, members in zip(names, lines, strict=True)
        if members
    ]
