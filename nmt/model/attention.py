"""Attention: which source positions a target position reads."""

import math
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """What the decoder reads of the source, made once a sentence and passed as a value."""

    keys_BSH: Tensor
    values_BSH: Tensor
    mask_BS: Tensor  # True where a piece is

    def select(self, sentences_B: Tensor) -> Self:
        """The memory of some of the sentences."""
        return self._replace(
            keys_BSH=self.keys_BSH[sentences_B],
            values_BSH=self.values_BSH[sentences_B],
            mask_BS=self.mask_BS[sentences_B],
        )


class MultiplicativeAttention(nn.Module):
    """energy = q . (W h) / sqrt(H / heads): the `general` form of Luong et al. (2015, eq. 8),
    scaled as in Vaswani et al. (2017, eq. 1).

    With several heads, queries, keys and values are split evenly along H.
    """

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)

    def memory(self, states_BSH: Tensor, mask_BS: Tensor) -> Memory:
        """Keys projected once for all target positions."""
        return Memory(self.key(states_BSH), states_BSH, mask_BS)

    def forward(self, queries_BTH: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """-> context vectors [B, T, H] and weights [B, T, S], averaged over the heads; the
        weights are zero on padding."""
        queries, keys, values = (
            self._split(x) for x in (queries_BTH, memory.keys_BSH, memory.values_BSH)
        )
        energies = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
        energies = energies.masked_fill(~memory.mask_BS[:, None, None], -torch.inf)
        weights = torch.softmax(energies, dim=-1)
        contexts = weights.to(values.dtype) @ values
        return contexts.transpose(1, 2).reshape(queries_BTH.shape), weights.mean(1)

    def _split(self, x_BLH: Tensor) -> Tensor:
        rows, length, size = x_BLH.shape
        return x_BLH.view(rows, length, self.heads, size // self.heads).transpose(1, 2)


class AdditiveAttention(nn.Module):
    """energy = v . tanh(W q + U h): Bahdanau et al. (2015, appendix A.1.2)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)
        self.query = nn.Linear(hidden_size, hidden_size)
        self.energy = nn.Linear(hidden_size, 1, bias=False)

    def memory(self, states_BSH: Tensor, mask_BS: Tensor) -> Memory:
        """Keys projected once for all target positions."""
        return Memory(self.key(states_BSH), states_BSH, mask_BS)

    def forward(self, queries_BTH: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """-> context vectors [B, T, H] and weights [B, T, S]; the weights are zero on padding."""
        sums_BTSH = self.query(queries_BTH)[:, :, None] + memory.keys_BSH[:, None]
        energies_BTS = self.energy(torch.tanh(sums_BTSH)).squeeze(-1)
        weights_BTS = torch.softmax(
            energies_BTS.masked_fill(~memory.mask_BS[:, None], -torch.inf), dim=-1
        )
        return weights_BTS.to(memory.values_BSH.dtype) @ memory.values_BSH, weights_BTS


Attention = MultiplicativeAttention | AdditiveAttention


def make_attention(kind: str, hidden_size: int, heads: int) -> Attention:
    """The attention named in the recipe."""
    return (
        MultiplicativeAttention(hidden_size, heads)
        if kind == "multiplicative"
        else AdditiveAttention(hidden_size)
    )
