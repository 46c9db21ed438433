"""Cell steps on one product of all gates: the inference form of nmt.model.cells.

Dimensions besides the legend: X inputs of a cell.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nmt.model.cells import CellState, Recurrence

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
