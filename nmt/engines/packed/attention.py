"""Attention in its inference form: the scale is in the keys, the mask is a number to add, the
memory is never repeated for a beam.

The source is cut into spans of 32 positions, so that all products have one shape. Kernels for other
shapes sum in another order: with the length of the batch as a dimension, the scores of a sentence
would depend on its neighbours.

Dimensions besides the legend: A heads, D = H / A, P = 32 positions of a span, L spans.
"""

import math
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional

from nmt.engines.packed.weights import Kernels, PackedLinear
from nmt.model.attention import AdditiveAttention, Attention, MultiplicativeAttention

SPAN = 32


class PackedMemory(NamedTuple):
    """What the decoder reads of the source."""

    keys: Tensor  # [B * A, L, D, P]; additive: [B, S, H]
    values: Tensor  # [B * A, L, P, D]
    bias: Tensor  # [B * A, 1, L * P]: 0 where a piece is, -inf elsewhere

    def select(self, sentences_B: Tensor, heads: int) -> Self:
        """The memory of some of the sentences."""
        if heads > 1:
            sentences_B = (sentences_B[:, None] * heads + torch.arange(heads)).flatten()
        return self._replace(
            keys=self.keys.index_select(0, sentences_B),
            values=self.values.index_select(0, sentences_B),
            bias=self.bias.index_select(0, sentences_B),
        )


class PackedAttention:
    """queries [N, H] and the memory of B sentences -> context vectors [N, H]."""

    def __init__(self, attention: Attention, kernels: Kernels) -> None:
        self.heads = attention.heads if isinstance(attention, MultiplicativeAttention) else 1
        weight_HH = attention.key.weight.detach()
        if isinstance(attention, AdditiveAttention):
            self.query: PackedLinear | None = PackedLinear(
                attention.query.weight.detach(), attention.query.bias.detach(), kernels
            )
            self.energy_H = attention.energy.weight.detach().flatten()
        else:
            self.query = None
            weight_HH = weight_HH * math.sqrt(self.heads / weight_HH.shape[0])
        self.key = PackedLinear(weight_HH, None, kernels)

    def memory(self, states_BSH: Tensor, lengths_B: Tensor) -> PackedMemory:
        """Made once a sentence."""
        B, S, H = states_BSH.shape
        A, L = self.heads, -(-S // SPAN)
        padding = torch.arange(L * SPAN) >= lengths_B.repeat_interleave(A)[:, None]
        bias = torch.zeros(padding.shape).masked_fill_(padding, -torch.inf)[:, None]
        keys_BSH = self.key(states_BSH.reshape(-1, H)).view(B, S, H)
        values = self._spans(states_BSH).transpose(1, 2).reshape(B * A, L, SPAN, -1)
        if self.query is not None:
            return PackedMemory(keys_BSH, values, bias)
        return PackedMemory(
            self._spans(keys_BSH)
            .permute(0, 2, 3, 1)
            .reshape(B * A, -1, L, SPAN)
            .transpose(1, 2)
            .contiguous(),
            values,
            bias,
        )

    def read(self, queries_NH: Tensor, memory: PackedMemory) -> Tensor:
        """The weighted mean of the values."""
        H, A = queries_NH.shape[1], self.heads
        B = len(memory.keys) // A
        if self.query is not None:
            energies = self._additive_energies(self.query(queries_NH), memory)
        else:
            queries = (
                queries_NH.view(B, -1, A, H // A).transpose(1, 2).reshape(B * A, 1, -1, H // A)
            )
            energies = (
                _product(queries.expand(-1, memory.keys.shape[1], -1, -1), memory.keys)
                .transpose(1, 2)
                .flatten(2)
            )
        weights = torch.softmax(energies + memory.bias, -1)
        parts = _product(weights.unflatten(2, (-1, SPAN)).transpose(1, 2), memory.values).unbind(1)
        contexts = parts[0]
        for part in parts[1:]:
            contexts = (
                contexts + part
            )  # in the order of the source: spans of padding add zero at the end
        return contexts.view(B, A, -1, H // A).transpose(1, 2).reshape(-1, H)

    def _additive_energies(self, queries_NH: Tensor, memory: PackedMemory) -> Tensor:
        B, S, H = memory.keys.shape
        sums_BKSH = queries_NH.view(B, -1, 1, H) + memory.keys[:, None]
        energies_BKS = (
            sums_BKSH.tanh_().mul_(self.energy_H).sum(-1)
        )  # the order of a product's sums depends on its rows
        return functional.pad(energies_BKS, (0, memory.bias.shape[2] - S))

    def _spans(self, states_BSH: Tensor) -> Tensor:
        """[B, L * P, A, D], zero behind the last position."""
        B, S, H = states_BSH.shape
        return functional.pad(states_BSH, (0, 0, 0, -S % SPAN)).view(
            B, -1, self.heads, H // self.heads
        )


def _product(left: Tensor, right: Tensor) -> Tensor:
    """[B, L, K, X] and [B, L, X, Y] -> [B, L, K, Y]. One matrix is multiplied twice: alone, MKL
    gives its rows to several threads."""
    B, L = right.shape[:2]
    left, right = left.flatten(0, 1), right.flatten(0, 1)
    if B * L == 1:
        left, right = left.expand(2, -1, -1), right.expand(2, -1, -1)
    products: Tensor = torch.bmm(left, right)
    return products[: B * L].view(B, L, left.shape[1], right.shape[2])
