"""Several candidates of a translation: samples instead of a beam, and the choice of minimum Bayes
risk among candidates."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from nmt.scoring.sentence_chrf import pairwise_chrf
from nmt.search.beam import beam_search
from nmt.search.hypotheses import Hypothesis
from nmt.search.sampling import sample
from nmt.search.settings import SearchSettings
from nmt.search.step import Network
from nmt.text.subwords import Subwords
from nmt.translation.inputs import Segment
from nmt.translation.result import Translation, translations_of

ROUNDS = 8  # of drawing until the samples of a sentence differ


class Candidate(NamedTuple):
    """A hypothesis and its weight among those of its sentence."""

    hypothesis: Hypothesis
    weight: float


def candidates(
    network: Network[Any], target: Subwords, segments: Sequence[Segment], settings: SearchSettings
) -> tuple[list[list[Hypothesis]], list[list[Translation]]]:
    """The n best of each segment, best first, as hypotheses and in words: n different samples, or
    those of least risk among `settings.mbr` samples or as many of the beam's best."""
    found = _found(
        network, segments, replace(settings, n_best=settings.mbr) if settings.mbr else settings
    )
    plain = translations_of([[each.hypothesis for each in several] for several in found], target)
    if settings.mbr:
        ranked = [least_risk(*each)[: settings.n_best] for each in zip(found, plain, strict=True)]
        found = [[candidate for candidate, _ in several] for several in ranked]
        plain = [[translation for _, translation in several] for several in ranked]
    return [[each.hypothesis for each in several] for several in found], plain


def _found(
    network: Network[Any], segments: Sequence[Segment], settings: SearchSettings
) -> list[list[Candidate]]:
    """Best first by score. The weight of a sample is how often it was drawn, that of a hypothesis
    of the beam its probability over that of the likeliest."""
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
    Bayes risk chooses the largest (Kumar & Byrne 2004; Eikema & Aziz 2020). 0 to 100."""
    means: list[float] = np.average(pairwise_chrf(texts), axis=1, weights=weights).tolist()
    return means


def least_risk(
    found: Sequence[Candidate], translations: Sequence[Translation]
) -> list[tuple[Candidate, Translation]]:
    """The candidates of a sentence and their translations, by expected utility, which becomes the
    score."""
    utilities = expected_utilities(
        [each.text for each in translations], [each.weight for each in found]
    )
    ranked = sorted(zip(utilities, found, translations, strict=True), key=lambda each: -each[0])
    return [
        (candidate, translation._replace(score=utility))
        for utility, candidate, translation in ranked
    ]
