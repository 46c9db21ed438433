"""A trained network on a CPU, packed: what does not depend on the input is computed once, when it
is built. A decoder step is few products, each of all that it needs side by side.

Dimension besides the legend: X numbers of a row's vectors, (1 + L) * H: [state of layer 1 |
context | states of the upper layers].
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple, Self

import torch
from torch import Tensor

from nmt.data.batches import padded
from nmt.engines.force_decoding import ScoredTarget, force_decode
from nmt.engines.packed.encoder import PackedEncoder
from nmt.engines.packed.layers import (
    ADVANCES,
    Kernels,
    PackedAttention,
    PackedLinear,
    PackedMemory,
    merged_weights,
)
from nmt.engines.packed.short_output import ShortOutput, moments, short_output
from nmt.engines.shortlist import Shortlist
from nmt.model.cells import CellState, Recurrence
from nmt.model.decoder import Decoder
from nmt.model.translation import Seq2Seq
from nmt.search.kernels import TORCH
from nmt.vocabulary import EOS


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


class PackedState(NamedTuple):
    """A search state: the memory of B sentences, the decoder states of N = B * K rows, and what
    of the output layer they need."""

    memory: PackedMemory
    decoder: PackedDecoderState
    heads: int
    candidates: Tensor | None  # [C], the pieces that the columns of the logits stand for; None: all
    output: PackedLinear | ShortOutput

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> Self:
        """Rows in a new order; `sentences_B` are the sentences that stay, None for all."""
        chosen = self._replace(decoder=self.decoder.select(rows_N))
        if sentences_B is None:
            return chosen
        output = (
            self.output.select(sentences_B) if isinstance(self.output, ShortOutput) else self.output
        )
        return chosen._replace(memory=self.memory.select(sentences_B, self.heads), output=output)


class PackedNetwork:
    """Seq2Seq as a TranslationNetwork on a CPU, faster.

    With a shortlist the logits have one column for each candidate of the batch, in rising order of
    the pieces, so that PAD, UNK, BOS and EOS keep their numbers. The candidates of other sentences
    are -inf, so that batch mates do not change what is found for a sentence.
    """

    search_kernels = TORCH
    autocast = nullcontext  # weights have their number format already

    def __init__(
        self, model: Seq2Seq, kernels: Kernels, shortlist: Shortlist | None = None, note: str = ""
    ) -> None:
        self.models, self.device, self.note = (model,), torch.device("cpu"), note
        self.precision, self.pinned_precision = kernels.precision, kernels
        self.independent = kernels.precision == "fp32"
        with torch.no_grad():
            source_VE = model.source_embedding.weight.detach() * model.scale
            target_VE = model.target_embedding.weight.detach() * model.scale
            self.encoder = PackedEncoder(model.encoder, source_VE, kernels)
            self.decoder = PackedDecoder(model.decoder, target_VE, kernels)
            weight_VE = model.output.weight.detach()
            self.output = PackedLinear(weight_VE, None, kernels)
            self.kernels, self.shortlist = kernels, shortlist
            self.moments = moments(weight_VE)
            self.weight_VE = weight_VE.bfloat16() if kernels.rounded_to_bf16 else weight_VE

    def start(self, sources: Sequence[Sequence[int]], every_piece: bool = False) -> PackedState:
        """Reads the sources."""
        source_BS, lengths_B = padded(sources, suffix=(EOS,))
        states_BSH, final_BH = self.encoder.read(source_BS, lengths_B)
        attention = self.decoder.attention
        memory, decoder = (
            attention.memory(states_BSH, lengths_B),
            self.decoder.initial_state(final_BH),
        )
        if self.shortlist is None or every_piece:
            return PackedState(memory, decoder, attention.heads, None, self.output)
        candidates_C, allowed_BC = self.shortlist.candidates(source_BS)
        # packing int8 takes longer than it saves in one batch
        precision = "bf16" if self.kernels.rounded_to_bf16 else "fp32"
        output = short_output(
            self.weight_VE, self.moments, candidates_C, allowed_BC, Kernels(precision=precision)
        )
        return PackedState(memory, decoder, attention.heads, candidates_C, output)

    def step(self, columns_N: Tensor, state: PackedState) -> tuple[Tensor, PackedState]:
        """One target position: the logits of the next piece and the next state."""
        pieces_N = (
            columns_N if state.candidates is None else state.candidates.index_select(0, columns_N)
        )
        vectors_NE, decoder = self.decoder.step(pieces_N, state.memory, state.decoder)
        return state.output(vectors_NE), state._replace(decoder=decoder)

    def candidates(self, state: PackedState) -> Tensor | None:
        """The batch's, in a search with a shortlist."""
        return state.candidates

    def batch_pieces(self, most: int, beam: int) -> int:
        """As many as there is room for."""
        return most

    def force_decode(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[ScoredTarget]:
        """As of TranslationNetwork."""
        return force_decode(self.models[0], sources, targets, self.precision)
