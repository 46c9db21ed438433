"""What the size of the corpus decides where a recipe leaves it to nmt, in one place.

| pairs of lines | vocab_size | batch_pieces | epochs |
|---|---|---|---|
| 10,000 | 2,000 | 2,048 | 20 |
| 30,000 | 3,500 | 2,048 | 14 |
| 50,000 | 4,000 | 2,048 | 11 |
| 200,000 | 8,000 | 4,096 | 5 |
| 4,000,000 | 32,000 | 8,192 | 3 |

A few thousand pieces suit a corpus of some 10,000 pairs (Sennrich and Zhang 2019; Gowda and May
2020). Small batches give a small corpus the many updates that it needs.
"""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmt.recipe import Recipe

SMALLEST_VOCABULARY, LARGEST_VOCABULARY = 500, 32_000  # pieces


def default_vocab_size(pairs: int) -> int:
    """Pieces of the subword vocabulary, by the number of pairs."""
    smooth: float = 8000 * (pairs / 200_000) ** 0.465
    return min(LARGEST_VOCABULARY, max(SMALLEST_VOCABULARY, round(smooth / 500) * 500))


def default_batch_pieces(pairs: int) -> int:
    """Padded pieces a side in one update."""
    if pairs < 100_000:
        return 2048
    return 4096 if pairs < 1_000_000 else 8192


def default_epochs(pairs: int) -> int:
    """Passes over the corpus."""
    return max(3, min(20, round(14 * math.sqrt(30_000 / pairs))))


def choices(asked: "Recipe", resolved: "Recipe", size: str) -> str:
    """A line for people: what was left to nmt and what it chose; empty where nothing was.

    >>> choices(asked, resolved, "10,000 pairs")
    'chosen for 10,000 pairs: subwords.vocab_size = 2000, training.epochs = 20'
    """
    keys = (
        ("subwords.vocab_size", asked.subwords.vocab_size, resolved.subwords.vocab_size),
        ("training.batch_pieces", asked.training.batch_pieces, resolved.training.batch_pieces),
        ("training.epochs", asked.training.epochs, resolved.training.epochs),
    )
    found = ", ".join(f"{key} = {chosen}" for key, given, chosen in keys if not given and chosen)
    return f"chosen for {size}: {found}" if found else ""
