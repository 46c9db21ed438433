"""What a score does not show: outputs that repeat themselves, have the wrong length, or have
nothing to do with their source."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sacrebleu.metrics.chrf import CHRF

from nmt.scoring.bleu import check_lengths
from nmt.scoring.breakdown import words_of
from nmt.scoring.tokenisers import spaced

FAR_OFF = 10.0  # sentence chrF2 below which an output of several words counts as hallucinated


class Health(NamedTuple):
    """Shares of a system's outputs, each 0 to 1, and how long they are."""

    length_ratio: float  # words of all outputs / words of all references
    empty: float  # no output where the reference has text
    repeating: float
    copied: float  # the source itself, where the reference differs from it
    far_off: float  # several words, and almost nothing of the reference in them


def health(
    hypotheses: Sequence[str], references: Sequence[str], sources: Sequence[str] | None = None
) -> Health:
    """Counts what is wrong at first sight. In scripts without spaces each character counts as a
    word.

    Raises: NmtError for no or unequally many lines.
    """
    check_lengths(
        {"the hypotheses": hypotheses, **({} if sources is None else {"the sources": sources})},
        [references],
    )
    lines, words = len(hypotheses), sum(len(spaced(line).split()) for line in references)
    pairs = list(zip(hypotheses, references, strict=True))
    copies = (
        []
        if sources is None
        else [h.strip() == s.strip() != r.strip() for s, (h, r) in zip(sources, pairs, strict=True)]
    )
    return Health(
        length_ratio=sum(len(spaced(line).split()) for line in hypotheses) / max(1, words),
        empty=sum(
            not hypothesis.strip() and bool(reference.strip()) for hypothesis, reference in pairs
        )
        / lines,
        repeating=sum(repeats(hypothesis, reference) for hypothesis, reference in pairs) / lines,
        copied=sum(copies) / lines,
        far_off=sum(
            _is_far_off(hypothesis, score)
            for hypothesis, score in zip(hypotheses, sentence_chrf(*_sides(pairs)), strict=True)
        )
        / lines,
    )


def sentence_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
    """chrF2 of each sentence, 0 to 100: unlike BLEU it says something about single sentences."""
    metric = CHRF()
    return [
        float(metric.sentence_score(hypothesis, [reference]).score)
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]


def repeats(hypothesis: str, reference: str = "") -> bool:
    """Whether one to four words come three times in a row, or four words at least two times more
    often than in the reference."""
    words, expected = words_of(hypothesis), words_of(reference)
    if _loops(words) and not _loops(expected):
        return True
    found, allowed = _fours(words), _fours(expected)
    return any(count >= allowed[four] + 2 for four, count in found.items())


def _loops(words: list[str]) -> bool:
    for size in range(1, 5):
        for start in range(len(words) - 3 * size + 1):
            first = words[start : start + size]
            if (
                first
                == words[start + size : start + 2 * size]
                == words[start + 2 * size : start + 3 * size]
            ):
                return True
    return False


def _fours(words: list[str]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + 4]) for start in range(len(words) - 3))


def _is_far_off(hypothesis: str, score: float) -> bool:
    return len(spaced(hypothesis).split()) >= 3 and score < FAR_OFF


def _sides(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
