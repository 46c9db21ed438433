"""The inference form of a trained network on a CPU: everything that does not depend on the input
is computed once, when it is built."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple, Self

import torch
from torch import Tensor

from nmt.data.batches import padded
from nmt.engines.force_decoding import ScoredTarget, force_decode
from nmt.engines.packed.attention import PackedMemory
from nmt.engines.packed.decoder import PackedDecoder, PackedDecoderState
from nmt.engines.packed.encoder import PackedEncoder
from nmt.engines.packed.short_output import ShortOutput, moments, short_output
from nmt.engines.packed.weights import Kernels, PackedLinear
from nmt.engines.shortlist import Shortlist
from nmt.model.translation import Seq2Seq
from nmt.search.kernels import TORCH
from nmt.vocabulary import EOS


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
        precision = (
            "bf16" if self.kernels.rounded_to_bf16 else "fp32"
        )  # packing int8 takes longer than it saves in one batch
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
