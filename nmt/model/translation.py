"""The translation network: asynchronous sequences, the source read whole, then the target
written at its own length."""

import math
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from nmt.data.batches import Batch
from nmt.model.attention import Memory
from nmt.model.decoder import Decoder, DecoderState
from nmt.model.dropout import Dropout
from nmt.model.encoder import Encoder
from nmt.model.loss import Loss, output_loss
from nmt.model.network import TrainableNetwork
from nmt.model.r_drop import r_drop_loss
from nmt.recipe import ModelConfig
from nmt.vocabulary import PAD


class TranslationState(NamedTuple):
    """A search state: the memory of B sentences and the decoder states of N = B * K rows."""

    memory: Memory
    decoder: DecoderState

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> Self:
        """Rows in a new order; `sentences_B` are the sentences that stay, None for all."""
        memory = self.memory if sentences_B is None else self.memory.select(sentences_B)
        return self._replace(memory=memory, decoder=self.decoder.select(rows_N))


class Seq2Seq(TrainableNetwork):
    """Encoder, attention and decoder over source and target pieces.

    With `shared` vocabulary and tied embeddings one matrix serves source, target and output (Press
    & Wolf 2017, three-way).
    """

    def __init__(
        self, config: ModelConfig, source_size: int, target_size: int, shared: bool
    ) -> None:
        super().__init__()
        self.config = config
        self.source_embedding = make_embedding(source_size, config.embedding_size)
        tied = config.tie_embeddings
        self.target_embedding = (
            self.source_embedding
            if shared and tied
            else make_embedding(target_size, config.embedding_size)
        )
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.output = nn.Linear(config.embedding_size, target_size, bias=False)
        self.word_dropout = Dropout(config.word_dropout)
        self.scale = math.sqrt(config.embedding_size) if tied else 1.0
        for embedding in (self.source_embedding, self.target_embedding):
            if embedding.weight.is_meta:
                continue
            nn.init.normal_(
                embedding.weight, std=1 / self.scale if tied else config.embedding_size**-0.5
            )
            nn.init.zeros_(embedding.weight.data[PAD])
        if tied:
            self.output.weight = self.target_embedding.weight

    def encode(self, source_BS: Tensor, lengths_B: Tensor) -> TranslationState:
        """Reads the source; the result has one row a sentence."""
        embedded_BSE = self._embed(source_BS, self.source_embedding)
        states_BSH, final_BH = self.encoder(embedded_BSE, lengths_B)
        mask_BS = (
            torch.arange(source_BS.shape[1], device=source_BS.device)[None] < lengths_B[:, None]
        )
        return TranslationState(
            self.decoder.attention.memory(states_BSH, mask_BS), self.decoder.initial_state(final_BH)
        )

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Teacher forcing -> the vectors before the output layer [B, T, E] and the attention
        weights [B, T, S]."""
        state = self.encode(batch.source_BS, batch.source_lengths_B)
        embedded_BTE = self._embed(batch.input_BT, self.target_embedding)
        vectors_BTE, weights_BTS = self.decoder(
            embedded_BTE, state.memory, state.decoder, batch.output_lengths_B
        )
        return vectors_BTE, weights_BTS

    def loss(self, batch: Batch, smoothing: float, r_drop: float = 0.0) -> Loss:
        """As of every network."""
        if r_drop:
            batch = batch.twice()
        vectors_BTE, _ = self(batch)
        mask_BT = batch.output_mask_BT
        rows_NE, targets_N = vectors_BTE[mask_BT], batch.output_BT[mask_BT]
        if r_drop:
            return r_drop_loss(rows_NE, self.output.weight, targets_N, smoothing, r_drop)
        return output_loss(rows_NE, self.output.weight, targets_N, smoothing)

    def _embed(self, pieces_BL: Tensor, embedding: nn.Embedding) -> Tensor:
        """[B, L, E]; in training whole pieces are dropped as well (word dropout, Gal &
        Ghahramani 2016, sec. 4.2)."""
        embedded_BLE: Tensor = embedding(pieces_BL) * self.scale
        if self.training and self.config.word_dropout:
            embedded_BLE = embedded_BLE * self.word_dropout(
                embedded_BLE.new_ones(*pieces_BL.shape, 1)
            )
        return embedded_BLE

    def step(self, pieces_N: Tensor, state: TranslationState) -> tuple[Tensor, TranslationState]:
        """One target position: the logits [N, V] of the next piece and the next state."""
        embedded_NE = self.target_embedding(pieces_N) * self.scale
        vectors_NE, _, decoder = self.decoder.step(embedded_NE, state.memory, state.decoder)
        return self.output(vectors_NE).float(), state._replace(decoder=decoder)


def make_embedding(size: int, width: int) -> nn.Embedding:
    """One whose weights are still to be drawn. On the meta device torch's own draw would load
    its compiler, which takes a second."""
    weight = torch.empty(size, width) if torch.get_default_device().type == "meta" else None
    return nn.Embedding(size, width, padding_idx=PAD, _weight=weight)
