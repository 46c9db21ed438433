"""One decoder step in its inference form: few products, each of all that it needs side by side.

Dimensions besides the legend: X numbers of a row's vectors, (1 + L) * H: [state of layer 1 |
context | states of the upper layers].
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from nmt.engines.packed.attention import PackedAttention, PackedMemory
from nmt.engines.packed.cells import ADVANCES, merged_weights
from nmt.engines.packed.weights import Kernels, PackedLinear
from nmt.model.cells import CellState, Recurrence
from nmt.model.decoder import Decoder


class PackedDecoderState(NamedTuple):
    """What a row carries from one target position to the next."""

    layers: tuple[CellState, ...]
    fed_NH: Tensor | None

    def select(self, rows_N: Tensor) -> Self:
        """Some of the rows, in a new order."""
        layers = tuple(
            tuple(part_NH.index_select(0, rows_N) for part_NH in layer) for layer in self.layers
        )
        return self._replace(
            layers=layers,
            fed_NH=None if self.fed_NH is None else self.fed_NH.index_select(0, rows_N),
        )


class PackedDecoder:
    """Layer 1 adds a row of a table (embedding x input weights, bias) to U h. The upper layers,
    whose residual sums s_l = h_1 + ... + h_l
    are never made, read [h_1; context; h_2; ...] with W's columns for s repeated under each h; so
    does the read-out.
    """

    def __init__(self, decoder: Decoder, embedding_VE: Tensor, kernels: Kernels) -> None:
        self.advance = ADVANCES[decoder.first.cell]
        self.size = H = decoder.first.hidden_size
        self.attention = PackedAttention(decoder.attention, kernels)
        W_GX, U_GH, bias_G = merged_weights(decoder.first)
        E = embedding_VE.shape[1]
        self.table_VG = torch.addmm(bias_G, embedding_VE, W_GX[:, :E].T)
        self.hidden = PackedLinear(torch.cat([U_GH, W_GX[:, E:]], 1), None, kernels)
        self.upper = []
        uppers = [layer for layer in decoder.upper if isinstance(layer, Recurrence)]
        for number, layer in enumerate(uppers):
            W_GX, U_GH, bias_G = merged_weights(layer)
            self.upper.append(
                PackedLinear(torch.cat([_spread(W_GX, H, number), U_GH], 1), bias_G, kernels)
            )
        self.peepholes = [
            None if cell.peepholes_3H is None else cell.peepholes_3H.detach()
            for cell in (decoder.first, *uppers)
        ]
        self.combine = PackedLinear(
            _spread(decoder.combine.weight.detach(), H, len(uppers)),
            decoder.combine.bias.detach(),
            kernels,
        )
        feed = decoder.feed
        self.feed = feed and PackedLinear(
            _spread(feed.weight.detach(), H, len(uppers)), feed.bias.detach(), kernels
        )
        self.bridge = PackedLinear(
            decoder.bridge.weight.detach(), decoder.bridge.bias.detach(), kernels
        )
        self.parts = len(decoder.first.initial_state(1))

    def initial_state(self, final_BH: Tensor) -> PackedDecoderState:
        """As Decoder.initial_state."""
        hidden = torch.tanh(self.bridge(final_BH)).split(self.size, 1)
        zeros_BH = torch.zeros_like(hidden[0])
        layers = tuple(
            (hidden_BH.contiguous(), *[zeros_BH] * (self.parts - 1)) for hidden_BH in hidden
        )
        return PackedDecoderState(layers, None if self.feed is None else zeros_BH)

    def step(
        self, pieces_N: Tensor, memory: PackedMemory, state: PackedDecoderState
    ) -> tuple[Tensor, PackedDecoderState]:
        """One target position -> the vectors before the output layer [N, E] and the next state."""
        H, first = self.size, state.layers[0]
        gates_NG = self.hidden(
            first[0] if state.fed_NH is None else torch.cat([first[0], state.fed_NH], 1)
        )
        gates_NG += self.table_VG.index_select(0, pieces_N)
        first = self.advance(gates_NG, first, self.peepholes[0], None)
        vectors_NX = torch.cat(
            [
                first[0],
                self.attention.read(first[0], memory),
                *(layer[0] for layer in state.layers[1:]),
            ],
            1,
        )
        layers = [first]
        for number, (product, before) in enumerate(
            zip(self.upper, state.layers[1:], strict=True), 1
        ):
            end = (number + 2) * H
            inputs_NX = (
                vectors_NX if end == vectors_NX.shape[1] else vectors_NX[:, :end].contiguous()
            )
            slot_NH = vectors_NX[:, end - H : end]
            layers.append(self.advance(product(inputs_NX), before, self.peepholes[number], slot_NH))
        fed_NH = None if self.feed is None else torch.tanh(self.feed(vectors_NX))
        return self.combine(vectors_NX), PackedDecoderState(tuple(layers), fed_NH)


def _spread(weight_OX: Tensor, size: int, uppers: int) -> Tensor:
    """Weights over [s; context] -> the same over [h_1; context; h_2; ...] of so many upper
    layers."""
    states_OH, context_OH = weight_OX[:, :size], weight_OX[:, size:]
    return torch.cat([states_OH, context_OH, *[states_OH] * uppers], 1)
