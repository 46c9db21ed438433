"""The inference form of a trained network on a CPU: everything that does not depend on the input
is computed once, when it is built."""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from nmt.engines.packed.attention import PackedMemory
from nmt.engines.packed.decoder import PackedDecoder, PackedDecoderState
from nmt.engines.packed.encoder import PackedEncoder
from nmt.engines.packed.short_output import ShortOutput, moments, short_output
from nmt.engines.packed.weights import Kernels, PackedLinear
from nmt.engines.shortlist import Shortlist
from nmt.model.translation import Seq2Seq
from nmt.search.beam_step import TORCH
from nmt.search.hypotheses import Hypothesis


class EngineState(NamedTuple):
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


class Engine:
    """Seq2Seq.encode and Seq2Seq.step, faster. Its methods change nothing and may be called from
    several threads.

    With a shortlist the logits have one column for each candidate of the batch, in rising order of
    the pieces, so that PAD, UNK, BOS and EOS keep their numbers; `state.candidates` turns what a
    search found back into pieces. The candidates of other sentences are -inf: what is found for a
    sentence does not depend on its neighbours in the batch.
    """

    chooser = TORCH

    def __init__(
        self, model: Seq2Seq, kernels: Kernels, shortlist: Shortlist | None = None
    ) -> None:
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

    def encode(self, source_BS: Tensor, lengths_B: Tensor, shortlisted: bool = True) -> EngineState:
        """Reads the source; the result has one row a sentence. Not `shortlisted`: the logits
        have a column for each piece."""
        states_BSH, final_BH = self.encoder.read(source_BS, lengths_B)
        attention = self.decoder.attention
        memory, decoder = (
            attention.memory(states_BSH, lengths_B),
            self.decoder.initial_state(final_BH),
        )
        if self.shortlist is None or not shortlisted:
            return EngineState(memory, decoder, attention.heads, None, self.output)
        candidates_C, allowed_BC = self.shortlist.candidates(source_BS)
        precision = (
            "bf16" if self.kernels.rounded_to_bf16 else "fp32"
        )  # packing int8 takes longer than it saves in one batch
        output = short_output(
            self.weight_VE, self.moments, candidates_C, allowed_BC, Kernels(precision=precision)
        )
        return EngineState(memory, decoder, attention.heads, candidates_C, output)

    def step(self, pieces_N: Tensor, state: EngineState) -> tuple[Tensor, EngineState]:
        """One target position: the logits of the next piece and the next state."""
        if state.candidates is not None:
            pieces_N = state.candidates.index_select(0, pieces_N)
        vectors_NE, decoder = self.decoder.step(pieces_N, state.memory, state.decoder)
        return state.output(vectors_NE), state._replace(decoder=decoder)


def in_pieces(found: list[list[Hypothesis]], candidates: Tensor | None) -> list[list[Hypothesis]]:
    """What a search over the columns of a shortlist found, in pieces. `candidates`: of all
    sentences [C], or of each [B, C]."""
    if candidates is None:
        return found
    names = candidates.numpy()
    own = names if candidates.dim() == 2 else [names] * len(found)
    return [
        [each._replace(pieces=tuple(pieces[list(each.pieces)].tolist())) for each in hypotheses]
        for pieces, hypotheses in zip(own, found, strict=True)
    ]
