"""Ensembles: several networks over one vocabulary that predict as one, by the mean of their
probabilities."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from nmt.data.batches import padded
from nmt.engines.force_decoding import Forced
from nmt.engines.packed.weights import Kernels
from nmt.engines.predictor import Predictor, SearchSettings, search
from nmt.search.hypotheses import Hypothesis
from nmt.vocabulary import EOS


class EnsembleState(NamedTuple):
    """The search states of all members, whose rows and sentences are the same."""

    members: tuple[Any, ...]

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> Self:
        """As of every search state."""
        return self._replace(
            members=tuple(state.select(rows_N, sentences_B) for state in self.members)
        )


class Ensemble:
    """Members on one device, of any cells and sizes. As a predictor, but without shortlists,
    which would differ between members."""

    def __init__(self, members: Sequence[Predictor]) -> None:
        self.members = list(members)

    def batch_pieces(self, most: int, beam: int) -> int:
        """As of its first member."""
        return self.members[0].batch_pieces(most, beam)

    @property
    def chosen_precision(self) -> str | Kernels:
        """As of its first member."""
        return self.members[0].chosen_precision

    def search(
        self, sources: Sequence[Sequence[int]], settings: SearchSettings
    ) -> list[list[Hypothesis]]:
        """The n best hypotheses of each source, best first, by the ensemble's probabilities."""
        first = self.members[0]
        source_BS, lengths_B = (
            tensor.to(first.device) for tensor in padded(sources, suffix=(EOS,))
        )
        with torch.inference_mode(), first.autocast() if first.engine is None else nullcontext():
            state = EnsembleState(
                tuple(member.encode(source_BS, lengths_B) for member in self.members)
            )
            return search(self.step, state, settings)

    def step(self, pieces_N: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """One target position: the log-probability of each piece and the next state."""
        steps = [
            member.step(pieces_N, before)
            for member, before in zip(self.members, state.members, strict=True)
        ]
        V = len(
            self.members[0].model.output.weight
        )  # the compiled engine's logits fill up a whole block of columns
        log_probs_NV = mean_probability([logits_NV[:, :V].log_softmax(1) for logits_NV, _ in steps])
        return log_probs_NV, EnsembleState(tuple(after for _, after in steps))

    def force_decode(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[Forced]:
        """What the ensemble thinks of given pairs: log-probabilities as in a search, and the
        mean of the members' attention."""
        found = [member.force_decode(sources, targets) for member in self.members]
        return [
            Forced(
                tuple(
                    mean_probability(
                        [torch.tensor(each.log_probs, dtype=torch.float64) for each in pair]
                    ).tolist()
                ),
                torch.stack([each.weights_TS for each in pair]).mean(0),
            )
            for pair in zip(*found, strict=True)
        ]


def mean_probability(log_probs: Sequence[Tensor]) -> Tensor:
    """log((1/M) sum of the probabilities) of M tensors of log-probabilities."""
    return torch.stack(list(log_probs)).logsumexp(0) - math.log(len(log_probs))
