"""A trained network in compiled 8-bit arithmetic."""

import ctypes
import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple, Self

import torch
from torch import Tensor

from nmt.data.batches import padded
from nmt.engines.compiled.candidates import CompiledShortlist, refuse_piece
from nmt.engines.compiled.search import COMPILED
from nmt.engines.compiled.weights import PackedCell, PackedMatrix, gate_order, piece_table
from nmt.engines.force_decoding import ScoredTarget, force_decode
from nmt.engines.packed.layers import merged_weights
from nmt.engines.packed.short_output import moments
from nmt.engines.shortlist import Shortlist
from nmt.model.attention import MultiplicativeAttention
from nmt.model.cells import Recurrence
from nmt.model.decoder import Decoder
from nmt.model.encoder import BidirectionalLayer, Encoder
from nmt.model.translation import Seq2Seq
from nmt.native import (
    LANES,
    PANEL,
    DecoderArrays,
    EncoderArrays,
    GreedyArrays,
    MatrixArrays,
    MemoryArrays,
    StepArrays,
    address,
    functions,
    library,
    set_in_use,
)
from nmt.native.arrays import CellArrays
from nmt.recipe import ModelConfig
from nmt.search.hypotheses import nothing_finite
from nmt.search.kernels import Rules, SearchKernels
from nmt.vocabulary import EOS, PAD


def unavailable_reason(config: ModelConfig) -> str | None:
    """What keeps a network from the compiled engine; None: nothing does."""
    found = library()
    if isinstance(found, str):
        return found
    if config.attention != "multiplicative" or config.input_feeding:
        return "it knows neither additive attention nor input feeding"
    if (
        config.hidden_size % (2 * PANEL)
        or config.embedding_size % PANEL
        or config.hidden_size // config.heads % LANES
    ):
        return (
            f"model.hidden_size is no multiple of {2 * PANEL}, model.embedding_size of {PANEL}, or"
            f" a head's size of {LANES}"
        )
    return None


class CompiledMemory:
    """What the decoder reads of a batch, sentence after sentence without padding; never copied
    or changed in a search."""

    def __init__(
        self,
        keys: Tensor,  # [positions, H], half precision
        values: Tensor,  # [positions, H], half precision
        offsets: Tensor,  # [B + 1]
        # the pieces that the columns of a sentence's logits stand for; None: all
        candidates_BC: Tensor | None,
        columns: int,  # of the logits
        # [B, outputs / 64], 64 bits each: which outputs are the candidates of each sentence; None:
        # all
        allowed: Tensor | None,
        # log of how many pieces are no candidates of each sentence; None: there are none
        others_B: Tensor | None,
        half_variance: float,  # of the rows of the output layer
    ) -> None:
        self.columns = columns
        self.tensors = (
            keys,
            values,
            offsets,
            candidates_BC,
            allowed,
            others_B,
        )  # kept alive: the arrays point to them
        self.arrays = MemoryArrays(
            keys=address(keys),
            values=address(values),
            offsets=address(offsets),
            candidates=address(candidates_BC),
            width=columns,
            allowed=address(allowed),
            others=address(others_B),
            half_variance=half_variance,
        )


class CompiledState(NamedTuple):
    """A search state."""

    memory: CompiledMemory
    vectors_LNH: Tensor  # the layers' states: hidden (and cell) of layer 1, of layer 2, ...
    parents_N: Tensor | None  # the rows of `vectors_LNH` that go on; None: all
    sentences_B: Tensor  # the sentences of the memory that go on
    # [B, C], the pieces that the columns of a sentence's logits stand for, of all sentences; None:
    # all pieces
    candidates: Tensor | None
    output: PackedMatrix  # the part of the output layer that they need

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> Self:
        """Rows in a new order; nothing is copied before the next step reads it."""
        parents_N = rows_N.contiguous() if self.parents_N is None else self.parents_N[rows_N]
        return self._replace(
            parents_N=parents_N,
            sentences_B=self.sentences_B if sentences_B is None else self.sentences_B[sentences_B],
        )


class CompiledNetwork:
    """Seq2Seq as a TranslationNetwork in 8 bits: no result depends on batch mates."""

    precision = pinned_precision = "int8"
    independent = True
    autocast = nullcontext  # weights have their number format already

    def __init__(self, model: Seq2Seq, shortlist: Shortlist | None = None) -> None:
        self.models, self.device = (model,), torch.device("cpu")
        self.note = f"compiled engine, {set_in_use()}"
        with torch.no_grad():
            self.encoder = _Encoder(
                model.encoder, model.source_embedding.weight.detach() * model.scale
            )
            self.decoder = _Decoder(
                model.decoder, model.target_embedding.weight.detach() * model.scale
            )
            weight_VE = model.output.weight.detach()
            self.output, self.moments = PackedMatrix.of(weight_VE), moments(weight_VE)
            self.mean = PackedMatrix.of(self.moments.mean_E[None])
            self.shortlist, self.size = shortlist, len(weight_VE)
            self.compiled_shortlist = None if shortlist is None else CompiledShortlist(shortlist)

    @property
    def search_kernels(self) -> SearchKernels:
        """The compiled ones, with a greedy search that is one call."""
        return COMPILED._replace(whole=self.greedy)

    def start(self, sources: Sequence[Sequence[int]], every_piece: bool = False) -> CompiledState:
        """Reads the sources."""
        source_BS, lengths_B = padded(sources, suffix=(EOS,))
        states, values, final_BH, offsets = self.encoder.read(source_BS, lengths_B)
        candidates_BC, allowed, others_B, output = None, None, None, self.output
        if self.compiled_shortlist is not None and not every_piece:
            outputs_O, counts_B, allowed, candidates_BC = self.compiled_shortlist.candidates(
                source_BS
            )
            others_B, output = (self.size - counts_B).log(), select_columns(self.output, outputs_O)
            put_column(output, PAD, self.mean)
        keys, half_variance = (
            linear(self.decoder.key, states, torch.half),
            self.moments.variance / 2,
        )
        columns = output.columns if candidates_BC is None else candidates_BC.shape[1]
        memory = CompiledMemory(
            keys, values, offsets, candidates_BC, columns, allowed, others_B, half_variance
        )
        return CompiledState(
            memory,
            self.decoder.initial_state(final_BH),
            None,
            torch.arange(len(lengths_B)),
            candidates_BC,
            output,
        )

    def step(self, columns_N: Tensor, state: CompiledState) -> tuple[Tensor, CompiledState]:
        """One target position: the logits of the next piece (in whole blocks of 64 columns) and
        the next state."""
        L, rows_before, H = state.vectors_LNH.shape
        N, columns_N = columns_N.shape[0], columns_N.contiguous()
        after_LNH, logits_NV = torch.empty(L, N, H), torch.empty(N, state.memory.columns)
        step = StepArrays(
            rows=N,
            rows_before=rows_before,
            sentences=state.sentences_B.shape[0],
            pieces=address(columns_N),
            parents=address(state.parents_N),
            sentence=address(state.sentences_B),
            before=address(state.vectors_LNH),
            after=address(after_LNH),
            logits=address(logits_NV),
        )
        none = functions().nmt_step(
            self.decoder.arrays, state.output.arrays, state.memory.arrays, step
        )
        refuse_piece(none, columns_N, self.size)
        return logits_NV, state._replace(vectors_LNH=after_LNH, parents_N=None)

    def candidates(self, state: CompiledState) -> Tensor | None:
        """Each sentence's, in a search with a shortlist."""
        return state.candidates

    def batch_pieces(self, most: int, beam: int) -> int:
        """Few are as fast as many, and call for fewer candidates. Beams leave more to Python at
        each step, so that twice as many rows pay there."""
        return min(most, 2048 if beam == 1 else max(256, 4096 // beam))

    def force_decode(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[ScoredTarget]:
        """As of TranslationNetwork."""
        return force_decode(self.models[0], sources, targets)

    def greedy(
        self, state: CompiledState, max_lengths: Sequence[int], bos: int, rules: Rules
    ) -> list[list[int]]:
        """Greedy search from the state that `start` made: the pieces (columns) of each sentence
        without its end.

        Raises:
            NmtError: the logits of a sentence are not finite.
        """
        B, room = len(max_lengths), max(max_lengths, default=1)
        limits_B, lengths_B, pieces_BT = (
            torch.tensor(max_lengths),
            torch.empty(B, dtype=torch.long),
            torch.empty(B, room, dtype=torch.long),
        )
        greedy = GreedyArrays(
            sentences=B,
            bos=bos,
            eos=rules.eos,
            min_length=rules.min_length,
            room=room,
            max_lengths=address(limits_B),
            early=address(rules.early_F),
            early_count=len(rules.early_F),
            never=address(rules.never_F),
            never_count=len(rules.never_F),
            first=address(state.vectors_LNH),
            pieces=address(pieces_BT),
            lengths=address(lengths_B),
        )
        functions().nmt_greedy(
            self.decoder.arrays, state.output.arrays, state.memory.arrays, greedy
        )
        if greedy.failed >= 0:
            raise nothing_finite(greedy.failed)
        return [
            pieces_T[: length - 1]
            for pieces_T, length in zip(pieces_BT.tolist(), lengths_B.tolist(), strict=True)
        ]


class _Encoder:
    def __init__(self, encoder: Encoder, embedding_VE: Tensor) -> None:
        layers = [layer for layer in encoder.layers if isinstance(layer, BidirectionalLayer)]
        directions = [
            direction for layer in layers for direction in (layer.forwards, layer.backwards)
        ]
        merged = [merged_weights(direction) for direction in directions]
        self.hidden, self.pieces = 2 * layers[0].forwards.hidden_size, len(embedding_VE)
        names = [f"encoder layer {1 + number // 2}" for number in range(len(directions))]
        parts = zip(directions, merged, names, strict=True)
        self.cells = [
            PackedCell(layer, U_GH, bias_G, name) for layer, (_, U_GH, bias_G), name in parts
        ]
        self.tables = [
            piece_table(direction, embedding_VE, names[0]) for direction in directions[:2]
        ]
        orders = [gate_order(layer) for layer in directions]
        self.inputs = [
            PackedMatrix.of(W_GX[order], bias_G[order])
            for order, (W_GX, _, bias_G) in zip(orders[2:], merged[2:], strict=True)
        ]
        cells = (CellArrays * len(self.cells))(*(cell.arrays for cell in self.cells))
        tables = (ctypes.c_void_p * 2)(*(address(table) for table in self.tables))
        inputs = (MatrixArrays * len(self.inputs))(*(matrix.arrays for matrix in self.inputs))
        self.arrays = EncoderArrays(
            layers=len(layers),
            hidden=self.hidden,
            pieces=self.pieces,
            cells=cells,
            tables=tables,
            inputs=inputs,
        )

    def read(self, source_BS: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """-> states [positions, H] of the sentences one after the other, also in half precision,
        final states [B, H], offsets [B + 1]."""
        B, S = source_BS.shape
        pieces = source_BS[torch.arange(S) < lengths_B[:, None]]
        offsets = torch.cat([lengths_B.new_zeros(1), lengths_B.cumsum(0)])
        order_B = lengths_B.argsort(descending=True)
        states, halves = (
            torch.empty(len(pieces), self.hidden, dtype=kind) for kind in (torch.float, torch.half)
        )
        refuse_piece(
            functions().nmt_encode(
                self.arrays, B, *map(address, (order_B, offsets, pieces, states, halves))
            ),
            pieces,
            self.pieces,
        )
        half = self.hidden // 2
        return (
            states,
            halves,
            torch.cat([states[offsets[1:] - 1, :half], states[offsets[:-1], half:]], 1),
            offsets,
        )


class _Decoder:
    def __init__(self, decoder: Decoder, embedding_VE: Tensor) -> None:
        assert isinstance(decoder.attention, MultiplicativeAttention)
        uppers = [layer for layer in decoder.upper if isinstance(layer, Recurrence)]
        self.table_VG = piece_table(decoder.first, embedding_VE, "decoder layer 1")
        self.cells = [
            PackedCell(decoder.first, *merged_weights(decoder.first)[1:], "decoder layer 1")
        ]
        for number, layer in enumerate(uppers, 2):
            W_GX, U_GH, bias_G = merged_weights(layer)
            self.cells.append(
                PackedCell(layer, torch.cat([W_GX, U_GH], 1), bias_G, f"decoder layer {number}")
            )
        self.combine = PackedMatrix.of(
            decoder.combine.weight.detach(), decoder.combine.bias.detach()
        )
        self.bridge = PackedMatrix.of(decoder.bridge.weight.detach(), decoder.bridge.bias.detach())
        weight_HH, heads = decoder.attention.key.weight.detach(), decoder.attention.heads
        self.key = PackedMatrix.of(weight_HH * math.sqrt(heads / weight_HH.shape[0]))
        self.parts = len(decoder.first.initial_state(1))
        self.hidden = decoder.first.hidden_size
        cells = (CellArrays * len(self.cells))(*(cell.arrays for cell in self.cells))
        combine = ctypes.pointer(self.combine.arrays)
        self.arrays = DecoderArrays(
            layers=len(self.cells),
            hidden=self.hidden,
            heads=heads,
            pieces=len(embedding_VE),
            table=address(self.table_VG),
            cells=cells,
            combine=combine,
        )

    def initial_state(self, final_BH: Tensor) -> Tensor:
        """As Decoder.initial_state: [L, B, H]."""
        B, H = final_BH.shape
        state = torch.zeros(len(self.cells), self.parts, B, H)
        state[:, 0] = torch.tanh(linear(self.bridge, final_BH)).view(B, -1, H).transpose(0, 1)
        return state.view(-1, B, H)


def linear(matrix: PackedMatrix, inputs_NI: Tensor, kind: torch.dtype = torch.float) -> Tensor:
    """x W' + b of each row, quantised by itself; `kind`: torch.float or torch.half."""
    inputs_NI = inputs_NI.contiguous()
    outputs_NO = torch.empty(len(inputs_NI), matrix.columns, dtype=kind)
    multiply = functions().nmt_linear if kind == torch.float else functions().nmt_linear_half
    multiply(matrix.arrays, address(inputs_NI), len(inputs_NI), address(outputs_NO))
    return outputs_NO


def select_columns(matrix: PackedMatrix, columns_C: Tensor) -> PackedMatrix:
    """Some columns of a matrix, a multiple of 64."""
    C = len(columns_C)
    weights = torch.empty(C * matrix.inputs, dtype=torch.int8)
    scales_C, starts_C, bias_C = torch.empty(C), torch.empty(C, dtype=torch.int32), torch.empty(C)
    functions().nmt_select_columns(
        matrix.arrays,
        address(columns_C),
        C,
        *(address(part) for part in (weights, scales_C, starts_C, bias_C)),
    )
    return PackedMatrix(weights, scales_C, starts_C, bias_C, matrix.inputs)


def put_column(matrix: PackedMatrix, column: int, other: PackedMatrix) -> None:
    """Replaces a column of the first 64 by the first one of another matrix."""
    (weights, *rest), (other_weights, *other_rest) = matrix.tensors, other.tensors
    weights.view(-1, matrix.inputs // 4, PANEL, 4)[0, :, column] = other_weights.view(
        -1, matrix.inputs // 4, PANEL, 4
    )[0, :, 0]
    for part_C, other_C in zip(rest, other_rest, strict=True):
        part_C[column] = other_C[0]
