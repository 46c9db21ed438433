"""Several candidates of a translation: samples instead of a beam, and the choice of minimum Bayes
risk among candidates."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from nmt.scoring.sentence_chrf import character_ngrams, sentence_chrf
from nmt.search.beam import beam_search
from nmt.search.hypotheses import Hypothesis
from nmt.search.sampling import sample
from nmt.search.settings import SearchSettings
from nmt.search.step import Network
from nmt.translation.inputs import Segment

ROUNDS = 8  # of drawing until the samples of a sentence differ


class Candidate(NamedTuple):
    """A hypothesis and its weight among those of its sentence."""

    hypothesis: Hypothesis
    weight: float


def candidates(
    network: Network[Any], segments: Sequence[Segment], settings: SearchSettings
) -> list[list[Candidate]]:
    """Those of each segment, best first by score: `settings.mbr` samples, or the best of as large a
    beam; n_best different ones where no risk is to be taken among them.

    The weight of a sample is how often it was drawn, that of a hypothesis of the beam its
    probability over those of the others.
    """
    if settings.sampling is None:
        sources, prefixes = [each.ids for each in segments], [each.prefix for each in segments]
        found = beam_search(network, sources, settings, prefixes).hypotheses
        return [_weighed(hypotheses) for hypotheses in found]
    drawn: list[dict[tuple[int, ...], Candidate]] = [{} for _ in segments]
    count = settings.mbr or settings.n_best
    for number in range(1 if settings.mbr else ROUNDS):
        short = [index for index, found in enumerate(drawn) if len(found) < count]
        if not short:
            break
        rows = [(index, n) for index in short for n in range(count - len(drawn[index]))]
        outputs = sample(
            network,
            [segments[index].ids for index, _ in rows],
            settings,
            [(*segments[index].place, number, n) for index, n in rows],
            [segments[index].prefix for index, _ in rows],
        )
        for (index, _), output in zip(rows, outputs, strict=True):
            before = drawn[index].get(output.pieces)
            weight = before.weight + 1 if before else 1
            drawn[index][output.pieces] = Candidate(output, weight)
    return [sorted(found.values(), key=lambda each: -each.hypothesis.score) for found in drawn]


def _weighed(hypotheses: Sequence[Hypothesis]) -> list[Candidate]:
    likeliest = max(each.log_prob for each in hypotheses)
    return [Candidate(each, math.exp(each.log_prob - likeliest)) for each in hypotheses]


def expected_utilities(texts: Sequence[str], weights: Sequence[float]) -> list[float]:
    """The mean chrF of each text against all of them as references, by their weights: minimum
    Bayes risk chooses the largest (Kumar & Byrne 2004; Eikema & Aziz 2020, eq. 5). 0 to 100."""
    ngrams = [character_ngrams(text) for text in texts]
    return [
        sum(
            weight * sentence_chrf(ours, theirs)
            for weight, theirs in zip(weights, ngrams, strict=True)
        )
        / sum(weights)
        for ours in ngrams
    ]
