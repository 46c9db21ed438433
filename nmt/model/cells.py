"""Recurrent cells: tanh, LSTM, peephole LSTM and GRU, drop-in for one another."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nmt.model.compiled_recurrence import compiled_recurrence, is_compiled
from nmt.model.dropout import Dropout
from nmt.model.primitives import has_lstm

CellState = tuple[Tensor, ...]
"""What a cell carries from one position to the next: (hidden_NH, cell_NH) for both LSTMs, (hidden_NH,) for GRU and tanh."""  # noqa: E501

Step = Callable[[Tensor, Tensor, CellState, Tensor | None], CellState]


def tanh_step(
    input_gates_NG: Tensor, hidden_gates_NG: Tensor, state: CellState, peepholes_3H: Tensor | None
) -> CellState:
    """h' = tanh(W x + U h): the simple recurrent network of Elman (1990)."""
    return (torch.tanh(input_gates_NG + hidden_gates_NG),)


def lstm_step(
    input_gates_NG: Tensor, hidden_gates_NG: Tensor, state: CellState, peepholes_3H: Tensor | None
) -> CellState:
    """c' = f c + i g, h' = o tanh(c'): Hochreiter & Schmidhuber (1997) with the forget gate of
    Gers et al. (2000)."""
    in_NH, forget_NH, candidate_NH, out_NH = (input_gates_NG + hidden_gates_NG).chunk(4, dim=-1)
    cell_NH = torch.sigmoid(forget_NH) * state[1] + torch.sigmoid(in_NH) * torch.tanh(candidate_NH)
    return torch.sigmoid(out_NH) * torch.tanh(cell_NH), cell_NH


def peephole_step(
    input_gates_NG: Tensor, hidden_gates_NG: Tensor, state: CellState, peepholes_3H: Tensor | None
) -> CellState:
    """The LSTM whose gates see the cell: i and f look at c, o at c' (Gers & Schmidhuber 2000,
    Recurrent nets that time and count)."""
    assert peepholes_3H is not None
    peep_in_H, peep_forget_H, peep_out_H = peepholes_3H.to(input_gates_NG.dtype).chunk(3)
    in_NH, forget_NH, candidate_NH, out_NH = (input_gates_NG + hidden_gates_NG).chunk(4, dim=-1)
    forget_NH = torch.sigmoid(forget_NH + peep_forget_H * state[1])
    cell_NH = forget_NH * state[1] + torch.sigmoid(in_NH + peep_in_H * state[1]) * torch.tanh(
        candidate_NH
    )
    return torch.sigmoid(out_NH + peep_out_H * cell_NH) * torch.tanh(cell_NH), cell_NH


def gru_step(
    input_gates_NG: Tensor, hidden_gates_NG: Tensor, state: CellState, peepholes_3H: Tensor | None
) -> CellState:
    """h' = z h + (1 - z) tanh(W x + r (U h)): Cho et al. (2014), with the reset gate behind the
    product as in cuDNN."""
    input_reset_NH, input_update_NH, input_new_NH = input_gates_NG.chunk(3, dim=-1)
    hidden_reset_NH, hidden_update_NH, hidden_new_NH = hidden_gates_NG.chunk(3, dim=-1)
    update_NH = torch.sigmoid(input_update_NH + hidden_update_NH)
    new_NH = torch.tanh(
        input_new_NH + torch.sigmoid(input_reset_NH + hidden_reset_NH) * hidden_new_NH
    )
    return (new_NH + update_NH * (state[0] - new_NH),)


STEPS: dict[str, Step] = {
    "lstm": lstm_step,
    "gru": gru_step,
    "peephole": peephole_step,
    "tanh": tanh_step,
}
GATES = {"lstm": 4, "gru": 3, "peephole": 4, "tanh": 1}


class Recurrence(nn.Module):
    """One recurrent layer of any cell, from [B, T, I] to [B, T, H].

    The gates lie in torch's order (LSTM: in, forget, candidate, out; GRU: reset, update, new):
    weights can be exchanged with `torch.nn`.
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, weight_drop: float = 0.0
    ) -> None:
        super().__init__()
        self.cell = cell
        self.hidden_size = hidden_size
        gates = GATES[cell] * hidden_size
        self.weight_input_GI = nn.Parameter(torch.empty(gates, input_size))
        self.weight_hidden_GH = nn.Parameter(torch.empty(gates, hidden_size))
        self.bias_input_G = nn.Parameter(torch.zeros(gates))
        self.bias_hidden_G = nn.Parameter(torch.zeros(gates))
        self.peepholes_3H = (
            nn.Parameter(torch.zeros(3 * hidden_size)) if cell == "peephole" else None
        )
        self.weight_drop = Dropout(weight_drop)
        if not self.weight_hidden_GH.is_meta:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot for the input weights, orthogonal for the recurrent ones (Saxe et al. 2014),
        forget bias 1 (Jozefowicz et al. 2015)."""
        for block in self.weight_input_GI.data.split(self.hidden_size):
            nn.init.xavier_uniform_(block)
        for block in self.weight_hidden_GH.data.split(self.hidden_size):
            nn.init.orthogonal_(block)
        if self.cell in ("lstm", "peephole"):
            nn.init.ones_(self.bias_input_G.data[self.hidden_size : 2 * self.hidden_size])

    def initial_state(self, rows: int) -> CellState:
        """Zeros for `rows` sequences."""
        zeros_NH = self.weight_hidden_GH.new_zeros(rows, self.hidden_size)
        return (zeros_NH, zeros_NH) if self.cell in ("lstm", "peephole") else (zeros_NH,)

    def step(self, inputs_NI: Tensor, state: CellState) -> CellState:
        """One position; the new hidden state is the first of the values."""
        input_gates_NG = nn.functional.linear(inputs_NI, self.weight_input_GI, self.bias_input_G)
        return self._advance(input_gates_NG, state, self.weight_hidden_GH)

    def forward(
        self,
        inputs_BTI: Tensor,
        state: CellState | None = None,
        lengths_B: Tensor | None = None,
        reverse: bool = False,
    ) -> Tensor:
        """All positions in one call: compiled where that can be, else torch's fused kernel, else a
        scan without the input product.

        With `reverse` each row is read from its last piece to its first one. What is put out behind
        a row's length means nothing. In training the recurrent weights are dropped once for all
        positions (weight drop, Merity et al. 2018): the calls stay fused.
        """
        if not reverse or is_compiled(inputs_BTI, self.hidden_size):
            return self._read(inputs_BTI, state, lengths_B, reverse)[0]
        B, T, _ = inputs_BTI.shape
        if lengths_B is None:
            lengths_B = torch.full((B,), T, device=inputs_BTI.device)
        order = reversal_order(lengths_B, T)
        return reorder(self._read(reorder(inputs_BTI, order), state)[0], order)

    def read(self, inputs_BTI: Tensor, state: CellState | None = None) -> tuple[Tensor, CellState]:
        """As a call, with the state after the last position, detached from the graph: it may be
        carried on to the next part of a long sequence. Every row is T positions long."""
        hidden_BTH, last = self._read(inputs_BTI, state)
        return hidden_BTH, tuple(part_BH.detach() for part_BH in last)

    def _read(
        self,
        inputs_BTI: Tensor,
        state: CellState | None,
        lengths_B: Tensor | None = None,
        reverse: bool = False,
    ) -> tuple[Tensor, CellState]:
        B, T, _ = inputs_BTI.shape
        state = self.initial_state(B) if state is None else state
        weights = (
            self.weight_input_GI,
            self.weight_drop(self.weight_hidden_GH),
            self.bias_input_G,
            self.bias_hidden_G,
        )
        if is_compiled(inputs_BTI, self.hidden_size):
            if lengths_B is None:
                lengths_B = torch.full((B,), T, device=inputs_BTI.device)
            return compiled_recurrence(
                self.cell, inputs_BTI, state, weights, self.peepholes_3H, lengths_B, reverse
            )
        if self.cell == "peephole" or (self.cell == "lstm" and _lacks_lstm(inputs_BTI.device)):
            return self._scan(inputs_BTI, state, weights[1])
        first = tuple(part_NH.unsqueeze(0) for part_NH in state)
        biased, layers, dropout, bidirectional, batch_first = True, 1, 0.0, False, True
        if self.cell == "lstm":
            hidden_BTH, last_1BH, cell_1BH = torch.lstm(
                inputs_BTI,
                first,
                weights,
                biased,
                layers,
                dropout,
                self.training,
                bidirectional,
                batch_first,
            )
            return hidden_BTH, (last_1BH[0], cell_1BH[0])
        fused = torch.gru if self.cell == "gru" else torch.rnn_tanh
        hidden_BTH, last_1BH = fused(
            inputs_BTI,
            first[0],
            weights,
            biased,
            layers,
            dropout,
            self.training,
            bidirectional,
            batch_first,
        )
        return hidden_BTH, (last_1BH[0],)

    def _scan(
        self, inputs_BTI: Tensor, state: CellState, weight_hidden_GH: Tensor
    ) -> tuple[Tensor, CellState]:
        input_gates_BTG = nn.functional.linear(inputs_BTI, self.weight_input_GI, self.bias_input_G)
        hidden = []
        for input_gates_BG in input_gates_BTG.unbind(1):
            state = self._advance(input_gates_BG, state, weight_hidden_GH)
            hidden.append(state[0])
        return torch.stack(hidden, dim=1), state

    def _advance(
        self, input_gates_NG: Tensor, state: CellState, weight_hidden_GH: Tensor
    ) -> CellState:
        hidden_gates_NG = nn.functional.linear(state[0], weight_hidden_GH, self.bias_hidden_G)
        return STEPS[self.cell](input_gates_NG, hidden_gates_NG, state, self.peepholes_3H)


def _lacks_lstm(device: torch.device) -> bool:
    """Whether torch.lstm would fail here: autocast asks oneDNN for the LSTM in half precision
    wherever it has it in fp32."""
    return (
        device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and not has_lstm(torch.get_autocast_dtype("cpu"))
    )


def reversal_order(lengths_B: Tensor, width: int) -> Tensor:
    """The order of the B * S positions that reverses each sequence within its own length and
    leaves its padding in place."""
    positions_1S = torch.arange(width, device=lengths_B.device)[None]
    mirrored_BS = lengths_B[:, None] - 1 - positions_1S
    starts_B1 = torch.arange(len(lengths_B), device=lengths_B.device)[:, None] * width
    return (starts_B1 + torch.where(mirrored_BS >= 0, mirrored_BS, positions_1S)).flatten()


class _Reorder(torch.autograd.Function):
    """Positions in another order. The order is its own inverse, so that the gradient is a copy
    of rows too, where autograd would add."""

    @staticmethod
    def forward(ctx: Any, inputs_BSI: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return inputs_BSI.flatten(0, 1).index_select(0, order).view_as(inputs_BSI)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors
        return gradients[0].flatten(0, 1).index_select(0, order).view_as(gradients[0]), None


def reorder(inputs_BSI: Tensor, order: Tensor) -> Tensor:
    """The inputs with their B * S positions in a self-inverse order."""
    outputs_BSI: Tensor = _Reorder.apply(inputs_BSI, order)  # type: ignore[no-untyped-call]
    return outputs_BSI
