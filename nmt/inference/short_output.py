"""The output layer over the candidates of a shortlist.

Dimension besides the legend: C candidates of a batch.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from nmt.inference.packing import Kernels, PackedLinear


class ShortOutput(NamedTuple):
    """vectors [N, E] -> logits [N, C]: -inf for candidates that only other sentences may use."""

    product: PackedLinear
    bias_BC: Tensor  # 0; -inf for candidates of others

    def __call__(self, vectors_NE: Tensor) -> Tensor:
        B, C = self.bias_BC.shape
        logits_NC = self.product(vectors_NE)
        logits_NC.view(B, -1, C).add_(self.bias_BC[:, None])
        return logits_NC

    def select(self, sentences_B: Tensor) -> Self:
        """For some of the sentences."""
        return self._replace(bias_BC=self.bias_BC.index_select(0, sentences_B))


def short_output(weight_VE: Tensor, candidates_C: Tensor, allowed_BC: Tensor, kernels: Kernels) -> ShortOutput:
    """Made once for a batch."""
    bias_BC = torch.zeros(allowed_BC.shape).masked_fill_(~allowed_BC, -torch.inf)
    return ShortOutput(PackedLinear(weight_VE.index_select(0, candidates_C), None, kernels), bias_BC)
