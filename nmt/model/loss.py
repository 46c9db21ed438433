"""The loss: label-smoothed cross-entropy of the output layer, with its gradients made on the
way."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.compiled_recurrence import unavailable_reason
from nmt.native import SoftmaxArrays, address, functions, threads_for

# the logits of 1,024 rows and 8,000 pieces are 16 MB in bf16; measured fastest of 512 to 2048 on a
# CPU core
CHUNK_ROWS = 1024


class Loss(NamedTuple):
    """Sums over the target pieces, in nats."""

    smoothed: Tensor  # what is minimised
    cross_entropy: Tensor  # without smoothing; its exponential a piece is the perplexity


class _OutputLoss(torch.autograd.Function):
    """Loss and gradients in one pass over row chunks: the logits of all rows never exist at
    once, the softmax becomes the gradient."""

    @staticmethod
    def forward(
        ctx: Any, rows_NE: Tensor, weight_VE: Tensor, targets_N: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        dtype = compute_dtype(rows_NE)
        with torch.autocast(rows_NE.device.type, enabled=False):
            rows, weight = rows_NE.to(dtype), weight_VE.to(dtype)
            grad_rows, grad_weight = torch.empty_like(rows), None
            size = weight.shape[0]
            logits = rows.new_empty(min(CHUNK_ROWS, len(rows)), size)  # of each chunk in turn
            sums = torch.zeros(
                2, device=rows.device
            )  # cross-entropy, log of the softmax's denominators
            chunks = zip(
                rows.split(CHUNK_ROWS),
                targets_N.split(CHUNK_ROWS),
                grad_rows.split(CHUNK_ROWS),
                strict=True,
            )
            for chunk, targets, grad_chunk in chunks:
                torch.mm(chunk, weight.t(), out=logits[: len(chunk)])
                gradient, cross_entropy, log_sums = softmax_gradient(
                    logits[: len(chunk)], targets, smoothing
                )
                sums += torch.stack([cross_entropy.sum(), log_sums.sum()])
                torch.mm(gradient, weight, out=grad_chunk)
                product = gradient.t() @ chunk
                grad_weight = product.float() if grad_weight is None else grad_weight.add_(product)
            assert grad_weight is not None
            constant = smoothing / size
            weight_sum_E, rows_sum_E = weight_VE.float().sum(0), rows.sum(0, dtype=torch.float32)
            grad_rows -= constant * weight_sum_E
            grad_weight -= constant * rows_sum_E
            smoothed = (
                (1 - smoothing) * sums[0]
                + smoothing * sums[1]
                - constant * torch.dot(rows_sum_E, weight_sum_E)
            )
        ctx.save_for_backward(grad_rows, grad_weight)
        ctx.dtypes = rows_NE.dtype, weight_VE.dtype
        cross_entropy = sums[0].clone()
        ctx.mark_non_differentiable(cross_entropy)
        return smoothed, cross_entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grad_rows, grad_weight = ctx.saved_tensors
        scale = gradients[0]
        return (
            (grad_rows * scale).to(ctx.dtypes[0]),
            (grad_weight * scale).to(ctx.dtypes[1]),
            None,
            None,
        )


def softmax_gradient(
    logits_NV: Tensor, targets_N: Tensor, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(gradient by the logits but for its constant part, cross-entropies [N], logarithms of the
    softmax's denominators [N]).

    The gradient is softmax - (1 - smoothing) [target] - smoothing / V; the last term, the constant,
    is left out. May write over the logits. Targets are int64, one after the other in memory, and
    below V: compiled code believes them.
    """
    rows, size = logits_NV.shape
    if softmax_is_compiled(logits_NV):
        cross_entropy_N, log_sums_N = torch.empty(2, rows).unbind()
        functions().nmt_softmax_gradient(
            SoftmaxArrays(
                rows=rows,
                size=size,
                threads=threads_for(rows),
                logits=address(logits_NV),
                targets=address(targets_N),
                cross_entropy=address(cross_entropy_N),
                log_sums=address(log_sums_N),
                smoothing=smoothing,
            )
        )
        return logits_NV, cross_entropy_N, log_sums_N
    gradient_NV = torch.softmax(logits_NV, dim=1)
    places_N = (
        torch.arange(rows, device=logits_NV.device) * size + targets_N
    )  # of the references among all elements
    log_chosen_N = gradient_NV.view(-1)[places_N].float().clamp_min(1e-38).log()
    log_sums_N = logits_NV.view(-1)[places_N].float() - log_chosen_N
    gradient_NV.view(-1)[places_N] += smoothing - 1
    return gradient_NV, -log_chosen_N, log_sums_N


def softmax_is_compiled(logits: Tensor) -> bool:
    """Whether compiled code makes the softmax of such logits."""
    return (
        logits.dtype == torch.bfloat16
        and logits.device.type == "cpu"
        and unavailable_reason() is None
    )


def compute_dtype(rows: Tensor) -> torch.dtype:
    """What autocast, where it is on, makes products of these rows in."""
    device = rows.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else rows.dtype


def output_loss(rows_NE: Tensor, weight_VE: Tensor, targets_N: Tensor, smoothing: float) -> Loss:
    """Cross-entropy of softmax(rows W^T) with label smoothing (Szegedy et al. 2016, sec. 7),
    summed over the rows."""
    smoothed, cross_entropy = _OutputLoss.apply(rows_NE, weight_VE, targets_N, smoothing)  # type: ignore[no-untyped-call]
    return Loss(smoothed, cross_entropy)
