"""The layers of a packed network: products of weights packed once, cell steps on one product of all
gates, and attention with the scale in its keys and a mask that is added.

The source is cut into spans of 32 positions, so that all products of attention have one shape.
Kernels for other shapes sum in another order: with the length of the batch as a dimension, the
scores of a sentence would depend on its batch mates.

Dimensions besides the legend: X inputs of a cell, A heads, D = H / A, P = 32 positions of a span,
L spans.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional

from nmt.model.attention import AdditiveAttention, Attention, MultiplicativeAttention
from nmt.model.cells import CellState, Recurrence

SPAN = 32  # source positions of one product of attention
# up to so many rows fbgemm's int8 product is the faster one: it sets up nothing a call
FEW_ROWS = 24


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """How products are computed on this machine."""

    precision: str  # of the weights: fp32, bf16 or int8
    engine: str = "fbgemm"  # of int8 products of many rows: fbgemm, or onednn where that is faster
    # oneDNN has bf16 kernels here: bf16 uses them, int8 where they are faster than its own
    fast_bf16: bool = False
    # int8: activations have 7 bits, for processors whose 8-bit sums saturate (those without VNNI)
    reduced: bool = True

    @property
    def rounded_to_bf16(self) -> bool:
        """Whether LSTMs that read the source run in oneDNN's bf16 kernel, and the output layers
        of shortlists in bf16."""
        return self.precision != "fp32" and self.fast_bf16


class PackedLinear:
    """x W' + b for rows x in fp32, with the weights in another format.

    bf16: the factors are rounded, their products summed in fp32 and the sums rounded. Without bf16
    kernels the rounded numbers are multiplied in fp32, which changes only the order of the sums.
    int8: each row of W has its own scale, largest magnitude = 127; x is quantised at each call by
    its least and greatest value, so that a row's result depends, within the rounding, on the other
    rows of the call.
    """

    def __init__(self, weight_OI: Tensor, bias_O: Tensor | None, kernels: Kernels) -> None:
        self.precision, self.reduced = kernels.precision, kernels.reduced
        self.dtype = (
            torch.bfloat16 if kernels.precision == "bf16" and kernels.fast_bf16 else torch.float32
        )  # of the products
        self.few: Any = None
        self.many: Any = None
        self.bias: Tensor | None = None
        if self.precision == "int8":
            self._pack_int8(*quantise(weight_OI), bias_O, kernels.engine)
        else:
            self._pack_float(weight_OI, bias_O)

    def __call__(self, inputs_NI: Tensor) -> Tensor:
        """fp32 rows -> fp32 rows."""
        if self.precision == "int8":
            weights = self.few if len(inputs_NI) <= FEW_ROWS else self.many
            outputs_NO: Tensor = torch.ops.quantized.linear_dynamic.default(
                inputs_NI, weights, self.reduced
            )
            return outputs_NO
        if self.precision == "bf16":
            return (
                _product(inputs_NI.bfloat16().to(self.dtype), self.many, self.bias)
                .bfloat16()
                .float()
            )
        return _product(inputs_NI, self.many, self.bias)

    def _pack_int8(
        self, weight_OI: Tensor, scales_O: Tensor, bias_O: Tensor | None, engine: str
    ) -> None:
        zeros_O = torch.zeros(len(scales_O), dtype=torch.long)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # torch announces to remove these tensors; the probe asks whether they are there
            quantised = torch._make_per_channel_quantized_tensor(weight_OI, scales_O, zeros_O, 0)
        self.few = _prepack(quantised, bias_O, "fbgemm")
        self.many = self.few if engine == "fbgemm" else _prepack(quantised, bias_O, engine)

    def _pack_float(self, weight_OI: Tensor, bias_O: Tensor | None) -> None:
        rounded = torch.bfloat16 if self.precision == "bf16" else torch.float32
        weight_OI = weight_OI.to(rounded).to(self.dtype).contiguous()
        self.bias = None if bias_O is None else bias_O.to(rounded).to(self.dtype)
        self.many = (
            torch.ops.mkldnn._reorder_linear_weight.default(weight_OI)
            if torch.backends.mkldnn.is_available()
            else weight_OI
        )


def quantise(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """-> int8 weights and the scale of each row: weight = scale * int8."""
    scales_O = weight_OI.abs().amax(1).clamp(min=1e-12) / 127
    return (weight_OI / scales_O[:, None]).round().to(torch.int8), scales_O.double()


def _product(inputs_NI: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if not weight.is_mkldnn:
        return functional.linear(inputs_NI, weight, bias)
    outputs_NO: Tensor = torch.ops.mkldnn._linear_pointwise.default(
        inputs_NI, weight, bias, "none", [], ""
    )
    return outputs_NO


def _prepack(weight: Tensor, bias_O: Tensor | None, engine: str) -> Any:
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine
    try:
        return torch.ops.quantized.linear_prepack.default(weight, bias_O)
    finally:
        torch.backends.quantized.engine = before


Advance = Callable[[Tensor, CellState, Tensor | None, Tensor | None], CellState]
BLOCKS = {
    "lstm": 4,
    "peephole": 4,
    "gru": 4,
    "tanh": 1,
}  # parts of the product: a GRU's candidate needs W x and U h apart


def merged_weights(layer: Recurrence) -> tuple[Tensor, Tensor, Tensor]:
    """-> (weight_GX, weight_GH, bias_G) such that one sum W x + U h + b holds all that the cell
    needs.

    The blocks are in, forget, out, candidate (LSTMs: the three sigmoids are neighbours) and reset,
    update, W x, U h (GRU).
    """
    W_GX, U_GH = layer.weight_input_GI.detach(), layer.weight_hidden_GH.detach()
    input_bias_G, hidden_bias_G = layer.bias_input_G.detach(), layer.bias_hidden_G.detach()
    if layer.cell == "tanh":
        return W_GX, U_GH, input_bias_G + hidden_bias_G
    H = layer.hidden_size
    if layer.cell == "gru":
        W_GX = torch.cat([W_GX, torch.zeros_like(W_GX[:H])])
        U_GH = torch.cat([U_GH[: 2 * H], torch.zeros_like(U_GH[:H]), U_GH[2 * H :]])
        both_G = input_bias_G[: 2 * H] + hidden_bias_G[: 2 * H]
        return W_GX, U_GH, torch.cat([both_G, input_bias_G[2 * H :], hidden_bias_G[2 * H :]])
    order = torch.arange(4 * H).view(4, H)[[0, 1, 3, 2]].flatten()
    return W_GX[order], U_GH[order], (input_bias_G + hidden_bias_G)[order]


def advance_tanh(
    gates_NG: Tensor, state: CellState, peepholes_3H: Tensor | None, hidden_NH: Tensor | None
) -> CellState:
    """All four overwrite the gates, leave the old state alone, and write the new hidden state to
    `hidden_NH` if it is given."""
    return (torch.tanh(gates_NG, out=hidden_NH),)


def advance_lstm(
    gates_NG: Tensor, state: CellState, peepholes_3H: Tensor | None, hidden_NH: Tensor | None
) -> CellState:
    in_NH, forget_NH, out_NH, candidate_NH = gates_NG.chunk(4, dim=1)
    gates_NG.narrow(1, 0, 3 * state[1].shape[1]).sigmoid_()
    cell_NH = (forget_NH * state[1]).addcmul_(in_NH, candidate_NH.tanh_())
    return torch.mul(out_NH, torch.tanh(cell_NH), out=hidden_NH), cell_NH


def advance_peephole(
    gates_NG: Tensor, state: CellState, peepholes_3H: Tensor | None, hidden_NH: Tensor | None
) -> CellState:
    assert peepholes_3H is not None
    peep_in_H, peep_forget_H, peep_out_H = peepholes_3H.chunk(3)
    in_NH, forget_NH, out_NH, candidate_NH = gates_NG.chunk(4, dim=1)
    in_NH.addcmul_(peep_in_H, state[1]).sigmoid_()
    forget_NH.addcmul_(peep_forget_H, state[1]).sigmoid_()
    cell_NH = (forget_NH * state[1]).addcmul_(in_NH, candidate_NH.tanh_())
    out_NH.addcmul_(peep_out_H, cell_NH).sigmoid_()
    return torch.mul(out_NH, torch.tanh(cell_NH), out=hidden_NH), cell_NH


def advance_gru(
    gates_NG: Tensor, state: CellState, peepholes_3H: Tensor | None, hidden_NH: Tensor | None
) -> CellState:
    H = state[0].shape[1]
    gates_NG[:, : 2 * H].sigmoid_()
    new_NH = gates_NG[:, 2 * H : 3 * H].addcmul_(gates_NG[:, :H], gates_NG[:, 3 * H :]).tanh_()
    return (torch.lerp(new_NH, state[0], gates_NG[:, H : 2 * H], out=hidden_NH),)


ADVANCES: dict[str, Advance] = {
    "lstm": advance_lstm,
    "gru": advance_gru,
    "peephole": advance_peephole,
    "tanh": advance_tanh,
}


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
                _batched_product(queries.expand(-1, memory.keys.shape[1], -1, -1), memory.keys)
                .transpose(1, 2)
                .flatten(2)
            )
        weights = torch.softmax(energies + memory.bias, -1)
        parts = _batched_product(
            weights.unflatten(2, (-1, SPAN)).transpose(1, 2), memory.values
        ).unbind(1)
        contexts = parts[0]
        for part in parts[1:]:
            # in the order of the source: spans of padding add zero at the end
            contexts = contexts + part
        return contexts.view(B, A, -1, H // A).transpose(1, 2).reshape(-1, H)

    def _additive_energies(self, queries_NH: Tensor, memory: PackedMemory) -> Tensor:
        B, S, H = memory.keys.shape
        sums_BKSH = queries_NH.view(B, -1, 1, H) + memory.keys[:, None]
        # the order of a product's sums depends on its rows
        energies_BKS = sums_BKSH.tanh_().mul_(self.energy_H).sum(-1)
        return functional.pad(energies_BKS, (0, memory.bias.shape[2] - S))

    def _spans(self, states_BSH: Tensor) -> Tensor:
        """[B, L * P, A, D], zero behind the last position."""
        B, S, H = states_BSH.shape
        return functional.pad(states_BSH, (0, 0, 0, -S % SPAN)).view(
            B, -1, self.heads, H // self.heads
        )


def _batched_product(left: Tensor, right: Tensor) -> Tensor:
    """[B, L, K, X] and [B, L, X, Y] -> [B, L, K, Y]. One matrix is multiplied twice: alone, MKL
    gives its rows to several threads."""
    B, L = right.shape[:2]
    left, right = left.flatten(0, 1), right.flatten(0, 1)
    if B * L == 1:
        left, right = left.expand(2, -1, -1), right.expand(2, -1, -1)
    products: Tensor = torch.bmm(left, right)
    return products[: B * L].view(B, L, left.shape[1], right.shape[2])
