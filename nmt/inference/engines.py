"""Which engine translates on a CPU: the compiled one where it can, torch's kernels everywhere else."""

from typing import NamedTuple

from nmt.errors import NmtError
from nmt.inference.compiled.engine import NativeEngine, why_not
from nmt.inference.engine import Engine
from nmt.inference.packing import Kernels
from nmt.inference.probe import choose_kernels
from nmt.inference.shortlist import Shortlist
from nmt.model.seq2seq import Seq2Seq
from nmt.native import set_in_use

AnyEngine = Engine | NativeEngine


SLOWER = "not the compiled engine"  # begins a remark


class Chosen(NamedTuple):
    """An engine and what to tell of it."""

    engine: AnyEngine
    precision: str  # fp32, bf16 or int8
    remark: str  # compiled, with which instructions, or why not; empty where nobody asked for 8 bits


def choose_engine(model: Seq2Seq, precision: str | Kernels, shortlist: Shortlist | None) -> Chosen:
    """The engine for `precision` fp32, bf16, int8 or auto: the fastest one; Kernels: torch's with these. In fp32 a shortlist is not used.

    Raises:
        NmtError: no such precision, or this machine has no products in it.
    """
    reason = why_not(model.config)
    if precision in ("auto", "int8") and reason is None:
        try:
            return Chosen(NativeEngine(model, shortlist), "int8", f"compiled engine, {set_in_use()}")
        except NmtError as error:  # weights that half precision does not hold
            reason = str(error)
    kernels = precision if isinstance(precision, Kernels) else choose_kernels(precision)
    remark = f"{SLOWER}: {reason}" if precision in ("auto", "int8") else ""
    return Chosen(Engine(model, kernels, None if kernels.precision == "fp32" else shortlist), kernels.precision, remark)
