"""The encoder in its inference form: oneDNN's LSTM in bf16 where it can be had, a scan with packed
weights for everything else.

Dimensions besides the legend: D units of one direction, X inputs of a layer.
"""

import torch
from torch import Tensor
from torch.nn import functional

from nmt.engines.packed.layers import ADVANCES, BLOCKS, Kernels, PackedLinear, merged_weights
from nmt.model.cells import Recurrence
from nmt.model.encoder import BidirectionalLayer, Encoder
from nmt.model.primitives import LSTM
from nmt.vocabulary import EOS

MULTIPLE = 8  # of sentences: oneDNN's LSTM takes two to five times as long for other numbers
TYPICAL = (
    16,
    64,
)  # positions and sentences of a batch: what the order of the fused weights is chosen for


class _FusedLayer:
    """Two LSTMs in bf16, their weights in the order that oneDNN wants. One call reads all
    positions."""

    def __init__(self, layer: BidirectionalLayer) -> None:
        self.size = layer.forwards.hidden_size
        self.directions = [
            _fused_weights(recurrence) for recurrence in (layer.forwards, layer.backwards)
        ]

    def read(self, inputs: Tensor, reversal: Tensor, width: int) -> Tensor:
        """States in bf16 [S * B, X], position by position -> states [S * B, H]."""
        forward = self._run(inputs, 0, width)
        backward = self._run(inputs.index_select(0, reversal), 1, width).index_select(0, reversal)
        return torch.cat([forward, backward], 1)

    def _run(self, inputs: Tensor, direction: int, width: int) -> Tensor:
        weights = self.directions[direction]
        inputs_SBX = inputs.view(width, -1, inputs.shape[1])
        zeros_BD = inputs.new_zeros(inputs_SBX.shape[1], self.size)
        reverse, lengths, biased, bidirectional, batch_first, training = (
            False,
            (),
            True,
            False,
            False,
            False,
        )
        outputs_SBD: Tensor = torch.ops.aten.mkldnn_rnn_layer.default(
            inputs_SBX,
            *weights,
            zeros_BD,
            zeros_BD,
            reverse,
            lengths,
            LSTM,
            self.size,
            1,
            biased,
            bidirectional,
            batch_first,
            training,
        )[0]
        return outputs_SBD.view(-1, self.size)


def _fused_weights(layer: Recurrence) -> list[Tensor]:
    parts = [
        layer.weight_input_GI,
        layer.weight_hidden_GH,
        layer.bias_input_G + layer.bias_hidden_G,
    ]
    W_GX, U_GD, bias_G = (part.detach().bfloat16() for part in parts)
    if hasattr(torch.ops.mkldnn, "_reorder_mkldnn_rnn_layer_weight"):
        shape = [TYPICAL[0], TYPICAL[1], W_GX.shape[1]]
        W_GX, U_GD = torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight.default(
            W_GX, U_GD, layer.hidden_size, False, True, False, shape
        )
    return [W_GX, U_GD, bias_G, torch.zeros_like(bias_G)]


class _ScannedLayer:
    """h_t = cell(W x_t + U h_{t-1}), where U is block-diagonal: one product a position for both
    directions."""

    def __init__(
        self, layer: BidirectionalLayer, embedding_VE: Tensor | None, kernels: Kernels
    ) -> None:
        self.cell = layer.forwards.cell
        self.advance, self.blocks = ADVANCES[self.cell], BLOCKS[self.cell]
        self.size = layer.forwards.hidden_size
        parts = [merged_weights(recurrence) for recurrence in (layer.forwards, layer.backwards)]
        D, C = self.size, self.blocks
        U_CDH = torch.zeros(C, 2, D, 2, D)
        for direction, (_, U_GD, _) in enumerate(parts):
            U_CDH[:, direction, :, direction] = U_GD.view(C, D, D)
        self.hidden = PackedLinear(U_CDH.view(C * 2 * D, 2 * D), None, kernels)
        self.tables = (
            [embedding_VE @ W_GX.T + bias_G for W_GX, _, bias_G in parts]
            if embedding_VE is not None
            else None
        )
        self.inputs = (
            []
            if embedding_VE is not None
            else [PackedLinear(W_GX, bias_G, kernels) for W_GX, _, bias_G in parts]
        )
        peepholes = [recurrence.peepholes_3H for recurrence in (layer.forwards, layer.backwards)]
        self.peepholes_3H = None
        if peepholes[0] is not None and peepholes[1] is not None:
            self.peepholes_3H = torch.stack(
                [part.detach().view(3, D) for part in peepholes if part is not None], 1
            ).flatten()

    def read(self, inputs: Tensor, reversal: Tensor, width: int) -> Tensor:
        """Pieces [S * B] or states [S * B, X], position by position -> states [S * B, H]."""
        backward = inputs.index_select(0, reversal)
        both = inputs, backward
        if self.tables is None:
            flat = [product(x) for product, x in zip(self.inputs, both, strict=True)]
        else:
            flat = [table.index_select(0, x) for table, x in zip(self.tables, both, strict=True)]
        gates = [each.view(width, -1, self.blocks, self.size) for each in flat]
        B, H = gates[0].shape[1], 2 * self.size
        states_SBH = torch.empty(width, B, H)
        state = tuple(
            torch.zeros(B, H) for _ in range(2 if self.cell in ("lstm", "peephole") else 1)
        )
        for forward_BCD, backward_BCD, hidden_BH in zip(
            gates[0].unbind(0), gates[1].unbind(0), states_SBH.unbind(0), strict=True
        ):
            sums_BG = self.hidden(state[0])
            sums_BCDD = sums_BG.view(B, self.blocks, 2, self.size)
            sums_BCDD[:, :, 0] += forward_BCD
            sums_BCDD[:, :, 1] += backward_BCD
            state = self.advance(sums_BG, state, self.peepholes_3H, hidden_BH)
        states = states_SBH.view(-1, H)
        states[:, self.size :] = states[:, self.size :].index_select(0, reversal)
        return states


class PackedEncoder:
    """Pieces -> states, as nmt.model.encoder.Encoder."""

    def __init__(self, encoder: Encoder, embedding_VE: Tensor, kernels: Kernels) -> None:
        layers = [layer for layer in encoder.layers if isinstance(layer, BidirectionalLayer)]
        fused = kernels.rounded_to_bf16 and layers[0].forwards.cell == "lstm"
        self.embedding_VE = embedding_VE.bfloat16() if fused else None
        self.layers: list[_FusedLayer] | list[_ScannedLayer]
        if fused:
            self.layers = [_FusedLayer(layer) for layer in layers]
        else:
            self.layers = [
                _ScannedLayer(layer, None if number else embedding_VE, kernels)
                for number, layer in enumerate(layers)
            ]

    def read(self, source_BS: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """-> the states [B, S, H] and each sentence's final state [B, H]."""
        sentences, S = source_BS.shape
        if self.embedding_VE is not None and sentences > MULTIPLE and sentences % MULTIPLE:
            more = -sentences % MULTIPLE
            source_BS, lengths_B = (
                functional.pad(source_BS, (0, 0, 0, more), value=EOS),
                functional.pad(lengths_B, (0, more), value=1),
            )
        B = len(source_BS)
        reversal = reversal_by_position(lengths_B, S)
        pieces = source_BS.t().reshape(-1)
        states = self.layers[0].read(
            pieces if self.embedding_VE is None else self.embedding_VE.index_select(0, pieces),
            reversal,
            S,
        )
        for layer in self.layers[1:]:
            states = layer.read(states, reversal, S).add_(states)
        half = states.shape[1] // 2
        last_B = (lengths_B - 1) * B + torch.arange(B)
        final_BH = torch.cat(
            [states[:, :half].index_select(0, last_B), states[:B, half:]], 1
        ).float()
        return states.view(S, B, -1)[:, :sentences].transpose(0, 1).float(), final_BH[:sentences]


def reversal_by_position(lengths_B: Tensor, width: int) -> Tensor:
    """As nmt.model.encoder.reversal_order, for tensors whose first dimension is the position."""
    B = len(lengths_B)
    positions_S1 = torch.arange(width)[:, None]
    mirrored_SB = lengths_B - 1 - positions_S1
    return (
        torch.where(mirrored_SB >= 0, mirrored_SB, positions_S1)
        .mul_(B)
        .add_(torch.arange(B))
        .view(-1)
    )
