"""Ensembles: several networks over one vocabulary that predict as one, by the mean of their
probabilities."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from nmt.engines.force_decoding import ScoredTarget, TranslationNetwork
from nmt.search.kernels import TORCH


class EnsembleState(NamedTuple):
    """The search states of all members, whose rows and sentences are the same."""

    members: tuple[Any, ...]

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> Self:
        """As of every search state."""
        return self._replace(
            members=tuple(state.select(rows_N, sentences_B) for state in self.members)
        )


class Ensemble:
    """Members on one device, of any cells and sizes, as a TranslationNetwork. It has no shortlist,
    which would differ between members. What is not said of it is as of its first member."""

    search_kernels = TORCH

    def __init__(self, members: Sequence[TranslationNetwork[Any]]) -> None:
        first, self.members = members[0], list(members)
        self.models = tuple(model for member in members for model in member.models)
        self.device, self.precision, self.note = first.device, first.precision, first.note
        self.pinned_precision, self.independent = first.pinned_precision, first.independent
        self.pieces = len(first.models[0].output.weight)

    def autocast(self) -> AbstractContextManager[Any]:
        """As of its first member."""
        return self.members[0].autocast()

    def start(self, sources: Sequence[Sequence[int]], every_piece: bool = False) -> EnsembleState:
        """Every member reads the sources."""
        return EnsembleState(tuple(member.start(sources, True) for member in self.members))

    def step(self, columns_N: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """One target position: the log-probability of each piece and the next state."""
        steps = [
            member.step(columns_N, before)
            for member, before in zip(self.members, state.members, strict=True)
        ]
        # the compiled engine's logits fill up a whole block of columns
        log_probs_NV = mean_probability(
            [logits_NV[:, : self.pieces].log_softmax(1) for logits_NV, _ in steps]
        )
        return log_probs_NV, EnsembleState(tuple(after for _, after in steps))

    def candidates(self, state: EnsembleState) -> None:
        """Columns are pieces."""

    def batch_pieces(self, most: int, beam: int) -> int:
        """As of its first member."""
        return self.members[0].batch_pieces(most, beam)

    def force_decode(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[ScoredTarget]:
        """Log-probabilities as in a search, and the mean of the members' attention."""
        found = [member.force_decode(sources, targets) for member in self.members]
        return [_mean(pair) for pair in zip(*found, strict=True)]


def _mean(pair: Sequence[ScoredTarget]) -> ScoredTarget:
    log_probs_T = mean_probability(
        [torch.tensor(each.log_probs, dtype=torch.float64) for each in pair]
    )
    weights_TS = torch.stack([each.weights_TS for each in pair]).mean(0)
    return ScoredTarget(tuple(log_probs_T.tolist()), weights_TS)


def mean_probability(log_probs: Sequence[Tensor]) -> Tensor:
    """log((1/M) sum of the probabilities) of M tensors of log-probabilities."""
    return torch.stack(list(log_probs)).logsumexp(0) - math.log(len(log_probs))
