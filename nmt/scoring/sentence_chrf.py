"""chrF of sentences (Popović 2015): what sacreBLEU's sentence chrF2 gives, for every pair of many.

Dimensions: C texts, G n-grams.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ORDER = 6  # the longest n-grams
BETA = 2  # recall counts twice as much as precision

Scores = NDArray[np.float64]


def pairwise_chrf(texts: Sequence[str]) -> Scores:
    """chrF of each text against each as its reference, [C, C], 0 to 100.

    White space is left out. Orders that one of the two has no n-gram of do not count.
    """
    bare = ["".join(text.split()) for text in texts]
    precision = np.zeros((len(bare), len(bare)))
    orders = np.zeros_like(precision)
    for size in range(1, ORDER + 1):
        counts_CG = _counts(bare, size)
        totals_C = counts_CG.sum(1)
        matches_CC = np.array([np.minimum(row_G, counts_CG).sum(1) for row_G in counts_CG])
        # matches are symmetric: what is precision one way is recall the other way
        precision += matches_CC / np.maximum(totals_C, 1)[:, None]
        orders += np.outer(totals_C > 0, totals_C > 0)
    precision /= np.maximum(orders, 1)
    recall = precision.T
    weighed = BETA**2 * precision + recall
    return 100 * (1 + BETA**2) * precision * recall / np.where(weighed > 0, weighed, 1)


def _counts(texts: Sequence[str], size: int) -> Scores:
    """How often each text has each n-gram of this size, [C, G]."""
    numbers: dict[str, int] = {}
    found = [
        [
            numbers.setdefault(text[start : start + size], len(numbers))
            for start in range(len(text) - size + 1)
        ]
        for text in texts
    ]
    counts_CG = np.zeros((len(texts), len(numbers)))
    for row_G, ngrams in zip(counts_CG, found, strict=True):
        np.add.at(row_G, ngrams, 1)
    return counts_CG
