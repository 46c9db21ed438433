"""The loss: label-smoothed cross-entropy of the output layer, with its gradients made on the way."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

CHUNK_ROWS = 1024  # the logits of 1,024 rows and 8,000 pieces are 16 MB in bf16; measured fastest of 512 to 2048 on a CPU core


class Loss(NamedTuple):
    """Sums over the target pieces, in nats."""

    smoothed: Tensor  # what is minimised
    cross_entropy: Tensor  # without smoothing; its exponential a piece is the perplexity


class _OutputLoss(torch.autograd.Function):
    """Loss and gradients in one pass over row chunks: the logits of all rows never exist at once, the softmax becomes the gradient."""

    @staticmethod
    def forward(ctx: Any, rows_NE: Tensor, weight_VE: Tensor, targets_N: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        dtype = compute_dtype(rows_NE)
        with torch.autocast(rows_NE.device.type, enabled=False):
            rows, weight = rows_NE.to(dtype), weight_VE.to(dtype)
            grad_rows, grad_weight = torch.empty_like(rows), torch.zeros_like(weight, dtype=torch.float32)
            size = weight.shape[0]
            sums = torch.zeros(2, device=rows.device)  # cross-entropy, log of the softmax's denominators
            chunks = zip(rows.split(CHUNK_ROWS), targets_N.split(CHUNK_ROWS), grad_rows.split(CHUNK_ROWS), strict=True)
            for chunk, targets, grad_chunk in chunks:
                logits = chunk @ weight.t()
                gradient = torch.softmax(logits, dim=1)
                places = torch.arange(len(chunk), device=chunk.device) * size + targets  # of the references among all elements
                log_chosen = gradient.view(-1)[places].float().clamp_min(1e-38).log()
                sums += torch.stack([-log_chosen.sum(), (logits.view(-1)[places].float() - log_chosen).sum()])
                # d loss / d logits = softmax - (1 - smoothing) [target] - smoothing / V; the last, constant term is added below
                gradient.view(-1)[places] += smoothing - 1
                torch.mm(gradient, weight, out=grad_chunk)
                grad_weight += gradient.t() @ chunk
            constant = smoothing / size
            weight_sum_E, rows_sum_E = weight.sum(0, dtype=torch.float32), rows.sum(0, dtype=torch.float32)
            grad_rows -= constant * weight_sum_E
            grad_weight -= constant * rows_sum_E
            smoothed = (1 - smoothing) * sums[0] + smoothing * sums[1] - constant * torch.dot(rows_sum_E, weight_sum_E)
        ctx.save_for_backward(grad_rows, grad_weight)
        ctx.dtypes = rows_NE.dtype, weight_VE.dtype
        cross_entropy = sums[0].clone()
        ctx.mark_non_differentiable(cross_entropy)
        return smoothed, cross_entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grad_rows, grad_weight = ctx.saved_tensors
        scale = gradients[0]
        return (grad_rows * scale).to(ctx.dtypes[0]), (grad_weight * scale).to(ctx.dtypes[1]), None, None


def compute_dtype(rows: Tensor) -> torch.dtype:
    """What autocast, where it is on, makes products of these rows in."""
    device = rows.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else rows.dtype


def output_loss(rows_NE: Tensor, weight_VE: Tensor, targets_N: Tensor, smoothing: float) -> Loss:
    """Cross-entropy of softmax(rows W^T) with label smoothing (Szegedy et al. 2016, sec. 7), summed over the rows."""
    smoothed, cross_entropy = _OutputLoss.apply(rows_NE, weight_VE, targets_N, smoothing)  # type: ignore[no-untyped-call]
    return Loss(smoothed, cross_entropy)
