"""How much of its quality a system keeps when its input is not clean."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from nmt.scoring.bleu import Score, corpus_scores
from nmt.scoring.checks import Health, health
from nmt.scoring.perturbations import conditions
from nmt.scoring.tokenisers import USUAL


class Outcome(NamedTuple):
    """A system under one condition."""

    condition: str
    about: str
    lines: int
    scores: list[Score]
    health: Health


def measure_robustness(
    translate: Callable[[list[str]], list[str]],
    sources: Sequence[str],
    references: Sequence[str],
    metrics: Sequence[str] = ("bleu", "chrf"),
    confidence: bool = False,
    tokeniser: str = USUAL,
) -> list[Outcome]:
    """Scores and health under every condition, the unchanged test set first; the least amount of
    text is one line."""
    outcomes = []
    for name, about, changed, expected in conditions(sources, references):
        hypotheses = translate(changed)
        scores = corpus_scores(hypotheses, [expected], metrics, confidence, tokeniser)
        outcomes.append(
            Outcome(name, about, len(changed), scores, health(hypotheses, expected, changed))
        )
    return outcomes
