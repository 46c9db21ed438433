"""What makes a corpus worse or easier than it looks, found while its pairs pass by."""

from collections.abc import Iterable, Iterator, Sequence

from nmt.config import DataConfig
from nmt.data.clean import Audit, Overlap, OverlapCount, swapped_pairs
from nmt.data.corpus import Pair

SAMPLE = 100_000  # pairs looked at for swapped languages
COMPARED = 5_000_000  # pairs compared with one another, some 45 MB


def watched(pairs: Iterable[Pair], dev: Sequence[Pair], data: DataConfig, audit: Audit) -> Iterator[Pair]:
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
        yield f"train: {len(swapped):,} of the first {SAMPLE:,} pairs look as if {data.source} and {data.target} were swapped: {places}"
    if overlap.dev_sources:
        count = f"{overlap.dev_sources:,} sources are in train too, {overlap.dev_pairs:,} with the same translation"
        yield f"dev: {count}; scores on them flatter: {', '.join(overlap.examples)}"
