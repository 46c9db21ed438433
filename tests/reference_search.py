"""Search as one would write it on a blackboard: every sentence alone, lists, no early stop, no
tensors in the loop."""

from collections.abc import Callable
from itertools import product

from nmt.search.beam import Hypothesis

NextLogProbs = Callable[
    [tuple[int, ...]], list[float]
]  # prefix without beginning of sentence -> log-probability of each next piece


def beam_without_early_stop(
    next_log_probs: NextLogProbs,
    *,
    max_length: int,
    beam: int,
    length_alpha: float,
    eos: int,
    min_length: int = 0,
    forbidden: tuple[int, ...] = (),
    forced: tuple[int, ...] = (),
    no_repeat_ngram: int = 0,
) -> list[Hypothesis]:
    """All hypotheses that a beam search finishes when it goes on until every slot is finished;
    best first."""
    live: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    finished: list[Hypothesis] = []
    for length in range(1, max_length + 1):
        candidates = []
        for prefix, log_prob in live:
            for piece, piece_log_prob in enumerate(next_log_probs(prefix)):
                allowed = (
                    piece not in forbidden
                    and (length < max_length or piece == eos)
                    and (length >= min_length or piece != eos)
                )
                if allowed and constraints_allow(prefix, piece, eos, forced, no_repeat_ngram):
                    candidates.append(((*prefix, piece), log_prob + piece_log_prob))
        candidates.sort(key=lambda candidate: -candidate[1])
        picked = candidates[: beam - len(finished)]
        live = [(pieces, log_prob) for pieces, log_prob in picked if pieces[-1] != eos]
        finished += [
            Hypothesis(p[:-1], log_prob, log_prob / length**length_alpha)
            for p, log_prob in picked
            if p[-1] == eos
        ]
    return sorted(finished, key=lambda hypothesis: -hypothesis.score)


def constraints_allow(
    before: tuple[int, ...], piece: int, eos: int, forced: tuple[int, ...], no_repeat_ngram: int
) -> bool:
    """Whether `piece` may follow `before` in an output that begins with `forced`."""
    if len(before) < len(forced):
        return piece == forced[len(before)]
    return piece == eos or not no_repeat_ngram or not repeats((*before, piece), no_repeat_ngram)


def repeats(pieces: tuple[int, ...], size: int) -> bool:
    """Whether the last `size` pieces stand further to the left as well."""
    return len(pieces) >= size and any(
        pieces[start : start + size] == pieces[-size:] for start in range(len(pieces) - size)
    )


def exhaustive(
    next_log_probs: NextLogProbs, *, max_length: int, length_alpha: float, eos: int, pieces: int
) -> list[Hypothesis]:
    """Every output of at most `max_length` pieces (end of sentence included) over `pieces`
    pieces, best first."""
    found = []
    for length in range(1, max_length + 1):
        for output in product(
            [piece for piece in range(pieces) if piece != eos], repeat=length - 1
        ):
            log_prob = sum(
                next_log_probs(output[:t])[piece] for t, piece in enumerate((*output, eos))
            )
            found.append(Hypothesis(output, log_prob, log_prob / length**length_alpha))
    return sorted(found, key=lambda hypothesis: -hypothesis.score)
