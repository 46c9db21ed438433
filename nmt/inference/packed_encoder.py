"""The encoder in its inference form: both reading directions are one recurrence of twice the width.

Dimensions besides the legend: D units of one direction, X inputs of a layer.
"""

import torch
from torch import Tensor

from nmt.inference.gates import ADVANCES, BLOCKS, merged_weights
from nmt.inference.packing import Kernels, PackedLinear
from nmt.model.encoder import BidirectionalLayer, Encoder


class _Layer:
    """h_t = cell(W x_t + U h_{t-1}), where U is block-diagonal: one product a position for both directions."""

    def __init__(self, layer: BidirectionalLayer, embedding_VE: Tensor | None, kernels: Kernels) -> None:
        self.cell = layer.forwards.cell
        self.advance, self.blocks = ADVANCES[self.cell], BLOCKS[self.cell]
        self.size = layer.forwards.hidden_size
        parts = [merged_weights(recurrence) for recurrence in (layer.forwards, layer.backwards)]
        D, C = self.size, self.blocks
        U_CDH = torch.zeros(C, 2, D, 2, D)
        for direction, (_, U_GD, _) in enumerate(parts):
            U_CDH[:, direction, :, direction] = U_GD.view(C, D, D)
        self.hidden = PackedLinear(U_CDH.view(C * 2 * D, 2 * D), None, kernels)
        self.tables = [embedding_VE @ W_GX.T + bias_G for W_GX, _, bias_G in parts] if embedding_VE is not None else None
        self.inputs = [] if embedding_VE is not None else [PackedLinear(W_GX, bias_G, kernels) for W_GX, _, bias_G in parts]
        peepholes = [recurrence.peepholes_3H for recurrence in (layer.forwards, layer.backwards)]
        self.peepholes_3H = None
        if peepholes[0] is not None and peepholes[1] is not None:
            self.peepholes_3H = torch.stack([part.detach().view(3, D) for part in peepholes if part is not None], 1).flatten()

    def read(self, inputs: Tensor, reversal: Tensor, width: int) -> Tensor:
        """Pieces [S * B] or states [S * B, X], position by position -> states [S * B, H]."""
        backward = inputs.index_select(0, reversal)
        gates = [self._input_gates(x, direction).view(width, -1, self.blocks, self.size) for direction, x in enumerate((inputs, backward))]
        B, H = gates[0].shape[1], 2 * self.size
        states_SBH = torch.empty(width, B, H)
        state = tuple(torch.zeros(B, H) for _ in range(2 if self.cell in ("lstm", "peephole") else 1))
        for forward_BCD, backward_BCD, hidden_BH in zip(gates[0].unbind(0), gates[1].unbind(0), states_SBH.unbind(0), strict=True):
            sums_BG = self.hidden(state[0])
            sums_BCDD = sums_BG.view(B, self.blocks, 2, self.size)
            sums_BCDD[:, :, 0] += forward_BCD
            sums_BCDD[:, :, 1] += backward_BCD
            state = self.advance(sums_BG, state, self.peepholes_3H, hidden_BH)
        states = states_SBH.view(-1, H)
        states[:, self.size :] = states[:, self.size :].index_select(0, reversal)
        return states

    def _input_gates(self, inputs: Tensor, direction: int) -> Tensor:
        return self.inputs[direction](inputs) if self.tables is None else self.tables[direction].index_select(0, inputs)


class PackedEncoder:
    """Pieces -> states, as nmt.model.encoder.Encoder."""

    def __init__(self, encoder: Encoder, embedding_VE: Tensor, kernels: Kernels) -> None:
        layers = [layer for layer in encoder.layers if isinstance(layer, BidirectionalLayer)]
        self.layers = [_Layer(layer, None if number else embedding_VE, kernels) for number, layer in enumerate(layers)]

    def read(self, source_BS: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """-> the states [B, S, H] and each sentence's final state [B, H]."""
        B, S = source_BS.shape
        positions_S1 = torch.arange(S)[:, None]
        mirrored_SB = lengths_B - 1 - positions_S1
        reversal = torch.where(mirrored_SB >= 0, mirrored_SB, positions_S1).mul_(B).add_(torch.arange(B)).view(-1)
        states = self.layers[0].read(source_BS.t().reshape(-1), reversal, S)
        for layer in self.layers[1:]:
            states = layer.read(states, reversal, S).add_(states)
        half = states.shape[1] // 2
        last_B = (lengths_B - 1) * B + torch.arange(B)
        final_BH = torch.cat([states[:, :half].index_select(0, last_B), states[:B, half:]], 1)
        return states.view(S, B, -1).transpose(0, 1), final_BH
