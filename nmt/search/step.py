"""A network as a search sees it: whatever predicts the next piece of rows of prefixes.

Dimension besides the legend: C columns of the logits.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor

from nmt.search.kernels import SearchKernels


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
    def search_kernels(self) -> SearchKernels:
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
