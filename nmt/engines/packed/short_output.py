"""The output layer over the candidates of a shortlist, with an estimate of what the other pieces
would add to the softmax.

Left out, the other pieces' share would go to the candidates, most of it where the network is least
sure: beam search would come to prefer such places. Dimension besides the legend: C candidates of a
batch.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from nmt.engines.packed.layers import Kernels, PackedLinear
from nmt.vocabulary import PAD


class Moments(NamedTuple):
    """What is known of the rows of the output layer as a whole."""

    mean_E: Tensor
    variance: float  # of a number of a row around its mean, averaged over all


class ShortOutput(NamedTuple):
    """vectors [N, E] -> logits [N, C]: -inf for candidates that only other sentences may use; PAD's
    stands for all pieces left out.

    For n rows w that are normally distributed, alike in each direction, log sum exp(w . x) is about
    log n + mean . x + variance |x|^2 / 2. PAD is never picked, but counted in the softmax.
    """

    product: PackedLinear  # the candidates' rows, in the place of PAD's the mean of all
    bias_BC: Tensor  # 0; -inf for candidates of others; at PAD log n
    half_variance: float

    def __call__(self, vectors_NE: Tensor) -> Tensor:
        B, C = self.bias_BC.shape
        logits_NC = self.product(vectors_NE)
        logits_NC.view(B, -1, C).add_(self.bias_BC[:, None])
        logits_NC[:, PAD].add_(vectors_NE.square().sum(1), alpha=self.half_variance)
        return logits_NC

    def select(self, sentences_B: Tensor) -> Self:
        """For some of the sentences."""
        return self._replace(bias_BC=self.bias_BC.index_select(0, sentences_B))


def moments(weight_VE: Tensor) -> Moments:
    """Computed once for a network."""
    return Moments(weight_VE.mean(0), float(weight_VE.var(0, correction=0).mean()))


def short_output(
    weight_VE: Tensor, whole: Moments, candidates_C: Tensor, allowed_BC: Tensor, kernels: Kernels
) -> ShortOutput:
    """Made once for a batch."""
    weight_CE = weight_VE.index_select(0, candidates_C)
    weight_CE[PAD] = whole.mean_E
    bias_BC = torch.zeros(allowed_BC.shape).masked_fill_(~allowed_BC, -torch.inf)
    bias_BC[:, PAD] = (len(weight_VE) - allowed_BC.sum(1)).log()
    return ShortOutput(PackedLinear(weight_CE, None, kernels), bias_BC, whole.variance / 2)
