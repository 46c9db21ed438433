"""Sequences read backwards, each within its own length."""

from typing import Any

import torch
from torch import Tensor


def reversal_order(lengths_B: Tensor, width: int) -> Tensor:
    """The order of the B * S positions that reverses each sequence within its own length and leaves its padding in place."""
    positions_1S = torch.arange(width, device=lengths_B.device)[None]
    mirrored_BS = lengths_B[:, None] - 1 - positions_1S
    starts_B1 = torch.arange(len(lengths_B), device=lengths_B.device)[:, None] * width
    return (starts_B1 + torch.where(mirrored_BS >= 0, mirrored_BS, positions_1S)).flatten()


class _Reorder(torch.autograd.Function):
    """Positions in another order. The order is its own inverse, so that the gradient is a copy of rows too, where autograd would add."""

    @staticmethod
    def forward(ctx: Any, inputs_BSI: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return inputs_BSI.flatten(0, 1).index_select(0, order).view_as(inputs_BSI)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors
        return gradients[0].flatten(0, 1).index_select(0, order).view_as(gradients[0]), None


def reorder(inputs_BSI: Tensor, order: Tensor) -> Tensor:
    """The inputs with their B * S positions in a self-inverse order."""
    outputs_BSI: Tensor = _Reorder.apply(inputs_BSI, order)  # type: ignore[no-untyped-call]
    return outputs_BSI
