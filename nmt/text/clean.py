"""Which pairs are fit to learn from, and an account of those that are not."""

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nmt.recipe import DataConfig
from nmt.text.corpus import Pair
from nmt.text.lines import is_blank

BLANK = "a side is blank"
INVALID = "invalid UTF-8"
CONTROL = "a control character"
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # a tab is a space; U+0085 and U+2028 are text
SURROGATES = re.compile(r"[\ud800-\udfff]")
EXAMPLES = 3  # places kept for each reason
SWAP_MARGIN = 2.0  # nats by which both sides must look like the other language
SWAP_WORDS = 3  # words that each side must have to be judged


@dataclass
class Audit:
    """What cleaning has seen so far; it fills as the pairs stream by."""

    read: int = 0  # pairs
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> pairs
    examples: dict[str, list[str]] = field(default_factory=dict)  # reason -> its first places
    remarks: list[str] = field(default_factory=list)  # on the pairs that were kept

    def leave_out(self, reason: str, where: str) -> None:
        self.left_out[reason] += 1
        places = self.examples.setdefault(reason, [])
        if len(places) < EXAMPLES:
            places.append(where)

    @property
    def kept(self) -> int:
        return self.read - self.left_out.total()

    def summary(self) -> list[str]:
        """One line for the whole, one for each reason, the most frequent first, and the remarks."""
        lines = [f"{self.kept:,} of {self.read:,} pairs kept"]
        for reason, count in self.left_out.most_common():
            places = ", ".join(self.examples[reason]) + (", ..." if count > EXAMPLES else "")
            lines.append(f"{count:,} left out, {reason}: {places}")
        return [*lines, *self.remarks]


class Overlap(NamedTuple):
    """Pairs that make a corpus easier than it looks."""

    duplicates: int  # training pairs that have come before
    copies: int  # training pairs whose two sides are the same
    dev_pairs: int  # dev pairs that are training pairs as well
    dev_sources: int  # dev pairs whose source is a training source, those above included
    examples: tuple[str, ...]  # places of the first dev pairs of `dev_sources`


def clean_pairs(pairs: Iterable[Pair], audit: Audit) -> Iterator[Pair]:
    """The pairs that are fit to learn from, unchanged; the others are counted."""
    for pair in pairs:
        audit.read += 1
        reason = _flaw(pair.source) or _flaw(pair.target)
        if reason:
            audit.leave_out(reason, pair.where)
        else:
            yield pair


class OverlapCount:
    """Compares training pairs, as they pass, with one another and with the dev pairs; takes 9
    bytes for each of the first `most`."""

    def __init__(self, dev: Sequence[Pair], most: int | None = None) -> None:
        self.dev, self.most = dev, most
        self.seen: array[int] = array(
            "q"
        )  # hashes of 64 bits: a false match once in 10**19 comparisons
        self.sources, self.pairs = (
            {pair.source for pair in dev},
            {(pair.source, pair.target) for pair in dev},
        )
        self.found_sources: set[str] = set()
        self.found_pairs: set[tuple[str, str]] = set()
        self.copies = 0

    def see(self, pair: Pair) -> None:
        """Takes in one training pair."""
        source, target, _ = pair
        if self.most is None or len(self.seen) < self.most:
            self.seen.append(hash((source, target)))
        self.copies += source == target
        if source in self.sources:
            self.found_sources.add(source)
            self.found_pairs.update({(source, target)} & self.pairs)

    def result(self) -> Overlap:
        """Of all pairs so far."""
        shared = [pair for pair in self.dev if pair.source in self.found_sources]
        return Overlap(
            duplicates=_repeats(self.seen),
            copies=self.copies,
            dev_pairs=sum((pair.source, pair.target) in self.found_pairs for pair in self.dev),
            dev_sources=len(shared),
            examples=tuple(pair.where for pair in shared[:EXAMPLES]),
        )


def audit_overlap(train: Iterable[Pair], dev: Sequence[Pair]) -> Overlap:
    """Compares the two in one pass over the training pairs."""
    count = OverlapCount(dev)
    for pair in train:
        count.see(pair)
    return count.result()


def _repeats(seen: "array[int]") -> int:
    """How many keys have come before; sorts them where they are."""
    import numpy as np  # not at the top: reading plain text must not wait for it

    keys = np.frombuffer(seen, np.int64)
    keys.sort()
    return int((keys[1:] == keys[:-1]).sum())


def swapped_pairs(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs whose source looks like the target language and whose target looks like the source
    language.

    Each side's words are counted over all pairs, so most of them must be right; give a sample that
    fits in memory. A text's evidence is the sum over its words of log p(word | source side) - log
    p(word | target side), with one added to each count.
    """
    source_words = Counter(word for pair in pairs for word in _words(pair.source))
    target_words = Counter(word for pair in pairs for word in _words(pair.target))
    vocabulary = len(source_words.keys() | target_words.keys())
    offset = (
        math.log((target_words.total() + vocabulary) / (source_words.total() + vocabulary))
        if vocabulary
        else 0.0
    )

    def evidence(text: str) -> float:
        words = _words(text)
        if len(words) < SWAP_WORDS:
            return 0.0
        return sum(
            math.log((source_words[word] + 1) / (target_words[word] + 1)) + offset for word in words
        )

    return [
        pair
        for pair in pairs
        if evidence(pair.source) < -SWAP_MARGIN and evidence(pair.target) > SWAP_MARGIN
    ]


def _flaw(text: str) -> str:
    if SURROGATES.search(text):
        return INVALID
    if CONTROLS.search(text):
        return CONTROL
    return BLANK if is_blank(text) else ""


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


SAMPLE = 100_000  # pairs looked at for swapped languages
COMPARED = 5_000_000  # pairs compared with one another, some 45 MB


def watched(
    pairs: Iterable[Pair], dev: Sequence[Pair], data: DataConfig, audit: Audit
) -> Iterator[Pair]:
    """The pairs themselves; when the last has passed, the audit's remarks say what was found."""
    count, sample = OverlapCount(dev, COMPARED), list[Pair]()
    for pair in pairs:
        if len(sample) < SAMPLE:
            sample.append(pair)
        count.see(pair)
        yield pair
    audit.remarks = list(_findings(count.result(), swapped_pairs(sample), data))


def _findings(overlap: Overlap, swapped: Sequence[Pair], data: DataConfig) -> Iterator[str]:
    if overlap.duplicates:
        yield f"train: {overlap.duplicates:,} pairs have come before"
    if overlap.copies:
        yield f"train: {overlap.copies:,} pairs have the same text on both sides"
    if swapped:
        places = ", ".join(pair.where for pair in swapped[:3])
        yield (
            f"train: {len(swapped):,} of the first {SAMPLE:,} pairs look as if {data.source} and"
            f" {data.target} were swapped: {places}"
        )
    if overlap.dev_sources:
        count = (
            f"{overlap.dev_sources:,} sources are in train too, {overlap.dev_pairs:,} with the same"
            " translation"
        )
        yield f"dev: {count}; scores on them flatter: {', '.join(overlap.examples)}"
