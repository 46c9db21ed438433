"""How much of its quality a system keeps when its input is not clean."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from nmt.scoring.bleu import Score, corpus_scores
from nmt.scoring.checks import Health, health
from nmt.scoring.perturbations import FOLDS, conditions
from nmt.scoring.tokenisers import USUAL


class Outcome(NamedTuple):
    """A system under one condition."""

    condition: str
    about: str
    lines: int
    scores: list[Score]
    health: Health
    share: float  # first score / that of the unchanged test set, compared in the same way
    hypotheses: list[str]
    sources: list[str]


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
    outcomes: list[Outcome] = []
    for name, about, changed, expected, alike in conditions(sources, references):
        hypotheses = translate(changed)

        def scored(outputs: Sequence[str], right: Sequence[str], alike: str = alike) -> list[Score]:
            fold = FOLDS[alike]
            return corpus_scores(
                [fold(line) for line in outputs],
                [[fold(line) for line in right]],
                metrics,
                confidence,
                tokeniser,
            )

        scores = scored(hypotheses, expected)
        plain = outcomes[0].hypotheses if outcomes else hypotheses
        best = scored(plain, references)[0].value if alike else _first(outcomes, scores)
        outcomes.append(
            Outcome(
                name,
                about,
                len(changed),
                scores,
                health(hypotheses, expected, changed),
                scores[0].value / best if best else 1.0,
                hypotheses,
                changed,
            )
        )
    return outcomes


def _first(outcomes: Sequence[Outcome], scores: Sequence[Score]) -> float:
    return (outcomes[0].scores if outcomes else scores)[0].value
