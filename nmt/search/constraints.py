"""What users demand of hypotheses, as a network around another one: the search itself knows
nothing of it.

The network normalises before it blocks, so that log-probabilities stay the model's own: it hands on
log-probabilities, with -inf for the pieces that must not be picked, and its kernels do not
normalise again.

Dimensions besides the legend: X n-grams of a row, D pieces of an n-gram, F forbidden pieces.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, NamedTuple, Self

import torch
from torch import Tensor

from nmt.search.hypotheses import BeamRecord
from nmt.search.kernels import Beam, BestPieces, NextRows, Rules, SearchKernels
from nmt.search.step import Network, S

FREE = -1  # in place of a forced piece: any piece may be picked


class ConstrainedState(NamedTuple, Generic[S]):
    """The network's state, and what the constraints have to know."""

    inner: S
    histories_NT: Tensor  # what each row has read: the beginning of sentence and its pieces so far
    prefixes_BT: Tensor  # forced pieces, FREE after the end of each prefix

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> Self:
        """As of every search state."""
        prefixes_BT = self.prefixes_BT if sentences_B is None else self.prefixes_BT[sentences_B]
        return self._replace(
            inner=self.inner.select(rows_N, sentences_B),
            histories_NT=self.histories_NT[rows_N],
            prefixes_BT=prefixes_BT,
        )


class Constrained(Generic[S]):
    """A network whose hypotheses keep to constraints.

    Each hypothesis begins with the pieces of its sentence's prefix, which may be empty, and the
    beam opens up after it. A prefix is shorter than the sentence's max_length, and holds neither
    forbidden pieces nor the end of sentence. A piece that completes `no_repeat_ngram` pieces which
    stand in the hypothesis already, its prefix included, is never picked (Paulus et al. 2018, sec.
    2.5); 0: any piece may be. That blocks neither the prefix nor the end of sentence.
    """

    def __init__(
        self, network: Network[S], prefixes: Sequence[Sequence[int]], no_repeat_ngram: int
    ) -> None:
        """No `prefixes` at all: every prefix is empty."""
        self.network, self.prefixes, self.no_repeat_ngram = network, prefixes, no_repeat_ngram
        self.device = network.device
        self.inner_kernels = network.search_kernels
        self.search_kernels = SearchKernels(self._best_pieces, self._advance)

    def autocast(self) -> AbstractContextManager[Any]:
        """As of the network."""
        return self.network.autocast()

    def start(
        self, sources: Sequence[Sequence[int]], every_piece: bool = False
    ) -> ConstrainedState[S]:
        """As of the network; a prefix may need any piece."""
        every_piece = every_piece or any(self.prefixes)
        prefixes = self.prefixes or [()] * len(sources)
        prefixes_BT = torch.full((len(prefixes), max(map(len, prefixes), default=0)), FREE)
        for prefix_T, prefix in zip(prefixes_BT, prefixes, strict=True):
            prefix_T[: len(prefix)] = torch.tensor(prefix, dtype=torch.long)
        histories_NT = torch.empty(len(prefixes), 0, dtype=torch.long, device=self.device)
        inner = self.network.start(sources, every_piece)
        return ConstrainedState(inner, histories_NT, prefixes_BT.to(self.device))

    def step(
        self, pieces_N: Tensor, before: ConstrainedState[S]
    ) -> tuple[Tensor, ConstrainedState[S]]:
        """As of the network, but log-probabilities in which what is blocked is -inf."""
        logits_NV, inner = self.network.step(pieces_N, before.inner)
        log_probs_NV = logits_NV.log_softmax(1)
        histories_NT = torch.cat([before.histories_NT, pieces_N[:, None]], 1)
        length = histories_NT.shape[1] - 1
        allowed_NV = (
            block_repeats(log_probs_NV, histories_NT[:, 1:], self.no_repeat_ngram)
            if self.no_repeat_ngram
            else log_probs_NV
        )
        if length < before.prefixes_BT.shape[1]:
            forced_B = before.prefixes_BT[:, length]
            allowed_NV = force(
                log_probs_NV, allowed_NV, forced_B.repeat_interleave(len(pieces_N) // len(forced_B))
            )
        return allowed_NV, before._replace(inner=inner, histories_NT=histories_NT)

    def candidates(self, state: ConstrainedState[S]) -> Tensor | None:
        """As of the network."""
        return self.network.candidates(state.inner)

    def _best_pieces(self, log_probs_NV: Tensor, forbidden_F: Tensor, scored: bool) -> BestPieces:
        return self.inner_kernels.best_pieces(log_probs_NV, forbidden_F, False)

    def _advance(
        self, log_probs_NV: Tensor, beam: Beam, rules: Rules
    ) -> tuple[BeamRecord, NextRows, Beam]:
        return self.inner_kernels.advance(log_probs_NV, beam, rules._replace(scored=False))


def block_repeats(log_probs_NV: Tensor, histories_NT: Tensor, size: int) -> Tensor:
    """The log-probabilities, -inf for each piece that would complete a `size`-gram of its row's
    history."""
    T = histories_NT.shape[1]
    if size > T:
        return log_probs_NV
    ngrams_NXD = histories_NT.unfold(1, size, 1)
    last_N1D = histories_NT[
        :, None, T - size + 1 :
    ]  # the size - 1 pieces that the next one follows; none for single pieces
    rows, numbers = (ngrams_NXD[:, :, :-1] == last_N1D).all(2).nonzero(as_tuple=True)
    return log_probs_NV.index_put(
        (rows, ngrams_NXD[rows, numbers, -1]), log_probs_NV.new_tensor(-torch.inf)
    )


def force(log_probs_NV: Tensor, allowed_NV: Tensor, forced_N: Tensor) -> Tensor:
    """`allowed_NV`, but of a row with a forced piece nothing but the log-probability of that
    piece."""
    forced_N1 = forced_N[:, None]
    pieces_N1 = forced_N1.clamp(min=0)
    only_NV = torch.full_like(log_probs_NV, -torch.inf).scatter_(
        1, pieces_N1, log_probs_NV.gather(1, pieces_N1)
    )
    return torch.where(forced_N1 == FREE, allowed_NV, only_NV)
