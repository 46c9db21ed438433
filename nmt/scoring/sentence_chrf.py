"""chrF of one sentence (Popović 2015): what sacreBLEU's sentence chrF2 gives, with the n-grams of
each text counted once for many comparisons."""

from collections import Counter
from collections.abc import Sequence

ORDER = 6  # the longest n-grams
BETA = 2  # recall counts twice as much as precision


def character_ngrams(text: str) -> list[Counter[str]]:
    """The character n-grams of each order, white space left out."""
    bare = "".join(text.split())
    return [
        Counter(bare[start : start + size] for start in range(len(bare) - size + 1))
        for size in range(1, ORDER + 1)
    ]


def sentence_chrf(hypothesis: Sequence[Counter[str]], reference: Sequence[Counter[str]]) -> float:
    """0 to 100, from the n-grams of both; orders that one of them has no n-gram of do not count."""
    precision = recall = 0.0
    orders = 0
    for ours, theirs in zip(hypothesis, reference, strict=True):
        if ours and theirs:
            matches = sum(min(count, theirs[ngram]) for ngram, count in ours.items())
            precision += matches / ours.total()
            recall += matches / theirs.total()
            orders += 1
    if not precision + recall:
        return 0.0
    precision, recall = precision / orders, recall / orders
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
