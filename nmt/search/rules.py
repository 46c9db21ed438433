"""What stays the same during a search.

Dimension besides the legend: F forbidden pieces.
"""

from typing import NamedTuple

from torch import Tensor


class Rules(NamedTuple):
    """How hypotheses may grow, end and be scored."""

    beam: int
    eos: int
    min_length: int  # lengths count the end of sentence
    max_lengths: frozenset[int]  # of any sentence
    never_F: Tensor  # pieces that are never picked
    early_F: Tensor  # the same and the end of sentence, below min_length
    divisors_T: Tensor  # length ** length_alpha for the lengths 1, 2, ...
    scored: bool  # whether logits are normalised

    def forbidden(self, length: int) -> Tensor:
        """Pieces that are not picked as the last one of `length`."""
        return self.early_F if length < self.min_length else self.never_F
