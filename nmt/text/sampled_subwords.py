"""Random segmentations for training, as a function of the seed alone.

sentencepiece's own sampling mixes a number into its seed that differs from process to process, so
that no run could be repeated. Here each word is segmented by itself: pieces never cross words, so
that the probability of a sentence's segmentation is the product over its words.
"""

import math
import random
import re
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate

import sentencepiece

WORD = re.compile("▁[^▁]*")
CANDIDATES = 64  # best segmentations of a word to choose from, as in Kudo (2018, sec. 3.3)
KEPT_WORDS = 500_000  # words whose candidates are kept at hand
MERGEABLE = 64  # characters; longer words are not cut up at random, which would take quadratic time

Segmentations = tuple[list[list[int]], list[float]]  # candidates and their cumulative weights


class SubwordSampler:
    """Draws segmentations; what it keeps between calls is derived from the model only."""

    def __init__(self, processor: sentencepiece.SentencePieceProcessor) -> None:
        self._processor = processor
        self._candidates: dict[tuple[str, float], Segmentations] = {}
        self._merges: dict[str, tuple[int, float]] = {}
        self._is_unigram = _has_nbest(processor)
        if not self._is_unigram:
            pieces = (
                (processor.id_to_piece(index), index) for index in range(processor.get_piece_size())
            )
            self._merges = {
                piece: (index, processor.get_score(index))
                for piece, index in pieces
                if not _is_special(processor, index)
            }

    def sample(self, lines: Sequence[str], alpha: float, seed: int) -> list[list[int]]:
        """Ids of one random segmentation of each line.

        Unigram models draw from p(segmentation) ** alpha (Kudo 2018, eq. 8, word by word); BPE
        models leave each merge out with probability alpha (Provilkov et al. 2020, alg. 1).
        """
        generator = random.Random(seed)
        draw = self._draw_unigram if self._is_unigram else self._draw_bpe
        sampled = []
        for line in lines:
            ids: list[int] = []
            for word in WORD.findall(self._processor.normalize(line)):
                ids += draw(word, alpha, generator)
            sampled.append(ids)
        return sampled

    def _draw_unigram(self, word: str, alpha: float, generator: random.Random) -> list[int]:
        found = self._candidates.get((word, alpha))
        if found is None:
            found = self._weighted(word, alpha)
            if len(self._candidates) < KEPT_WORDS:
                self._candidates[word, alpha] = found
        candidates, cumulative = found
        return candidates[
            bisect(cumulative, generator.random() * cumulative[-1], hi=len(candidates) - 1)
        ]

    def _weighted(self, word: str, alpha: float) -> Segmentations:
        candidates: list[list[int]] = self._processor.nbest_encode(word[1:], nbest_size=CANDIDATES)
        scores = [
            alpha * sum(self._processor.get_score(piece) for piece in pieces)
            for pieces in candidates
        ]
        return candidates, list(accumulate(math.exp(score - max(scores)) for score in scores))

    def _draw_bpe(self, word: str, dropout: float, generator: random.Random) -> list[int]:
        if len(word) > MERGEABLE:
            ids: list[int] = self._processor.encode(word[1:])
            return ids
        symbols = list(word)
        while True:
            best, place = -math.inf, -1
            for index in range(len(symbols) - 1):
                merge = self._merges.get(symbols[index] + symbols[index + 1])
                if merge is not None and merge[1] > best and generator.random() >= dropout:
                    best, place = merge[1], index
            if place < 0:
                return [piece for symbol in symbols for piece in self._ids_of(symbol)]
            symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]

    def _ids_of(self, symbol: str) -> list[int]:
        if symbol in self._merges:
            return [self._merges[symbol][0]]
        spelt = [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in symbol.encode()]
        unknown = self._processor.unk_id()
        return [unknown] if unknown in spelt else spelt


def _has_nbest(processor: sentencepiece.SentencePieceProcessor) -> bool:
    try:
        processor.nbest_encode("a", nbest_size=1)
    except RuntimeError:
        return False
    return True


def _is_special(processor: sentencepiece.SentencePieceProcessor, index: int) -> bool:
    return bool(
        processor.is_control(index)
        or processor.is_unknown(index)
        or processor.is_byte(index)
        or processor.is_unused(index)
    )
