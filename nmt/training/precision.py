"""Which number format trains faster on this machine: asked of the machine, not guessed."""

import time
from collections.abc import Callable

import torch

from nmt.model.compiled_recurrence import unavailable_reason
from nmt.model.primitives import has_lstm

SPEEDUP = 1.2  # bf16 has to be this much faster to be worth its rounding


def choose_precision(wish: str, device: torch.device) -> str:
    """fp32 or bf16 for `wish` auto, fp32 or bf16.

    A GPU trains in bf16 unless it only emulates it. A CPU does if it has bf16 instructions and
    either the compiled recurrence, which is made for them, or a short timed probe that is faster
    with them; without such instructions torch emulates bf16 at a small fraction of the speed.
    """
    if wish != "auto":
        return wish
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if not (torch.cpu._is_avx512_bf16_supported() and has_lstm(torch.bfloat16)):
        return "fp32"
    if unavailable_reason() is None:
        return "bf16"
    return "bf16" if _seconds(torch.float32) > SPEEDUP * _seconds(torch.bfloat16) else "fp32"


def is_compiled(precision: str, device: torch.device) -> bool:
    """Whether compiled code takes part in training; other code draws other random numbers and
    rounds elsewhere."""
    return device.type == "cpu" and precision == "bf16" and unavailable_reason() is None


def autocast(device: torch.device, precision: str) -> Callable[[], torch.autocast]:
    """Makes the context in which the network runs."""
    return lambda: torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def described(precision: str, device: torch.device, units: int) -> str:
    """Where and in what a network is trained, in words; `units` of its narrowest layer."""
    if device.type != "cpu" or precision != "bf16":
        return f"{device.type} in {precision}"
    missing = unavailable_reason(units)
    return f"cpu in bf16, the recurrence {f'uncompiled ({missing})' if missing else 'compiled'}"


def _seconds(dtype: torch.dtype) -> float:
    """The best of three LSTM passes, forward and backward, of 64 sequences of 8 positions and
    256 units. Draws no random numbers."""
    size = 256
    weights = [
        torch.full(shape, 0.01, dtype=dtype, requires_grad=True)
        for shape in ((4 * size, size), (4 * size, size), (4 * size,))
    ]
    inputs = torch.ones(64, 8, size, dtype=dtype, requires_grad=True)
    zeros = torch.zeros(1, 64, size, dtype=dtype)
    best = float("inf")
    for _ in range(4):  # the first one warms up
        start = time.perf_counter()
        torch.lstm(
            inputs, (zeros, zeros), [*weights, weights[-1]], True, 1, 0.0, True, False, True
        )[0].sum().backward()
        best = min(best, time.perf_counter() - start)
    return best
