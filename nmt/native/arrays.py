"""What the compiled functions are given: the structures of nmt/native/arrays.h, field by field,
and whether a library has them so."""

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_float, c_int64, c_void_p
from typing import Any


class Arrays(Structure):
    """A structure filled by keyword; what is not given is zero or null.

    Raises:
        TypeError: values by position, or a name that is no field (ctypes would keep it aside).
    """

    def __init__(self, **fields: Any) -> None:
        if unknown := fields.keys() - {name for name, *_ in self._fields_}:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}")
        super().__init__(**fields)


class MatrixArrays(Arrays):
    """`Matrix` of arrays.h."""

    _fields_ = (
        ("weights", c_void_p),
        ("scales", c_void_p),
        ("starts", c_void_p),
        ("bias", c_void_p),
        ("inputs", c_int64),
        ("columns", c_int64),
    )


class CellArrays(Arrays):
    """`Cell` of arrays.h."""

    _fields_ = (
        ("gates", MatrixArrays),
        ("bias", c_void_p),
        ("peepholes", c_void_p),
        ("cell", c_int64),
        ("units", c_int64),
    )


class EncoderArrays(Arrays):
    """`Encoder` of arrays.h."""

    _fields_ = (
        ("layers", c_int64),
        ("hidden", c_int64),
        ("pieces", c_int64),
        ("cells", POINTER(CellArrays)),
        ("tables", POINTER(c_void_p)),
        ("inputs", POINTER(MatrixArrays)),
    )


class DecoderArrays(Arrays):
    """`Decoder` of arrays.h."""

    _fields_ = (
        ("layers", c_int64),
        ("hidden", c_int64),
        ("heads", c_int64),
        ("pieces", c_int64),
        ("table", c_void_p),
        ("cells", POINTER(CellArrays)),
        ("combine", POINTER(MatrixArrays)),
    )


class MemoryArrays(Arrays):
    """`Memory` of arrays.h."""

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


class StepArrays(Arrays):
    """`Step` of arrays.h."""

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


class GreedyArrays(Arrays):
    """`Greedy` of arrays.h."""

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


class RecurrenceArrays(Arrays):
    """`Recurrence` of arrays.h."""

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


class DropoutArrays(Arrays):
    """`Dropout` of arrays.h."""

    _fields_ = (
        *(
            (name, c_int64)
            for name in (
                "rows",
                "width",
                "offset",
                "size",
                "threshold",
                "seed",
                "single",
                "backwards",
                "threads",
            )
        ),
        ("part", c_void_p),
        ("joined", c_void_p),
    )


class SoftmaxArrays(Arrays):
    """`Softmax` of arrays.h."""

    _fields_ = (
        *((name, c_int64) for name in ("rows", "size", "threads")),
        *((name, c_void_p) for name in ("logits", "targets", "cross_entropy", "log_sums")),
        ("smoothing", c_float),
    )


class RDropArrays(Arrays):
    """`RDrop` of arrays.h."""

    _fields_ = (
        *((name, c_int64) for name in ("rows", "size", "threads")),
        *((name, c_void_p) for name in ("first", "second", "targets", "loss", "cross_entropy")),
        ("smoothing", c_float),
        ("alpha", c_float),
    )


class ShortlistArrays(Arrays):
    """`Shortlist` of arrays.h."""

    _fields_ = (
        *((name, c_int64) for name in ("source_pieces", "pieces", "best_count")),
        *((name, c_void_p) for name in ("best", "is_byte", "always", "bytes")),
        ("shared", c_float),
    )


class CandidatesArrays(Arrays):
    """`Candidates` of arrays.h."""

    _fields_ = (
        *((name, c_int64) for name in ("sentences", "length")),
        *((name, c_void_p) for name in ("source", "outputs", "counts", "allowed", "own")),
        *((name, c_int64) for name in ("columns", "width", "padding")),
    )


class LogitsArrays(Arrays):
    """`Logits` of arrays.h."""

    _fields_ = (
        ("logits", c_void_p),
        ("rows", c_int64),
        ("columns", c_int64),
        ("forbidden", c_void_p),
        ("forbidden_count", c_int64),
        ("softmax", c_int64),
    )


class AdvanceArrays(Arrays):
    """`Advance` of arrays.h."""

    _fields_ = (
        *(
            (name, c_int64)
            for name in (
                "sentences",
                "beam",
                "picks",
                "n_best",
                "eos",
                "length",
                "picked",
                "few",
                "multiple",
            )
        ),
        *(
            (name, c_void_p)
            for name in (
                "numbers",
                "max_lengths",
                "log_probs",
                "origins",
                "free",
                "best",
                "divisors",
            )
        ),
        *((name, c_void_p) for name in ("parents", "pieces", "log_probs_now", "scores")),
        *(
            (f"{name}_after", c_void_p)
            for name in (
                "numbers",
                "max_lengths",
                "log_probs",
                "origins",
                "free",
                "best",
                "pieces",
                "rows",
            )
        ),
        ("stay", c_void_p),
        ("staying", c_int64),
        ("width", c_int64),
    )


STRUCTURES = (
    MatrixArrays,
    CellArrays,
    EncoderArrays,
    DecoderArrays,
    MemoryArrays,
    StepArrays,
    GreedyArrays,
    RecurrenceArrays,
    DropoutArrays,
    SoftmaxArrays,
    RDropArrays,
    ShortlistArrays,
    CandidatesArrays,
    LogitsArrays,
    AdvanceArrays,
)


class _Field(Structure):
    """Where the compiler put a field: what build.py writes down of each."""

    _fields_ = (("structure", c_char_p), ("name", c_char_p), ("offset", c_int64), ("size", c_int64))


def unlike(library: ctypes.CDLL) -> str | None:
    """The structure that lies otherwise in a library than here; None: all lie as here.

    Raises:
        ValueError: it does not say.
    """
    first = ctypes.pointer(_Field.in_dll(library, "nmt_layout"))
    theirs: dict[str, dict[str, tuple[int, int]]] = {}
    number = 0
    while (field := first[number]).structure is not None:
        theirs.setdefault(field.structure.decode(), {})[field.name.decode()] = (
            field.offset,
            field.size,
        )
        number += 1
    for structure in STRUCTURES:
        descriptors = {name: getattr(structure, name) for name, *_ in structure._fields_}
        ours = {
            "": (0, ctypes.sizeof(structure)),
            **{name: (each.offset, each.size) for name, each in descriptors.items()},
        }
        if theirs.get(structure.__name__.removesuffix("Arrays")) != ours:
            return structure.__name__.removesuffix("Arrays")
    return None
