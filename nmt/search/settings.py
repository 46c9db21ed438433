"""How hypotheses are searched, as one value."""

from dataclasses import dataclass

from nmt.errors import NmtError
from nmt.limits import check_lengths, check_search
from nmt.vocabulary import BOS, EOS, PAD, UNK


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How pieces are drawn: from the `top_k` likeliest ones, and of these from the fewest whose
    probabilities sum up to `top_p` (Holtzman et al. 2020).

    Raises:
        NmtError: a value is out of range.
    """

    temperature: float = 1.0  # divides the logits; above 0, below 1: closer to the likeliest piece
    top_k: int = 0  # 0: all
    top_p: float = 1.0  # above 0, at most 1
    seed: int = 1  # of the random numbers; 0 or more

    def __post_init__(self) -> None:
        for name in ("temperature", "top_k", "top_p", "seed"):
            check_search(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Every length counts the end of sentence; a length is raised where it would leave no room for
    min_length or a prefix.

    Raises:
        NmtError: a value is out of range.
    """

    beam: int  # hypotheses kept for each sentence, 1 to 10,000; 1: greedy
    n_best: int = 1  # hypotheses returned for each sentence, at most the beam
    length_alpha: float = 1.0  # the score is log_prob / length**length_alpha, 0 to 10
    length_factor: float = 0.0  # pieces that a hypothesis may have for each source piece
    length_extra: int = 1  # pieces that it may have on top of that
    min_length: int = 1  # pieces that it has at least
    max_length: int | None = None  # pieces that it may have, whatever its source; None: no limit
    no_repeat_ngram: int = 0  # no sequence of so many pieces is repeated; 0: any may be
    coverage: float = 0.0  # weight of the coverage penalty; above 0 it ranks translations anew
    sampling: Sampling | None = None  # draw pieces instead of searching for the likeliest
    mbr: int = 0  # candidates that translation chooses from by minimum Bayes risk; 0: no risk
    batch_pieces: int = 2048  # padded source pieces that translation searches at once
    scored: bool = True  # False: greedy without the softmax: the same pieces, scores are nan
    recorded: bool = False  # keep what each step picked
    bos: int = BOS
    eos: int = EOS
    # pieces that are never picked; they keep their share of the probability
    forbidden: tuple[int, ...] = (PAD, UNK, BOS)

    def __post_init__(self) -> None:
        for name in ("beam", "length_alpha", "no_repeat_ngram", "coverage", "mbr"):
            check_search(name, getattr(self, name))
        if not 1 <= self.n_best <= self.beam:
            raise NmtError(
                f"n_best must be at least 1 and at most the beam of {self.beam}, got {self.n_best};"
                " raise the beam"
            )
        if self.mbr and not self.n_best <= self.mbr <= self.beam:
            raise NmtError(
                f"mbr must be at least n_best ({self.n_best}) and at most the beam of {self.beam},"
                f" got {self.mbr}; raise the beam, or draw samples"
            )
        check_lengths(self.min_length, self.max_length)
        if self.eos in self.forbidden:
            raise NmtError(
                "the end of sentence is among the forbidden pieces; leave it out, or no hypothesis"
                " can end"
            )
        if not self.scored and self.beam > 1:
            raise NmtError(
                f"a search without scores is greedy, got beam = {self.beam}; give a beam of 1 or"
                " scored = True"
            )
