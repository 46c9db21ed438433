"""The recurrent decoder: writes the target at its own length."""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from nmt.model.attention import Memory, make_attention
from nmt.model.cells import CellState, Recurrence
from nmt.model.dropout import Dropout
from nmt.recipe import ModelConfig


class DecoderState(NamedTuple):
    """What the decoder carries from one target position to the next: constant in size."""

    layers: tuple[CellState, ...]
    fed_NH: Tensor | None  # the last attentional vector, with input feeding

    def select(self, rows_N: Tensor) -> Self:
        """The states of some of the rows, in a new order."""
        layers = tuple(tuple(part_NH[rows_N] for part_NH in layer) for layer in self.layers)
        return self._replace(
            layers=layers, fed_NH=None if self.fed_NH is None else self.fed_NH[rows_N]
        )


class Decoder(nn.Module):
    """Layer 1 reads the target so far, attention reads the source, the upper layers read [state;
    context] with residual connections.

    Without input feeding all target positions are computed at once: layer 1 needs embeddings only
    (teacher forcing), attention for all positions is one batched product, and each upper layer is
    one fused call (after Wu et al. 2016, sec. 3, where the upper layers read the context). With
    input feeding (Luong et al. 2015, sec. 3.3) the last attentional vector is an input of layer 1:
    a serial loop.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden_size, drop = config.hidden_size, config.weight_drop
        self.first = Recurrence(
            config.cell,
            config.embedding_size + hidden_size * config.input_feeding,
            hidden_size,
            drop,
        )
        self.upper = nn.ModuleList(
            Recurrence(config.cell, 2 * hidden_size, hidden_size, drop)
            for _ in range(config.decoder_layers - 1)
        )
        self.attention = make_attention(config.attention, hidden_size, config.heads)
        self.bridge = nn.Linear(hidden_size, config.decoder_layers * hidden_size)
        self.combine = nn.Linear(2 * hidden_size, config.embedding_size)
        self.feed = nn.Linear(2 * hidden_size, hidden_size) if config.input_feeding else None
        self.dropout = Dropout(config.dropout)

    def initial_state(self, final_BH: Tensor) -> DecoderState:
        """Each layer's first hidden state is tanh(W s) of the source's final state s; cells
        start at zero."""
        hidden = torch.tanh(self.bridge(final_BH)).chunk(1 + len(self.upper), dim=-1)
        rest = [torch.zeros_like(hidden[0])] * (len(self.first.initial_state(1)) - 1)
        fed_BH = None if self.feed is None else torch.zeros_like(hidden[0])
        return DecoderState(tuple((hidden_BH.contiguous(), *rest) for hidden_BH in hidden), fed_BH)

    def forward(
        self,
        embedded_BTE: Tensor,
        memory: Memory,
        state: DecoderState,
        lengths_B: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """-> the vectors before the output layer [B, T, E] and the attention weights [B, T, S];
        without meaning behind the lengths."""
        if self.feed is not None:
            return self._forward_serial(embedded_BTE, memory, state)
        states_BTH = self.first(self.dropout(embedded_BTE), state.layers[0], lengths_B)
        context_BTH, weights_BTS = self.attention(states_BTH, memory)
        for layer, before in zip(self.upper, state.layers[1:], strict=True):
            states_BTH = states_BTH + layer(
                self.dropout(states_BTH, context_BTH), before, lengths_B
            )
        return self._read_out(states_BTH, context_BTH), weights_BTS

    def step(
        self, embedded_NE: Tensor, memory: Memory, state: DecoderState
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """One target position of N = B * K rows -> vectors before the output layer [N, E],
        weights [N, S], the next state."""
        inputs_NI = self.dropout(embedded_NE)
        if state.fed_NH is not None:
            inputs_NI = torch.cat([inputs_NI, state.fed_NH], dim=-1)
        layers = [self.first.step(inputs_NI, state.layers[0])]
        states_NH = layers[0][0]
        queries_BKH = states_NH.view(len(memory.mask_BS), -1, states_NH.shape[-1])
        context_BKH, weights_BKS = self.attention(queries_BKH, memory)
        context_NH = context_BKH.flatten(0, 1)
        for layer, before in zip(self.upper, state.layers[1:], strict=True):
            assert isinstance(layer, Recurrence)
            layers.append(layer.step(self.dropout(states_NH, context_NH), before))
            states_NH = states_NH + layers[-1][0]
        fed_NH = (
            None
            if self.feed is None
            else torch.tanh(self.feed(torch.cat([states_NH, context_NH], dim=-1)))
        )
        return (
            self._read_out(states_NH, context_NH),
            weights_BKS.flatten(0, 1),
            DecoderState(tuple(layers), fed_NH),
        )

    def _read_out(self, states: Tensor, context: Tensor) -> Tensor:
        vectors: Tensor = self.dropout(self.combine(self.dropout(states, context)))
        return vectors

    def _forward_serial(
        self, embedded_BTE: Tensor, memory: Memory, state: DecoderState
    ) -> tuple[Tensor, Tensor]:
        vectors, weights = [], []
        for embedded_BE in embedded_BTE.unbind(1):
            vectors_BE, weights_BS, state = self.step(embedded_BE, memory, state)
            vectors.append(vectors_BE)
            weights.append(weights_BS)
        return torch.stack(vectors, dim=1), torch.stack(weights, dim=1)
