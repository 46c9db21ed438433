"""A language model as a search sees it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Self

import torch
from torch import Tensor

from nmt.model.language_model import LanguageModel, LanguageState
from nmt.search.kernels import TORCH
from nmt.vocabulary import BOS, EOS


class ReadState(NamedTuple):
    """What N rows have read, but for the last piece: the next step reads it."""

    layers: LanguageState
    last_N: Tensor | None  # None: the search's own piece is read

    def select(self, rows_N: Tensor, sentences_B: Tensor | None = None) -> Self:
        """The states of some of the rows, in a new order."""
        last_N = None if self.last_N is None else self.last_N[rows_N]
        return self._replace(layers=self.layers.select(rows_N), last_N=last_N)


class LanguageNetwork:
    """LanguageModel as a Network, in fp32. Sources are what each row has read so far; a text that
    begins follows the end of a line where the model has learnt running text, else BOS."""

    search_kernels = TORCH

    def __init__(self, model: LanguageModel, running: bool) -> None:
        self.model, self.first = model, EOS if running else BOS
        self.device = model.output.weight.device

    def autocast(self) -> AbstractContextManager[None]:
        """Nothing is in half precision."""
        return nullcontext()

    def start(self, sources: Sequence[Sequence[int]], every_piece: bool = False) -> ReadState:
        """The state in front of what follows each source; a source may be empty."""
        found = [self._read([self.first, *source]) for source in sources]
        layers = tuple(
            tuple(torch.cat(parts) for parts in zip(*each, strict=True))
            for each in zip(*(state.layers for state in found), strict=True)
        )
        last = [source[-1] if source else self.first for source in sources]
        return ReadState(LanguageState(layers), torch.tensor(last, device=self.device))

    def step(self, columns_N: Tensor, state: ReadState) -> tuple[Tensor, ReadState]:
        """The first step reads what `start` has kept, whatever the columns are."""
        pieces_N = columns_N if state.last_N is None else state.last_N
        logits_NV, layers = self.model.step(pieces_N, state.layers)
        return logits_NV, ReadState(layers, None)

    def candidates(self, state: ReadState) -> None:
        """Columns are pieces."""

    def _read(self, pieces: Sequence[int]) -> LanguageState:
        """The state in front of the last of the pieces."""
        if len(pieces) == 1:
            return self.model.initial_state(1)
        read_1T = torch.tensor([pieces[:-1]], device=self.device)
        state: LanguageState = self.model(read_1T)[1]
        return state
