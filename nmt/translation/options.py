"""What users may ask of a search, as one value."""

from dataclasses import dataclass, replace
from typing import Self

from nmt.errors import NmtError
from nmt.limits import WHOLE, check_lengths, check_search, whole_number
from nmt.recipe import SearchConfig
from nmt.search.settings import Sampling, SearchSettings


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The defaults are the recipe's search without constraints, at its full speed.

    Lengths are target pieces, the end of sentence not counted; of a line that is translated in
    segments they are those of each segment. A forced prefix goes before the longest length, and may
    repeat itself.

    Raises:
        NmtError: a value is out of range.
    """

    # hypotheses kept for each sentence, 1 to 10,000; 1: greedy; None: the recipe's
    beam: int | None = None
    # the score is log_prob / length**alpha, 0 to 10; None: the recipe's
    length_alpha: float | None = None
    no_repeat_ngram: int = 0  # a translation has no sequence of so many pieces twice; 0: it may
    # of a translation, 0 to 100,000; raises the longest length that the recipe allows
    min_length: int = 0
    max_length: int | None = (
        # of a translation, 1 or more and at least min_length; None: the recipe's for each source
        # length
        None
    )
    # beta of Wu et al. (2016, eq. 14), 0 or more: ranks the beam by (log_prob + beta * penalty) /
    # length**alpha
    coverage: float = 0.0
    # draw translations instead of searching for the likeliest; the n best are n different samples
    sampling: Sampling | None = None
    # candidates (samples, or the best of the beam) of which the one is chosen whose chrF is highest
    # in expectation, 0 to 1,000; 0: the best by score
    mbr: int = 0

    def __post_init__(self) -> None:
        for name in sorted(WHOLE & vars(self).keys()):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, whole_number(value, name, "round it"))
        for name in ("beam", "length_alpha", "no_repeat_ngram", "min_length", "coverage"):
            if getattr(self, name) is not None:
                check_search(name, getattr(self, name))
        check_search("mbr", self.mbr)
        check_lengths(self.min_length, self.max_length)
        if self.sampling and self.beam is not None:
            raise NmtError(
                f"samples are drawn, not searched for, got beam = {self.beam}; leave it out"
            )
        if self.coverage and (self.mbr or self.sampling):
            raise NmtError(
                f"coverage ranks what a beam has found, got coverage = {self.coverage} with"
                " sampling or mbr; leave one of them out"
            )

    def override(self, beam: int | None, length_alpha: float | None) -> Self:
        """The same with another beam and length_alpha, where they are given."""
        return replace(
            self,
            beam=self.beam if beam is None else beam,
            length_alpha=self.length_alpha if length_alpha is None else length_alpha,
        )

    def settings(
        self, recipe: SearchConfig, n_best: int = 1, scored: bool = True
    ) -> SearchSettings:
        """What the recipe and these options ask for together; its lengths count the end of
        sentence.

        Raises:
            NmtError: n_best is not between 1 and the beam, or mbr is larger than the beam.
        """
        beam = recipe.beam if self.beam is None else self.beam
        beam = max(n_best, self.mbr) if self.sampling else beam
        scored = scored or beam > 1 or self.mbr > 0
        return SearchSettings(
            beam=beam,
            n_best=n_best,
            length_alpha=recipe.length_alpha if self.length_alpha is None else self.length_alpha,
            length_factor=recipe.max_length_factor,
            length_extra=recipe.max_length_extra,
            min_length=self.min_length + 1,
            max_length=None if self.max_length is None else self.max_length + 1,
            no_repeat_ngram=self.no_repeat_ngram,
            coverage=self.coverage if scored else 0.0,  # one hypothesis, and nothing to rank
            sampling=self.sampling,
            mbr=self.mbr,
            scored=scored,
        )
