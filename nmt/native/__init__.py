"""Compiled code, called through ctypes: the 8-bit engine with its candidates and choices, and what
bf16 training needs.

It is built when nmt is installed where there is a C++ compiler. The engine is compiled for each
instruction set of SETS, and a processor uses the last one that it has; NMT_ISA names another one.
Training needs AVX512-BF16. Where something is missing torch computes. Every function reads and
writes arrays of its caller and gives up the interpreter's lock.
"""

import ctypes
import os
from ctypes import POINTER, c_int64, c_uint32, c_void_p
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nmt.errors import NmtError
from nmt.native.arrays import (
    AdvanceArrays,
    CandidatesArrays,
    DecoderArrays,
    DropoutArrays,
    EncoderArrays,
    GreedyArrays,
    LogitsArrays,
    MatrixArrays,
    MemoryArrays,
    RDropArrays,
    RecurrenceArrays,
    ShortlistArrays,
    SoftmaxArrays,
    StepArrays,
    unlike,
)
from nmt.native.build import LIBRARY, sources_mark
from nmt.native.elf import cut_short

__all__ = [
    "CELLS",
    "LANES",
    "LIBRARY",
    "PANEL",
    "SETS",
    "SIGNATURES",
    "TRAINING",
    "AdvanceArrays",
    "CandidatesArrays",
    "DecoderArrays",
    "DropoutArrays",
    "EncoderArrays",
    "GreedyArrays",
    "LogitsArrays",
    "MatrixArrays",
    "MemoryArrays",
    "RDropArrays",
    "RecurrenceArrays",
    "ShortlistArrays",
    "SoftmaxArrays",
    "StepArrays",
    "address",
    "functions",
    "library",
    "set_in_use",
    "sets",
    "sources_mark",
    "threads_for",
]

LANES = 16  # units whose gates lie side by side
PANEL = 64  # columns that are computed together
CELLS = {"lstm": 0, "peephole": 1, "gru": 2, "tanh": 3}  # their numbers in arrays.h
SETS = (
    "avx2",
    "avxvnni",
    "avx512",
    "amx",
)  # instruction sets of the engine, the slowest first; dispatch.cpp knows them by these numbers

TRAINING: dict[str, tuple[Any, ...]] = {  # build.py may have to leave them out
    "nmt_recurrence_forward": (POINTER(RecurrenceArrays),),
    "nmt_recurrence_backward": (POINTER(RecurrenceArrays),),
    "nmt_recurrence_panels": (c_void_p, c_int64, c_int64, c_int64, c_int64, c_void_p),
    "nmt_recurrence_sums": (c_void_p, c_int64, c_int64, c_void_p),
    "nmt_dropout": (POINTER(DropoutArrays),),
    "nmt_softmax_gradient": (POINTER(SoftmaxArrays),),
    "nmt_r_drop_gradient": (POINTER(RDropArrays),),
}
SIGNATURES: dict[str, tuple[Any, ...]] = {
    **TRAINING,
    "nmt_sources": (),
    "nmt_sets": (),
    "nmt_set": (),
    "nmt_use_set": (c_int64,),
    "nmt_linear": (POINTER(MatrixArrays), c_void_p, c_int64, c_void_p),
    "nmt_linear_half": (POINTER(MatrixArrays), c_void_p, c_int64, c_void_p),
    "nmt_encode": (
        POINTER(EncoderArrays),
        c_int64,
        c_void_p,
        c_void_p,
        c_void_p,
        c_void_p,
        c_void_p,
    ),
    "nmt_step": (
        POINTER(DecoderArrays),
        POINTER(MatrixArrays),
        POINTER(MemoryArrays),
        POINTER(StepArrays),
    ),
    "nmt_greedy": (
        POINTER(DecoderArrays),
        POINTER(MatrixArrays),
        POINTER(MemoryArrays),
        POINTER(GreedyArrays),
    ),
    "nmt_candidates": (POINTER(ShortlistArrays), POINTER(CandidatesArrays)),
    "nmt_select_columns": (
        POINTER(MatrixArrays),
        c_void_p,
        c_int64,
        c_void_p,
        c_void_p,
        c_void_p,
        c_void_p,
    ),
    "nmt_best_pieces": (POINTER(LogitsArrays), c_void_p, c_void_p, c_void_p),
    "nmt_advance": (POINTER(LogitsArrays), POINTER(AdvanceArrays)),
}


RESULTS = {"nmt_sources": c_uint32} | dict.fromkeys(
    ("nmt_sets", "nmt_set", "nmt_encode", "nmt_step", "nmt_candidates"), c_int64
)  # of the functions that have one


@cache
def library() -> ctypes.CDLL | str:
    """The compiled functions, or why they cannot be used.

    Raises:
        NmtError: NMT_ISA names an instruction set that there is not.
    """
    wanted = os.environ.get("NMT_ISA")
    if wanted and wanted not in SETS:
        raise NmtError(
            f"NMT_ISA: unknown instruction set {wanted!r}; use {', '.join(SETS[:-1])} or"
            f" {SETS[-1]}, or unset it"
        )
    loaded = _load()
    found = () if isinstance(loaded, str) else sets(loaded)
    if wanted and wanted not in found:
        reason = (
            loaded
            if isinstance(loaded, str)
            else f"of the sets of this processor it has {', '.join(found) or 'none'}"
        )
        raise NmtError(
            f"NMT_ISA={wanted}: the compiled engine cannot use it ({reason}); unset NMT_ISA"
        )
    if isinstance(loaded, str):
        return loaded
    if not found:
        return "this processor has no AVX2, FMA and F16C instructions"
    loaded.nmt_use_set(SETS.index(wanted or found[-1]))
    return loaded


def _load() -> ctypes.CDLL | str:
    if not LIBRARY.exists():
        return (
            "it was not built when nmt was installed, for want of a C++ compiler or of an x86-64"
            " processor"
        )
    try:
        if cut_short(LIBRARY):
            return f"{LIBRARY} is not whole; install nmt again"
        loaded = ctypes.CDLL(str(LIBRARY))
        loaded.nmt_sources.restype = c_uint32
        if loaded.nmt_sources() != sources_mark():
            return "it was built from other sources; install nmt again"
        if name := unlike(loaded):
            return f"its {name} arrays are laid out in another way; install nmt again"
        for name, types in SIGNATURES.items():
            if name in TRAINING and not hasattr(loaded, name):
                continue
            getattr(loaded, name).argtypes = types
            getattr(loaded, name).restype = RESULTS.get(name)
    except (OSError, AttributeError, ValueError) as error:
        return f"it cannot be loaded ({error}); install nmt again"
    return loaded


def sets(loaded: ctypes.CDLL) -> tuple[str, ...]:
    """The instruction sets of a library that this processor has, the slowest first."""
    bits = loaded.nmt_sets()
    return tuple(name for number, name in enumerate(SETS) if bits >> number & 1)


def set_in_use() -> str:
    """The instruction set of the engine where the library is known to be there."""
    return SETS[functions().nmt_set()]


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
