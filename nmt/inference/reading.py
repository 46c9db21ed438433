"""Attention in its inference form: the scale is in the keys, the mask is a number to add, the memory is never repeated for a beam.

Dimensions besides the legend: A heads, D = H / A.
"""

import math
from typing import NamedTuple, Self

import torch
from torch import Tensor

from nmt.inference.packing import Kernels, PackedLinear
from nmt.model.attention import AdditiveAttention, Attention, MultiplicativeAttention


class PackedMemory(NamedTuple):
    """What the decoder reads of the source."""

    keys: Tensor  # [B * A, D, S]; additive: [B, S, H]
    values: Tensor  # [B * A, S, D]; additive: [B, S, H]
    bias: Tensor | None  # [B, 1, S] or [B * A, 1, S]: 0 where a piece is, -inf elsewhere; None if there is no padding

    def select(self, sentences_B: Tensor, heads: int) -> Self:
        """The memory of some of the sentences."""
        if heads > 1:
            sentences_B = (sentences_B[:, None] * heads + torch.arange(heads)).flatten()
        bias = None if self.bias is None else self.bias.index_select(0, sentences_B)
        return self._replace(keys=self.keys.index_select(0, sentences_B), values=self.values.index_select(0, sentences_B), bias=bias)


class PackedAttention:
    """queries [N, H] and the memory of B sentences -> context vectors [N, H]."""

    def __init__(self, attention: Attention, kernels: Kernels) -> None:
        self.heads = attention.heads if isinstance(attention, MultiplicativeAttention) else 1
        weight_HH = attention.key.weight.detach()
        if isinstance(attention, AdditiveAttention):
            self.query: PackedLinear | None = PackedLinear(attention.query.weight.detach(), attention.query.bias.detach(), kernels)
            self.energy_H = attention.energy.weight.detach().flatten()
        else:
            self.query = None
            weight_HH = weight_HH * math.sqrt(self.heads / weight_HH.shape[0])
        self.key = PackedLinear(weight_HH, None, kernels)

    def memory(self, states_BSH: Tensor, lengths_B: Tensor) -> PackedMemory:
        """Made once a sentence."""
        B, S, H = states_BSH.shape
        padding_BS = torch.arange(S) >= lengths_B[:, None]
        bias = torch.zeros(B, 1, S).masked_fill_(padding_BS[:, None], -torch.inf) if padding_BS.any() else None
        keys_BSH = self.key(states_BSH.reshape(-1, H)).view(B, S, H)
        if self.query is not None:
            return PackedMemory(keys_BSH, states_BSH.contiguous(), bias)
        A = self.heads
        keys = keys_BSH.view(B, S, A, -1).permute(0, 2, 3, 1).reshape(B * A, -1, S)
        values = states_BSH.reshape(B, S, A, -1).transpose(1, 2).reshape(B * A, S, -1)
        if bias is not None and A > 1:
            bias = bias.repeat_interleave(A, 0)
        return PackedMemory(keys, values, bias)

    def read(self, queries_NH: Tensor, memory: PackedMemory) -> Tensor:
        """The weighted mean of the values."""
        H, A = queries_NH.shape[1], self.heads
        if self.query is not None:
            return self._read_additive(queries_NH, memory)
        B = len(memory.keys) // A
        queries = queries_NH.view(B, -1, H)
        if A > 1:
            queries = queries.view(B, -1, A, H // A).transpose(1, 2).reshape(B * A, -1, H // A)
        energies = torch.bmm(queries, memory.keys) if memory.bias is None else torch.baddbmm(memory.bias, queries, memory.keys)
        contexts = torch.bmm(torch.softmax(energies, -1), memory.values)
        if A > 1:
            contexts = contexts.view(B, A, -1, H // A).transpose(1, 2)
        return contexts.reshape(-1, H)

    def _read_additive(self, queries_NH: Tensor, memory: PackedMemory) -> Tensor:
        assert self.query is not None
        B, H = len(memory.keys), queries_NH.shape[1]
        sums_BKSH = self.query(queries_NH).view(B, -1, 1, H) + memory.keys[:, None]
        energies_BKS = sums_BKSH.tanh_() @ self.energy_H
        if memory.bias is not None:
            energies_BKS += memory.bias
        return torch.bmm(torch.softmax(energies_BKS, -1), memory.values).view(-1, H)
