"""The language model: the next piece from all pieces before it, p(x_t | x_1 ... x_{t-1})."""

import math
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from nmt.data.text_batches import TextBatch
from nmt.model.cells import CellState, Recurrence
from nmt.model.dropout import Dropout
from nmt.model.loss import Loss, output_loss
from nmt.model.network import TrainableNetwork
from nmt.model.translation import make_embedding
from nmt.recipe import ModelConfig


class LanguageState(NamedTuple):
    """What N texts so far have left in each layer: constant in size."""

    layers: tuple[CellState, ...]

    def select(self, rows_N: Tensor, sentences_B: Tensor | None = None) -> Self:
        """The states of some of the rows, in a new order."""
        layers = tuple(tuple(part_NH[rows_N] for part_NH in layer) for layer in self.layers)
        return self._replace(layers=layers)


class LanguageModel(TrainableNetwork):
    """Recurrent layers over embeddings, from the second on with residual connections (Mikolov et
    al. 2010; Merity et al. 2018).

    With tied embeddings the output layer reads the rows of the embedding table (Press & Wolf
    2017). `model.decoder_layers` says how many layers there are.
    """

    def __init__(self, config: ModelConfig, size: int) -> None:
        super().__init__()
        self.config, hidden_size = config, config.hidden_size
        self.embedding = make_embedding(size, config.embedding_size)
        self.layers = nn.ModuleList(
            Recurrence(config.cell, width, hidden_size, config.weight_drop)
            for width in [config.embedding_size] + [hidden_size] * (config.decoder_layers - 1)
        )
        self.combine = nn.Linear(hidden_size, config.embedding_size)
        self.output = nn.Linear(config.embedding_size, size, bias=False)
        self.word_dropout = Dropout(config.word_dropout)
        self.dropout = Dropout(config.dropout)
        tied = config.tie_embeddings
        self.scale = math.sqrt(config.embedding_size) if tied else 1.0
        if not self.embedding.weight.is_meta:
            nn.init.normal_(self.embedding.weight, std=config.embedding_size**-0.5)
        if tied:
            self.output.weight = self.embedding.weight

    def initial_state(self, rows: int) -> LanguageState:
        """Of texts of which nothing was read."""
        return LanguageState(tuple(layer.initial_state(rows) for layer in self._layers()))

    def forward(
        self, pieces_BT: Tensor, state: LanguageState | None = None
    ) -> tuple[Tensor, LanguageState]:
        """Teacher forcing: pieces read -> vectors before the output layer [B, T, E] and the state
        after the last piece, detached from the graph. Without a `state` the texts begin here.

        Position t depends on the pieces up to t alone, so padding at the end changes nothing but
        the last state.
        """
        states = self.initial_state(len(pieces_BT)) if state is None else state
        inputs_BTE = self.dropout(self._embed(pieces_BT))
        hidden_BTH, last = self._layers()[0].read(inputs_BTE, states.layers[0])
        after = [last]
        for layer, before in zip(self._layers()[1:], states.layers[1:], strict=True):
            above_BTH, last = layer.read(self.dropout(hidden_BTH), before)
            hidden_BTH = hidden_BTH + above_BTH
            after.append(last)
        return self._read_out(hidden_BTH), LanguageState(tuple(after))

    def step(self, pieces_N: Tensor, state: LanguageState) -> tuple[Tensor, LanguageState]:
        """One position: the logits [N, V] of the next piece and the next state."""
        layers = self._layers()
        after = [layers[0].step(self.dropout(self._embed(pieces_N)), state.layers[0])]
        hidden_NH = after[0][0]
        for layer, before in zip(layers[1:], state.layers[1:], strict=True):
            after.append(layer.step(self.dropout(hidden_NH), before))
            hidden_NH = hidden_NH + after[-1][0]
        logits_NV: Tensor = self.output(self._read_out(hidden_NH)).float()
        return logits_NV, LanguageState(tuple(after))

    def loss(self, batch: TextBatch, smoothing: float, r_drop: float = 0.0) -> Loss:
        """As of every network; the states that a window of running text leaves are written where
        the batch says, for the next window."""
        before = batch.carried and LanguageState(batch.carried.before)
        vectors_BTE, after = self(batch.input_BT, before)
        if batch.carried:
            with torch.no_grad():
                for old, new in zip(batch.carried.after, after.layers, strict=True):
                    for old_BH, new_BH in zip(old, new, strict=True):
                        old_BH.copy_(new_BH)
        mask_BT = batch.mask_BT
        rows_NE, targets_N = vectors_BTE[mask_BT], batch.output_BT[mask_BT]
        return output_loss(rows_NE, self.output.weight, targets_N, smoothing)

    def _embed(self, pieces: Tensor) -> Tensor:
        """[..., E]; in training whole pieces are dropped as well (word dropout, Gal & Ghahramani
        2016, sec. 4.2)."""
        embedded: Tensor = self.embedding(pieces) * self.scale
        if self.training and self.config.word_dropout:
            embedded = embedded * self.word_dropout(embedded.new_ones(*pieces.shape, 1))
        return embedded

    def _read_out(self, hidden: Tensor) -> Tensor:
        vectors: Tensor = self.dropout(self.combine(self.dropout(hidden)))
        return vectors

    def _layers(self) -> list[Recurrence]:
        return [layer for layer in self.layers if isinstance(layer, Recurrence)]
