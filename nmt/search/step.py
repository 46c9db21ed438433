"""A network as a search sees it: whatever predicts the next piece of rows of prefixes.

Dimension besides the legend: C columns of the logits.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor

from nmt.search.hypotheses import BeamRecord
from nmt.search.top import BestPieces


class SearchState(Protocol):
    """What a network carries from step to step: a value of N rows, grouped by sentence, equally
    many each."""

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> Self:
        """The state whose rows are these of the current N rows and whose sentences are these of
        the current B (None: all stay)."""
        ...


S = TypeVar("S", bound=SearchState)


class Network(Protocol[S]):
    """Whatever predicts the next piece: a trained network, a faster form of it, an ensemble, a
    language model. Its methods change nothing and may be called from several threads."""

    @property
    def device(self) -> torch.device:
        """Where its states and logits are."""
        ...

    @property
    def search_kernels(self) -> "SearchKernels":
        """How a search chooses from its logits."""
        ...

    def autocast(self) -> AbstractContextManager[Any]:
        """The context that it computes in; a search enters it once, around all steps."""
        ...

    def start(self, sources: Sequence[Sequence[int]], every_piece: bool = False) -> S:
        """The state before the first piece, one row a source.

        Sources are pieces without the end of sentence. With `every_piece` the logits have a column
        for each piece of the vocabulary, whatever shortlist there is.
        """
        ...

    def step(self, columns_N: Tensor, state: S) -> tuple[Tensor, S]:
        """One position: the last columns that were picked (the beginning of sentence at first) ->
        the logits [N, C] of the next and the next state. Logits are float32, not normalised, and
        the search may overwrite them."""
        ...

    def candidates(self, state: S) -> Tensor | None:
        """The pieces that the columns of the logits stand for, of all sentences [C] or of each
        [B, C], from the state that `start` made; None: columns are pieces. PAD, UNK, BOS and EOS
        are the first four in any case."""
        ...


class Rules(NamedTuple):
    """How hypotheses may grow, end and be scored: settings as the kernels read them."""

    beam: int
    eos: int
    min_length: int  # lengths count the end of sentence
    max_lengths: frozenset[int]  # of any sentence
    never_F: Tensor  # pieces that are never picked
    early_F: Tensor  # the same and the end of sentence, below min_length
    divisors_T: Tensor  # length ** length_alpha for the lengths 1, 2, ...
    scored: bool  # whether logits are normalised

    def forbidden(self, length: int) -> Tensor:
        """Pieces that are not picked as the last one of `length`."""
        return self.early_F if length < self.min_length else self.never_F


class Beam(NamedTuple):
    """The prefixes that a search continues; live ones come first among the K of their sentence."""

    length: int  # of the hypotheses that the next picks finish
    picked: int  # picks of all steps before
    sentences_B: Tensor  # their numbers in the first batch
    max_lengths_B: Tensor
    log_probs_BK: Tensor  # -inf where there is no prefix
    origins_BK: Tensor  # the pick that each prefix ends with, counted from the first step; -1: none
    free_B: Tensor  # slots without a finished hypothesis
    best_BQ: Tensor  # scores of the best finished hypotheses, best first; -inf where there is none


class NextRows(NamedTuple):
    """The rows of the next step."""

    pieces_N: Tensor  # their last pieces
    rows_N: Tensor | None  # the rows of this step that they continue; None: each its own
    sentences_B: Tensor | None  # the sentences of this step that stay; None: all


class SearchKernels(NamedTuple):
    """How logits become the rows of the next step: torch's functions, or others that choose the
    same, faster."""

    best_pieces: Callable[[Tensor, Tensor, bool], BestPieces]  # greedy search
    advance: Callable[[Tensor, Beam, Rules], tuple[BeamRecord, NextRows, Beam]]  # beam search
    # greedy search without scores, from the first state, max_lengths and BOS to pieces
    whole: Callable[[Any, Sequence[int], int, Rules], list[list[int]]] | None = None


FEW = 16
MULTIPLE = 8


def rows_to_keep(going: Sequence[bool]) -> list[int]:
    """The sentences of a batch that stay, given which of them go on: those, and enough finished
    ones to make their number a multiple of 8.

    Removing one costs a copy of the state, and a product of a new number of rows costs the CPU a
    kernel to be made. So sentences leave in groups, until there are few. Empty if none goes on.
    """
    count = sum(going)
    room = count if count <= FEW else -(-count // MULTIPLE) * MULTIPLE
    if count and room >= len(going):
        return list(range(len(going)))
    kept = set(islice((number for number, goes in enumerate(going) if not goes), room - count))
    return [number for number, goes in enumerate(going) if goes or number in kept]
