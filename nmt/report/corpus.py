"""The corpus at a glance: how long its lines are, how words fall into pieces, and which words of
the dev set it does not have."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nmt.data.store import open_store
from nmt.errors import NmtError
from nmt.report.sentences import Sentences
from nmt.scoring.breakdown import Group, by_frequency, word_counts, words_of
from nmt.text.subwords import SubwordPair

LENGTHS = 50_000  # pairs whose length is plotted
WORDS = 200_000  # pairs whose words are counted


class Side(NamedTuple):
    """One language of a corpus."""

    language: str
    lengths: list[int]  # pieces a line, of a sample
    pieces_per_word: float
    words: int  # different words in the lines counted
    unknown: float  # share of the dev set's words that are not among them
    bytes: float  # share of the dev set's pieces that are single bytes: characters without a piece
    vocabulary: int  # pieces


class Corpus(NamedTuple):
    """The training data of a run."""

    pairs: int
    counted: int  # pairs whose words were counted
    summary: tuple[str, ...]  # what cleaning left out
    sides: list[Side]
    rarity: list[Group]  # of the dev set's lines, by their rarest source word


def look_at_corpus(run: Path, languages: tuple[str, str], dev: Sentences) -> Corpus:
    """Reads a run's store of pairs, evenly spread samples of a large one.

    Raises:
        NmtError: the store is not there or not whole.
    """
    if not (run / "data").exists():
        raise NmtError(
            f"{run}: the training data are not beside the model; name the run folder to see them"
        )
    store, subwords = open_store(run / "data"), SubwordPair.load(run)
    counted = _spread(len(store), WORDS)
    texts = store.texts(counted)
    sample = _spread(len(store), LENGTHS)
    sides, rarity = [], list[Group]()
    for place, language in enumerate(languages):
        lengths = (store.source_lengths, store.target_lengths)[place]
        model, lines = subwords[place], (dev.sources, dev.references)[place]
        counts = word_counts(texts[place])
        rarity = rarity or by_frequency(dev.sources, counts)
        words = [word for line in lines for word in words_of(line)]
        pieces = [piece for ids in model.encode(lines) for piece in model.pieces(ids)]
        in_words = sum(len(line.split()) for line in texts[place])
        sides.append(
            Side(
                language=language,
                lengths=[int(length) for length in lengths[sample]],
                pieces_per_word=float(lengths[counted].sum()) / max(1, in_words),
                words=len(counts),
                unknown=sum(word not in counts for word in words) / max(1, len(words)),
                bytes=sum(piece.startswith("<0x") for piece in pieces) / max(1, len(pieces)),
                vocabulary=model.size,
            )
        )
    return Corpus(len(store), len(counted), store.summary, sides, rarity)


def _spread(total: int, most: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """At most `most` row numbers, evenly spread."""
    return np.unique(np.linspace(0, total - 1, min(total, most)).astype(np.int64))
