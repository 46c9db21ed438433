"""Translations as values: text, word alignment and scores of a hypothesis, and those of the
segments of a line."""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.engines.force_decoding import ScoredTarget
from nmt.search.hypotheses import Hypothesis
from nmt.text.segments import glue
from nmt.text.subwords import WORD_START, Subwords
from nmt.vocabulary import EOS

Alignment = tuple[tuple[int, int], ...]  # (source word, target word), counted from 0


def words_of(pieces: Sequence[str]) -> list[int]:
    """For each piece the number of its word; a word starts at U+2581."""
    word, words = -1, []
    for index, piece in enumerate(pieces):
        word += index == 0 or piece.startswith(WORD_START)
        words.append(word)
    return words


def align_words(
    weights_TS: Tensor, source_pieces: Sequence[str], target_pieces: Sequence[str]
) -> Alignment:
    """Each target word's source word: the one with most of its pieces' attention, the end of the
    source sentence left out."""
    if not source_pieces or not target_pieces:
        return ()
    source_words = torch.tensor(words_of(source_pieces))
    target_words = torch.tensor(words_of(target_pieces))
    by_source = torch.zeros(len(target_pieces), int(source_words[-1]) + 1)
    by_source.index_add_(
        1, source_words, weights_TS[: len(target_pieces), : len(source_pieces)].float()
    )
    by_both = torch.zeros(int(target_words[-1]) + 1, by_source.shape[1]).index_add_(
        0, target_words, by_source
    )
    return tuple((int(source), target) for target, source in enumerate(by_both.argmax(1)))


def coverage_penalty(weights_TS: Tensor) -> float:
    """sum_i log(min(sum_j p_ij, 1)), p_ij being the attention of target piece j to source piece i
    (Wu et al. 2016, eq. 14, for beta = 1).

    0 if each source piece has had all the attention of one target piece or more, below 0 otherwise.
    The last column, the end of the source, calls for no translation and does not count; the last
    row, the end of the target, does.
    """
    covered_S = weights_TS[:, :-1].sum(0)
    return float(covered_S.clamp(torch.finfo(covered_S.dtype).tiny, 1).log().sum())


class Translation(NamedTuple):
    """One translation of a line."""

    text: str
    log_prob: float  # nats, end of sentence included; of a line in segments the sum over them
    # (log_prob + coverage) / length ** alpha, or expected chrF by minimum Bayes risk; higher is
    # better
    score: float
    pieces: tuple[str, ...]
    piece_log_probs: tuple[
        float, ...
    ] = ()  # of each piece and the end of sentence; only with details
    alignment: Alignment = ()  # (source word, target word); only with details
    segments: int = 1  # in which a line longer than the model has seen was translated
    coverage: float = 0.0  # beta * coverage penalty, nats
    source_pieces: tuple[str, ...] = ()  # with the end of sentence; only with attention
    attention: tuple[
        Sequence[float], ...
    ] = ()  # of each piece and the end of sentence to each of the source_pieces, T x S
    unplaced: tuple[
        str, ...
    ] = ()  # parts of the source to copy that stand at its end for want of a place


class PairScore(NamedTuple):
    """The model's judgement of a given translation."""

    log_prob: float  # nats, end of sentence included
    pieces: int  # target pieces, end of sentence included
    is_long: bool = False  # a side has more pieces than any line in training


class SegmentTranslations(NamedTuple):
    """The n-best list of one segment of a line."""

    source_words: int
    translations: list[Translation]
    spaced: bool = True  # white space stands before it in the source
    within_word: bool = False  # it goes on with a word of the segment before
    between: str = " "  # what stands between words at its start, in scripts with spaces


BLANK = Translation("", 0.0, 0.0, ())


def translations_of(
    found: Sequence[Sequence[Hypothesis]], target: Subwords
) -> list[list[Translation]]:
    """The hypotheses of each sentence as text."""
    texts = iter(target.decode([each.pieces for hypotheses in found for each in hypotheses]))

    def in_words(each: Hypothesis) -> Translation:
        return Translation(
            next(texts), each.log_prob, each.score, tuple(target.pieces(each.pieces))
        )

    return [list(map(in_words, hypotheses)) for hypotheses in found]


def detailed(
    translation: Translation, source: Sequence[int], scored: ScoredTarget, subwords: Subwords
) -> Translation:
    """The same with scores of each piece and the alignment, from force-decoding it; `subwords`
    are the source's."""
    alignment = align_words(scored.weights_TS, subwords.pieces(source), translation.pieces)
    return translation._replace(piece_log_probs=scored.log_probs, alignment=alignment)


def attended(
    translation: Translation, source: Sequence[int], scored: ScoredTarget, subwords: Subwords
) -> Translation:
    """The same with the attention of each piece; `subwords` are the source's."""
    attention = tuple(
        array("f", row) for row in scored.weights_TS.tolist()
    )  # an eighth of the memory of a list
    return translation._replace(
        source_pieces=tuple(subwords.pieces([*source, EOS])), attention=attention
    )


def penalised(
    translation: Translation, scored: ScoredTarget, beta: float, alpha: float
) -> Translation:
    """The same with its coverage penalty in the score, in which it counts as log-probability
    does."""
    coverage = beta * coverage_penalty(scored.weights_TS)
    length = len(translation.pieces) + 1
    return translation._replace(
        score=translation.score + coverage / length**alpha, coverage=coverage
    )


def join_segments(
    segments: Sequence[SegmentTranslations], alpha: float | None
) -> list[Translation]:
    """The n-best list of a line: the best translations of its segments joined, then the second
    best, and so on. An `alpha` of None: the score is the mean of the segments' scores.

    Between them stands a space, or nothing inside a word and in Chinese and Japanese.
    """
    if not segments:
        return [BLANK]
    depth = min(len(segment.translations) for segment in segments)
    return [
        _joined(segments, [segment.translations[rank] for segment in segments], alpha)
        for rank in range(depth)
    ]


def _joined(
    segments: Sequence[SegmentTranslations], parts: list[Translation], alpha: float | None
) -> Translation:
    text = ""
    alignment: list[tuple[int, int]] = []
    source_words = target_words = 0  # of the parts before
    for segment, part in zip(segments, parts, strict=True):
        between = "" if segment.within_word or not text or not part.text else glue(text, part.text)
        between = between and segment.between
        # Without a space between them the last word before and the first one after are one word.
        source_words -= bool(source_words) and not segment.spaced
        target_words -= bool(text and part.text) and not between
        alignment += [
            (source + source_words, target + target_words) for source, target in part.alignment
        ]
        source_words += segment.source_words
        target_words += 1 + max(words_of(part.pieces), default=-1)
        text += between + part.text
    log_prob = sum(part.log_prob for part in parts)
    length = sum(len(part.pieces) + 1 for part in parts)
    coverage = sum(part.coverage for part in parts)
    return Translation(
        text=text,
        log_prob=log_prob,
        score=(
            sum(part.score for part in parts) / len(parts)
            if alpha is None
            else (log_prob + coverage) / length**alpha
        ),
        pieces=tuple(piece for part in parts for piece in part.pieces),
        piece_log_probs=tuple(value for part in parts for value in part.piece_log_probs),
        alignment=tuple(alignment),
        source_pieces=tuple(piece for part in parts for piece in part.source_pieces),
        attention=_joined_attention(parts),
        coverage=coverage,
        segments=len(parts),
        unplaced=tuple(span for part in parts for span in part.unplaced),
    )


def _joined_attention(parts: Sequence[Translation]) -> tuple[Sequence[float], ...]:
    """No piece has attention to the source of another segment."""
    rows: list[Sequence[float]] = []
    before, after = 0, sum(len(part.source_pieces) for part in parts)
    for part in parts:
        after -= len(part.source_pieces)
        rows += [array("f", [*[0.0] * before, *row, *[0.0] * after]) for row in part.attention]
        before += len(part.source_pieces)
    return tuple(rows)
