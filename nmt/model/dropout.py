"""Dropout whose mask costs an eighth of the random numbers on a CPU, or next to nothing where it
is compiled."""

from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nmt.model.compiled_recurrence import is_compiled
from nmt.native import DropoutArrays, address, functions, threads_for


class Dropout(nn.Module):
    """x -> x m / (1 - p) with P(m = 0) = p while training (Srivastava et al. 2014).

    On a CPU one 64-bit random number serves eight elements, so that p is rounded to a multiple of
    1/256 (and the scale with it), neither to 0 nor to 1; `torch.nn.Dropout` draws one number an
    element, which took a twelfth of the training time.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.threshold = min(255, max(1, round(256 * probability))) if probability else 0

    def forward(self, *parts: Tensor) -> Tensor:
        """The parts side by side along their last dimension; the same tensor, if it is only one,
        in evaluation mode."""
        if (
            self.training
            and self.threshold
            and all(is_compiled(part, part.shape[-1]) for part in parts)
        ):
            joined: Tensor = _Dropout.apply(self.threshold, *parts)  # type: ignore[no-untyped-call]
            return joined
        x = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        if not self.training or self.threshold == 0:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.probability)
        numbers = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        kept = numbers.view(torch.uint8)[: x.numel()].view(x.shape) >= self.threshold
        return x * (kept * torch.tensor(256 / (256 - self.threshold), dtype=x.dtype))


class _Dropout(torch.autograd.Function):
    """nmt/native/dropout.cpp: bf16, whatever the parts are in; the mask is made a second time
    instead of being kept."""

    @staticmethod
    def forward(ctx: Any, threshold: int, *parts: Tensor) -> Tensor:
        widths = [part.shape[-1] for part in parts]
        joined = torch.empty(*parts[0].shape[:-1], sum(widths), dtype=torch.bfloat16)
        ctx.threshold, ctx.seed, ctx.widths = threshold, int(torch.randint(2**63 - 1, ())), widths
        ctx.dtypes = [part.dtype for part in parts]
        _call(ctx, joined, [part.contiguous() for part in parts], backwards=False)
        return joined

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        joined = gradients[0].contiguous()
        parts = [
            joined.new_empty(*joined.shape[:-1], width, dtype=dtype)
            for width, dtype in zip(ctx.widths, ctx.dtypes, strict=True)
        ]
        _call(ctx, joined, parts, backwards=True)
        return None, *parts


def _call(ctx: Any, joined: Tensor, parts: list[Tensor], backwards: bool) -> None:
    width = joined.shape[-1]
    rows = joined.numel() // width
    threads = threads_for(rows // 256)  # each worth starting
    for part, offset in zip(parts, accumulate(ctx.widths, initial=0), strict=False):
        functions().nmt_dropout(
            DropoutArrays(
                rows=rows,
                width=width,
                offset=offset,
                size=part.shape[-1],
                threshold=ctx.threshold,
                seed=ctx.seed,
                single=part.dtype == torch.float32,
                backwards=backwards,
                threads=threads,
                part=address(part),
                joined=address(joined),
            )
        )
