"""A search whose hypotheses have certain pieces once each, as a network around another one.

Dimensions besides the legend: P pieces that may be required.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, NamedTuple, Self

import torch
from torch import Tensor

from nmt.search.beam import beam_search
from nmt.search.hypotheses import BeamRecord, Hypothesis
from nmt.search.kernels import Beam, BestPieces, NextRows, Rules, SearchKernels
from nmt.search.settings import SearchSettings
from nmt.search.step import Network, S

EARLY = -1e4  # nats for an end before all pieces are there: such a hypothesis comes last


class RequiredState(NamedTuple, Generic[S]):
    """The network's state, and what each row still needs."""

    inner: S
    needed_NP: Tensor

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> Self:
        """As of every search state."""
        return self._replace(
            inner=self.inner.select(rows_N, sentences_B), needed_NP=self.needed_NP[rows_N]
        )


class Required(Generic[S]):
    """A network whose hypotheses have each of `pieces` that their source has once, and none of the
    others.

    A piece that is there already, or that the source does not have, is never picked; an end before
    all are there costs `EARLY`, so that a hypothesis that reaches its longest length still ends.
    """

    def __init__(self, network: Network[S], pieces: Sequence[int], eos: int) -> None:
        self.network, self.eos = network, eos
        self.device = network.device
        self.pieces_P = torch.tensor(pieces, dtype=torch.long, device=self.device)
        self.inner_kernels = network.search_kernels
        self.search_kernels = SearchKernels(self._best_pieces, self._advance)

    def autocast(self) -> AbstractContextManager[Any]:
        """As of the network."""
        return self.network.autocast()

    def start(
        self, sources: Sequence[Sequence[int]], every_piece: bool = False
    ) -> RequiredState[S]:
        """As of the network, without a shortlist."""
        pieces = self.pieces_P.tolist()
        needed = [[piece in source for piece in pieces] for source in map(set, sources)]
        needed_NP = torch.tensor(needed, dtype=torch.bool, device=self.device)
        return RequiredState(self.network.start(sources, True), needed_NP)

    def step(self, pieces_N: Tensor, before: RequiredState[S]) -> tuple[Tensor, RequiredState[S]]:
        """As of the network, but log-probabilities in which what is blocked is -inf."""
        logits_NV, inner = self.network.step(pieces_N, before.inner)
        needed_NP = before.needed_NP & (pieces_N[:, None] != self.pieces_P)
        log_probs_NV = logits_NV.log_softmax(1)
        offered_NP = log_probs_NV[:, self.pieces_P].masked_fill(~needed_NP, -torch.inf)
        log_probs_NV[:, self.pieces_P] = offered_NP
        log_probs_NV[:, self.eos] += EARLY * needed_NP.any(1)
        return log_probs_NV, RequiredState(inner, needed_NP)

    def candidates(self, state: RequiredState[S]) -> Tensor | None:
        """As of the network."""
        return self.network.candidates(state.inner)

    def _best_pieces(self, log_probs_NV: Tensor, forbidden_F: Tensor, scored: bool) -> BestPieces:
        return self.inner_kernels.best_pieces(log_probs_NV, forbidden_F, False)

    def _advance(
        self, log_probs_NV: Tensor, beam: Beam, rules: Rules
    ) -> tuple[BeamRecord, NextRows, Beam]:
        return self.inner_kernels.advance(log_probs_NV, beam, rules._replace(scored=False))


def is_faithful(source: Sequence[int], found: Sequence[int], pieces: Sequence[int]) -> bool:
    """Whether of `pieces` an output has those of its source once each, and no other.

    >>> [is_faithful([4, 8, 5], output, [4, 5]) for output in ([5, 9, 4], [4, 4, 5], [4])]
    [True, False, False]
    """
    may = set(pieces)
    return Counter(may_be for may_be in found if may_be in may) == Counter(may & set(source))


def search_again(
    network: Network[Any],
    pieces: Sequence[int],
    sources: Sequence[list[int]],
    found: list[list[Hypothesis]],
    settings: SearchSettings,
    prefixes: Sequence[Sequence[int]],
) -> list[list[Hypothesis]]:
    """What was found; of a source whose best output is not faithful, what a second search with
    `Required` finds. Where that one is not faithful either, or a prefix is forced, the first
    stays."""
    wrong = [
        row
        for row, (source, hypotheses) in enumerate(zip(sources, found, strict=True))
        if not prefixes[row] and not is_faithful(source, hypotheses[0].pieces, pieces)
    ]
    if not wrong:
        return found
    required = Required(network, pieces, settings.eos)
    again = beam_search(required, [sources[row] for row in wrong], settings).hypotheses
    results = list(found)
    for row, hypotheses in zip(wrong, again, strict=True):
        if is_faithful(sources[row], hypotheses[0].pieces, pieces):
            results[row] = hypotheses
    return results
