"""Word alignments from attention: which source word each target word was read from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.data.subwords import WORD_START

Alignment = tuple[tuple[int, int], ...]  # (source word, target word), counted from 0


def words_of(pieces: Sequence[str]) -> list[int]:
    """For each piece the number of its word; a word starts at U+2581."""
    word, words = -1, []
    for index, piece in enumerate(pieces):
        word += index == 0 or piece.startswith(WORD_START)
        words.append(word)
    return words


def align_words(weights_TS: Tensor, source_pieces: Sequence[str], target_pieces: Sequence[str]) -> Alignment:
    """Each target word's source word: the one with most of its pieces' attention, the end of the source sentence left out."""
    if not source_pieces or not target_pieces:
        return ()
    source_words = torch.tensor(words_of(source_pieces))
    target_words = torch.tensor(words_of(target_pieces))
    by_source = torch.zeros(len(target_pieces), int(source_words[-1]) + 1)
    by_source.index_add_(1, source_words, weights_TS[: len(target_pieces), : len(source_pieces)].float())
    by_both = torch.zeros(int(target_words[-1]) + 1, by_source.shape[1]).index_add_(0, target_words, by_source)
    return tuple((int(source), target) for target, source in enumerate(by_both.argmax(1)))
