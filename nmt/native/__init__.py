"""Compiled code, called through ctypes: the 8-bit engine with its candidates and choices, and what bf16 training needs.

It is built when nmt is installed where there is a C++ compiler, and used on processors with AVX512-VNNI (training: AVX512-BF16);
elsewhere torch computes.
Every function reads and writes arrays of its caller and gives up the interpreter's lock.
"""

import ctypes
from ctypes import POINTER, Structure, c_float, c_int64, c_void_p
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nmt.native.build import LIBRARY, sources_mark

LANES = 16  # units whose gates lie side by side
PANEL = 64  # columns that are computed together
CELLS = {"lstm": 0, "peephole": 1, "gru": 2, "tanh": 3}  # their numbers in vector.h


class MatrixArrays(Structure):
    """`Matrix` of matrix.h."""

    _fields_ = (
        ("weights", c_void_p),
        ("scales", c_void_p),
        ("starts", c_void_p),
        ("bias", c_void_p),
        ("inputs", c_int64),
        ("columns", c_int64),
    )


class CellArrays(Structure):
    """`CellWeights` of cells.h."""

    _fields_ = (
        ("gates", MatrixArrays),
        ("bias", c_void_p),
        ("peepholes", c_void_p),
        ("cell", c_int64),
        ("units", c_int64),
    )


class EncoderArrays(Structure):
    """`Encoder` of engine.cpp."""

    _fields_ = (
        ("layers", c_int64),
        ("hidden", c_int64),
        ("cells", POINTER(CellArrays)),
        ("tables", POINTER(c_void_p)),
        ("inputs", POINTER(MatrixArrays)),
    )


class DecoderArrays(Structure):
    """`Decoder` of engine.cpp."""

    _fields_ = (
        ("layers", c_int64),
        ("hidden", c_int64),
        ("heads", c_int64),
        ("table", c_void_p),
        ("cells", POINTER(CellArrays)),
        ("combine", POINTER(MatrixArrays)),
    )


class MemoryArrays(Structure):
    """`Memory` of engine.cpp."""

    _fields_ = (
        ("keys", c_void_p),
        ("values", c_void_p),
        ("offsets", c_void_p),
        ("candidates", c_void_p),
        ("width", c_int64),
        ("allowed", c_void_p),
        ("others", c_void_p),
        ("half_variance", c_float),
    )


class StepArrays(Structure):
    """`Step` of engine.cpp."""

    _fields_ = (
        ("rows", c_int64),
        ("rows_before", c_int64),
        ("sentences", c_int64),
        ("pieces", c_void_p),
        ("parents", c_void_p),
        ("sentence", c_void_p),
        ("before", c_void_p),
        ("after", c_void_p),
        ("logits", c_void_p),
    )


class GreedyArrays(Structure):
    """`Greedy` of greedy.cpp."""

    _fields_ = (
        *((name, c_int64) for name in ("sentences", "bos", "eos", "min_length", "room")),
        ("max_lengths", c_void_p),
        ("early", c_void_p),
        ("early_count", c_int64),
        ("never", c_void_p),
        ("never_count", c_int64),
        *((name, c_void_p) for name in ("first", "pieces", "lengths")),
        ("failed", c_int64),
    )


class RecurrenceArrays(Structure):
    """`Recurrence` of trained_cells.h."""

    _fields_ = (
        ("cell", c_int64),
        ("rows", c_int64),
        ("width", c_int64),
        ("units", c_int64),
        ("reverse", c_int64),
        ("threads", c_int64),
        ("lengths", c_void_p),
        ("weights", c_void_p),
        ("bias", c_void_p),
        ("peepholes", c_void_p),
        ("gates", c_void_p),
        ("recurrent", c_void_p),
        ("states", c_void_p),
        ("hidden", c_void_p),
        ("first_hidden", c_void_p),
        ("first_states", c_void_p),
        ("gradients", c_void_p),
        ("first_gradients", c_void_p),
        ("carried", c_void_p),
        ("peephole_gradients", c_void_p),
    )


class DropoutArrays(Structure):
    """`Dropout` of dropout.cpp."""

    _fields_ = (
        *((name, c_int64) for name in ("rows", "width", "offset", "size", "threshold", "seed", "single", "backwards", "threads")),
        ("part", c_void_p),
        ("joined", c_void_p),
    )


class SoftmaxArrays(Structure):
    """`Softmax` of softmax.cpp."""

    _fields_ = (
        *((name, c_int64) for name in ("rows", "size", "threads")),
        *((name, c_void_p) for name in ("logits", "targets", "cross_entropy", "log_sums")),
        ("smoothing", c_float),
    )


class RDropArrays(Structure):
    """`RDrop` of r_drop.cpp."""

    _fields_ = (
        *((name, c_int64) for name in ("rows", "size", "threads")),
        *((name, c_void_p) for name in ("first", "second", "targets", "loss", "cross_entropy")),
        ("smoothing", c_float),
        ("alpha", c_float),
    )


class ShortlistArrays(Structure):
    """`Shortlist` of candidates.cpp."""

    _fields_ = (
        *((name, c_int64) for name in ("pieces", "best_count")),
        *((name, c_void_p) for name in ("best", "is_byte", "always", "bytes")),
        ("shared", c_float),
    )


class CandidatesArrays(Structure):
    """`Candidates` of candidates.cpp."""

    _fields_ = (
        *((name, c_int64) for name in ("sentences", "length")),
        *((name, c_void_p) for name in ("source", "outputs", "counts", "allowed", "own")),
        *((name, c_int64) for name in ("columns", "width", "padding")),
    )


class LogitsArrays(Structure):
    """`Logits` of look.h."""

    _fields_ = (
        ("logits", c_void_p),
        ("rows", c_int64),
        ("columns", c_int64),
        ("forbidden", c_void_p),
        ("forbidden_count", c_int64),
        ("softmax", c_int64),
    )


class AdvanceArrays(Structure):
    """`Advance` of front.cpp."""

    _fields_ = (
        *((name, c_int64) for name in ("sentences", "beam", "picks", "n_best", "eos", "length", "picked", "few", "multiple")),
        *((name, c_void_p) for name in ("numbers", "max_lengths", "log_probs", "origins", "free", "best", "divisors")),
        *((name, c_void_p) for name in ("parents", "pieces", "log_probs_now", "scores")),
        *((f"{name}_after", c_void_p) for name in ("numbers", "max_lengths", "log_probs", "origins", "free", "best", "pieces", "rows")),
        ("stay", c_void_p),
        ("staying", c_int64),
        ("width", c_int64),
    )


TRAINING: dict[str, tuple[Any, ...]] = {  # build.py may have to leave them out
    "nmt_recurrence_forward": (POINTER(RecurrenceArrays),),
    "nmt_recurrence_backward": (POINTER(RecurrenceArrays),),
    "nmt_recurrence_panels": (c_void_p, c_int64, c_int64, c_int64, c_int64, c_void_p),
    "nmt_recurrence_sums": (c_void_p, c_int64, c_int64, c_void_p),
    "nmt_dropout": (POINTER(DropoutArrays),),
    "nmt_softmax_gradient": (POINTER(SoftmaxArrays),),
    "nmt_r_drop_gradient": (POINTER(RDropArrays),),
}
SIGNATURES = {
    **TRAINING,
    "nmt_linear": (POINTER(MatrixArrays), c_void_p, c_int64, c_void_p),
    "nmt_linear_half": (POINTER(MatrixArrays), c_void_p, c_int64, c_void_p),
    "nmt_encode": (POINTER(EncoderArrays), c_int64, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    "nmt_step": (POINTER(DecoderArrays), POINTER(MatrixArrays), POINTER(MemoryArrays), POINTER(StepArrays)),
    "nmt_greedy": (POINTER(DecoderArrays), POINTER(MatrixArrays), POINTER(MemoryArrays), POINTER(GreedyArrays)),
    "nmt_candidates": (POINTER(ShortlistArrays), POINTER(CandidatesArrays)),
    "nmt_select_columns": (POINTER(MatrixArrays), c_void_p, c_int64, c_void_p, c_void_p, c_void_p, c_void_p),
    "nmt_best_pieces": (POINTER(LogitsArrays), c_void_p, c_void_p, c_void_p),
    "nmt_advance": (POINTER(LogitsArrays), POINTER(AdvanceArrays)),
}


@cache
def library() -> ctypes.CDLL | str:
    """The compiled functions, or why they cannot be used."""
    if not LIBRARY.exists():
        return "it was not built when nmt was installed, for want of a C++ compiler or of an x86-64 processor"
    if not torch.cpu._is_vnni_supported():
        return "this processor has no AVX512-VNNI instructions"
    try:
        loaded = ctypes.CDLL(str(LIBRARY))
        loaded.nmt_sources.restype = ctypes.c_uint32
        if loaded.nmt_sources() != sources_mark():
            return "it was built from other sources; install nmt again"
        for name, types in SIGNATURES.items():
            if name in TRAINING and not hasattr(loaded, name):
                continue
            getattr(loaded, name).argtypes = types
            getattr(loaded, name).restype = None
    except (OSError, AttributeError) as error:
        return f"it cannot be loaded ({error}); install nmt again"
    return loaded


def functions() -> ctypes.CDLL:
    """The library where it is known to be there."""
    found = library()
    assert isinstance(found, ctypes.CDLL)
    return found


def threads_for(parts: int) -> int:
    """Threads for work that can be cut into so many parts: torch's number where that is less."""
    return max(1, min(torch.get_num_threads(), parts))


def address(tensor: Tensor | None) -> int | None:
    """Where a tensor's numbers begin; it has to be contiguous and to outlive the call."""
    return None if tensor is None else tensor.data_ptr()
