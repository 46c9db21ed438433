"""The sentences that a report looks at, and what each run makes of them."""

import math
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from nmt.errors import NmtError
from nmt.report.records import RunRecord
from nmt.scoring.checks import sentence_chrf
from nmt.scoring.tokenisers import USUAL, tokeniser_for
from nmt.text.corpus import read_parallel
from nmt.text.dev_split import read_copy
from nmt.translation.result import Translation, words_of
from nmt.translation.translator import Translator


class Sentences(NamedTuple):
    """The first lines of a dev or test set."""

    name: str
    total: int  # lines of the whole set
    sources: list[str]
    references: list[str]
    tokeniser: str = USUAL  # BLEU's for the target language


class Output(NamedTuple):
    """One run's translations of the sentences."""

    name: str
    translations: list[Translation]
    chrf: list[float]  # of each sentence

    @property
    def texts(self) -> list[str]:
        return [translation.text for translation in self.translations]


class Word(NamedTuple):
    """A word of a translation."""

    text: str
    probability: float | None  # of all its pieces, given what comes before; None if it is not known


def read_sentences(run: RunRecord, test: str | None, limit: int) -> Sentences:
    """The first `limit` pairs of a test corpus, or of the run's dev set.

    Raises:
        NmtError: the corpus cannot be read, or is empty.
    """
    data = run.recipe.data
    copy = None if test else read_copy(run.path)
    sources, references = (
        copy.pairs
        if copy
        else read_parallel(test or data.dev, data.source, data.target, "test" if test else "dev")
    )
    if not sources:
        raise NmtError(f"{test or data.dev}: no sentences; name another corpus with --test")
    return Sentences(
        test or data.dev,
        len(sources),
        sources[:limit],
        references[:limit],
        tokeniser_for(data.target).name,
    )


def translate_sentences(name: str, translator: Translator, sentences: Sentences) -> Output:
    """Beam translations with the recipe's search settings, and the probability of every piece."""
    translations = [best[0] for best in translator.nbest(sentences.sources, 1, details=True)]
    return Output(
        name,
        translations,
        sentence_chrf([each.text for each in translations], sentences.references),
    )


def words_with_probability(translation: Translation) -> list[Word]:
    """The words of a translation as it reads; without probabilities where pieces and words do
    not go together."""
    words = translation.text.split(" ") if translation.text else []
    numbers = words_of(translation.pieces)
    if len(translation.piece_log_probs) != len(translation.pieces) + 1 or max(
        numbers, default=-1
    ) + 1 != len(words):
        return [Word(word, None) for word in words]
    sums = [0.0] * len(words)
    for number, log_prob in zip(numbers, translation.piece_log_probs, strict=False):
        sums[number] += log_prob
    return [Word(word, math.exp(value)) for word, value in zip(words, sums, strict=True)]


def worst(outputs: Sequence[Output], sentences: Sentences, count: int) -> list[int]:
    """Lines with the lowest mean score, longer ones first among equals; blank lines are no
    examples."""
    return sorted(
        _lines(sentences), key=lambda line: (_mean(outputs, line), -len(sentences.references[line]))
    )[:count]


def best(outputs: Sequence[Output], sentences: Sentences, count: int) -> list[int]:
    """Lines with the highest mean score, longer ones first among equals."""
    return sorted(
        _lines(sentences),
        key=lambda line: (-_mean(outputs, line), -len(sentences.references[line])),
    )[:count]


def at_random(sentences: Sentences, count: int) -> list[int]:
    """Lines drawn at random, the same ones for each report on these sentences, in their order;
    blank lines are no examples."""
    lines = _lines(sentences)
    return sorted(Random(1).sample(lines, min(count, len(lines))))


def most_changed(outputs: Sequence[Output], sentences: Sentences, count: int) -> list[int]:
    """Lines on which the runs' scores lie furthest apart; none where no line differs."""

    def spread(line: int) -> float:
        scores = [output.chrf[line] for output in outputs]
        return max(scores) - min(scores)

    return [
        line
        for line in sorted(_lines(sentences), key=lambda line: -spread(line))[:count]
        if spread(line) > 0
    ]


def _mean(outputs: Sequence[Output], line: int) -> float:
    return sum(output.chrf[line] for output in outputs) / len(outputs)


def _lines(sentences: Sentences) -> list[int]:
    pairs = enumerate(zip(sentences.sources, sentences.references, strict=True))
    return [line for line, (source, reference) in pairs if source.strip() and reference.strip()]
