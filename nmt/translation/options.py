"""What users may ask of a search, as one value."""

from dataclasses import dataclass, replace
from typing import Self

from nmt.errors import NmtError
from nmt.limits import MAX_BEAM, MAX_LENGTH_ALPHA
from nmt.translation.texts import whole_number

MAX_PIECES = 100_000  # that min_length may be: the search keeps a number for each


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The defaults are the recipe's search without constraints, at its full speed.

    Lengths are target pieces, the end of sentence not counted; of a line that is translated in
    segments they are those of each segment. A forced prefix goes before the longest length, and may
    repeat itself.

    Raises:
        NmtError: a value is out of range.
    """

    beam: int | None = (
        None  # hypotheses kept for each sentence, 1 to 10,000; 1: greedy; None: the recipe's
    )
    length_alpha: float | None = (
        None  # the score is log_prob / length**alpha, 0 to 10; None: the recipe's
    )
    no_repeat_ngram: int = 0  # a translation has no sequence of so many pieces twice; 0: it may
    min_length: int = (
        0  # of a translation, 0 to 100,000; raises the longest length that the recipe allows
    )
    max_length: int | None = (
        # of a translation, 1 or more and at least min_length; None: the recipe's for each source
        # length
        None
    )
    # beta of Wu et al. (2016, eq. 14), 0 or more: ranks the beam by (log_prob + beta * penalty) /
    # length**alpha
    coverage: float = 0.0

    def __post_init__(self) -> None:
        for name in ("beam", "no_repeat_ngram", "min_length", "max_length"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, whole_number(value, name, "round it"))
        if self.beam is not None and not 1 <= self.beam <= MAX_BEAM:
            raise NmtError(
                f"beam is a number of hypotheses, got {self.beam}; give 1 to {MAX_BEAM:,}"
            )
        if self.length_alpha is not None and not 0 <= self.length_alpha <= MAX_LENGTH_ALPHA:
            raise NmtError(
                f"length_alpha is an exponent of the length, got {self.length_alpha}; give 0 to"
                f" {MAX_LENGTH_ALPHA}"
            )
        if self.no_repeat_ngram < 0:
            raise NmtError(
                f"no_repeat_ngram is a number of pieces, got {self.no_repeat_ngram}; give 1 or"
                " more, or 0 for no such rule"
            )
        if not 0 <= self.min_length <= MAX_PIECES:
            raise NmtError(
                f"min_length is a number of target pieces, got {self.min_length}; give 0 to"
                f" {MAX_PIECES:,}"
            )
        if self.max_length is not None and self.max_length < max(1, self.min_length):
            raise NmtError(
                f"max_length must be at least {max(1, self.min_length)}, got {self.max_length};"
                " raise it or lower min_length"
            )
        if not 0 <= self.coverage < float("inf"):
            raise NmtError(
                f"coverage is the weight of a penalty, got {self.coverage}; give 0 or more"
            )

    def override(self, beam: int | None, length_alpha: float | None) -> Self:
        """The same with another beam and length_alpha, where they are given."""
        return replace(
            self,
            beam=self.beam if beam is None else beam,
            length_alpha=self.length_alpha if length_alpha is None else length_alpha,
        )

    def longest(self, usual: int, prefix: int) -> int:
        """Pieces that a translation may have, its end included, where `usual` are allowed
        otherwise and `prefix` are forced."""
        limit = usual if self.max_length is None else min(usual, self.max_length + 1)
        return max(limit, self.min_length + 1, prefix + 1)
