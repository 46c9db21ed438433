"""Chooses the engine and the number format for a CPU: measured on this machine, not guessed."""

import time
from collections.abc import Callable
from typing import Any

import torch

from nmt.engines.compiled.engine import CompiledNetwork, unavailable_reason
from nmt.engines.force_decoding import TranslationNetwork
from nmt.engines.packed.layers import Kernels, PackedLinear
from nmt.engines.packed.network import PackedNetwork
from nmt.engines.plain import PlainNetwork
from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.folders import ModelFolder, load_translation_model
from nmt.machine import CPU_FORMATS, GPU_FORMATS
from nmt.model.primitives import has_lstm
from nmt.model.translation import Seq2Seq

SLOWER = "not the compiled engine"  # begins a note


def load_translation_network(
    folder: ModelFolder, device: torch.device, precision: str | Kernels, shortlist: bool
) -> TranslationNetwork[Any]:
    """The network of a model folder in its fastest form for this device; `precision` and
    `shortlist` as of Translator.load.

    Raises:
        NmtError: no such precision, or not on this device; weights or shortlist are not those of
            the recipe.
    """
    model = load_translation_model(folder, device)
    if device.type == "cuda":
        return PlainNetwork(model, gpu_precision(precision))
    candidates = None
    if shortlist and folder.shortlist and precision != "fp32":
        candidates = Shortlist.load(
            folder.shortlist, folder.subwords.source.size, folder.subwords.target.size
        )
    return choose_engine(model, precision, candidates)


def choose_engine(
    model: Seq2Seq, precision: str | Kernels, shortlist: Shortlist | None
) -> CompiledNetwork | PackedNetwork:
    """The engine on a CPU for `precision` fp32, bf16, int8 or auto: the fastest one; Kernels:
    torch's with these. In fp32 a shortlist is not used.

    Raises:
        NmtError: no such precision, or this machine has no products in it.
    """
    reason = unavailable_reason(model.config)
    if precision in ("auto", "int8") and reason is None:
        try:
            return CompiledNetwork(model, shortlist)
        except NmtError as error:  # weights that half precision does not hold
            reason = str(error)
    kernels = precision if isinstance(precision, Kernels) else choose_kernels(precision)
    shortlist = None if kernels.precision == "fp32" else shortlist
    note = f"{SLOWER}: {reason}" if precision in ("auto", "int8") else ""
    return PackedNetwork(model, kernels, shortlist, note)


def gpu_precision(precision: str | Kernels) -> str:
    """auto: bf16, or fp16 on cards of before 2020, which have no products in bf16.

    Raises:
        NmtError: a precision of processors.
    """
    if isinstance(precision, Kernels) or precision not in ("auto", *GPU_FORMATS):
        raise NmtError(f"precision {precision!r} is not for a GPU; use auto, fp32, bf16 or fp16")
    if precision != "auto":
        return precision
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


ROWS = 64
SIZE = 512  # of the probe's matrix
STEADY = 1.5  # how much faster than a rival of equal right a format has to be
GAIN = 1.2  # a format with more rounding has to be this much faster to be chosen


def choose_kernels(precision: str) -> Kernels:
    """The kernels for `precision` fp32, bf16, int8 or auto: the fastest of them, by instructions
    and a probe of some milliseconds.

    A processor without bf16 or 8-bit instructions still computes with such weights when asked to,
    within the same rounding.

    Raises:
        NmtError: no such precision, or this build of torch has no int8 products.
    """
    if precision == "fp16":
        raise NmtError("precision fp16 is for a GPU; use auto, fp32, bf16 or int8 on a CPU")
    if precision not in ("auto", *CPU_FORMATS):
        raise NmtError(
            f"unknown precision {precision!r}; use auto, fp32, bf16, int8 or, on a GPU, fp16"
        )
    has_bf16 = has_bf16_kernels()
    fp32, bf16 = Kernels(precision="fp32"), Kernels(precision="bf16", fast_bf16=has_bf16)
    if precision in ("fp32", "bf16"):
        return fp32 if precision == "fp32" else bf16
    int8 = _int8_kernels(has_bf16)
    if precision == "int8":
        if not int8:
            raise NmtError(
                "precision int8 was asked for, but this build of torch has no int8 products; use"
                " auto, bf16 or fp32"
            )
        return _steady_best(int8)
    rivals = [*(int8 if _fast_int8() else []), *([bf16] if has_bf16 else [])]
    best = _steady_best(rivals) if rivals else fp32
    return best if GAIN * seconds(best) < seconds(fp32) else fp32


def _steady_best(rivals: list[Kernels]) -> Kernels:
    """The first one unless a later one is much faster: close rivals must not change places from
    call to call, the translations would."""
    best, best_seconds = rivals[0], seconds(rivals[0])
    for rival in rivals[1:]:
        rival_seconds = seconds(rival)
        if STEADY * rival_seconds < best_seconds:
            best, best_seconds = rival, rival_seconds
    return best


def seconds(
    kernels: Kernels, measure: Callable[[Callable[[], object]], float] | None = None
) -> float:
    """The best time of several products of 64 rows."""
    packed = PackedLinear(torch.full((SIZE, SIZE), 0.01), torch.zeros(SIZE), kernels)
    inputs_NI = torch.linspace(-1, 1, ROWS * SIZE).view(ROWS, SIZE)
    return (measure or _best_time)(lambda: packed(inputs_NI))


def _best_time(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(6):  # the first ones warm up
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def has_bf16_kernels() -> bool:
    """bf16 instructions, and oneDNN's kernels for them: it may be held to fewer instructions
    than the processor has."""
    return bool(torch.cpu._is_avx512_bf16_supported()) and has_lstm(torch.bfloat16)


def _fast_int8() -> bool:
    """8-bit products that do not saturate: AVX512-VNNI."""
    return bool(torch.cpu._is_vnni_supported())


def _int8_kernels(has_bf16: bool) -> list[Kernels]:
    engines = [
        name for name in ("fbgemm", "onednn") if name in torch.backends.quantized.supported_engines
    ]
    if "fbgemm" not in engines or not hasattr(torch.ops.quantized, "linear_dynamic"):
        return []
    return [
        Kernels(precision="int8", engine=name, fast_bf16=has_bf16, reduced=not _fast_int8())
        for name in engines
    ]
