"""R-Drop (Liang et al. 2021): two passes with different dropout shall say the same; its loss,
with its gradients made on the way."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.loss import Loss, compute_dtype, softmax_is_compiled
from nmt.native import RDropArrays, address, functions, threads_for

# some twenty fp32 arrays of this many rows are alive at once; measured fastest of 64 to 512 on a
# CPU core
CHUNK_ROWS = 128
COMPILED_ROWS = 512  # the two arrays of compiled code are of 8 MB each for 8,000 pieces


class _RDropLoss(torch.autograd.Function):
    """Loss and gradients in one pass over row chunks, as in `objective`; both halves of a piece
    are in the same chunk."""

    @staticmethod
    def forward(
        ctx: Any,
        first_NE: Tensor,
        second_NE: Tensor,
        weight_VE: Tensor,
        targets_N: Tensor,
        smoothing: float,
        alpha: float,
    ) -> tuple[Tensor, Tensor]:
        dtype = compute_dtype(first_NE)
        with torch.autocast(first_NE.device.type, enabled=False):
            weight = weight_VE.to(dtype)
            halves = [rows_NE.to(dtype) for rows_NE in (first_NE, second_NE)]
            gradients = [torch.empty_like(rows) for rows in halves]
            grad_weight = torch.zeros_like(weight, dtype=torch.float32)
            sums = torch.zeros(2, device=weight.device)  # loss, cross-entropy
            compiled = softmax_is_compiled(weight)
            chunk_loss, rows_at_once = (
                (_compiled_chunk_loss, COMPILED_ROWS) if compiled else (_chunk_loss, CHUNK_ROWS)
            )
            for start in range(0, len(targets_N), rows_at_once):
                chunk = slice(start, start + rows_at_once)
                first, second = (rows[chunk] @ weight.t() for rows in halves)
                parts, grad_logits = chunk_loss(first, second, targets_N[chunk], smoothing, alpha)
                sums += parts
                for rows, gradient, grad in zip(halves, gradients, grad_logits, strict=True):
                    torch.mm(grad, weight, out=gradient[chunk])
                    grad_weight += grad.t() @ rows[chunk]
        ctx.save_for_backward(*gradients, grad_weight)
        ctx.dtypes = first_NE.dtype, weight_VE.dtype
        cross_entropy = sums[1].clone()
        ctx.mark_non_differentiable(cross_entropy)
        return sums[0].clone(), cross_entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        first, second, grad_weight = ctx.saved_tensors
        scale, (rows_dtype, weight_dtype) = gradients[0], ctx.dtypes
        return (
            (first * scale).to(rows_dtype),
            (second * scale).to(rows_dtype),
            (grad_weight * scale).to(weight_dtype),
            None,
            None,
            None,
        )


def _chunk_loss(
    first_CV: Tensor, second_CV: Tensor, targets_C: Tensor, smoothing: float, alpha: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """((loss, cross-entropy), gradients by both logits).

    With p = softmax(first), q = softmax(second) and d = log p - log q, the gradient of KL(p || q)
    by the first logits is p (d - KL(p || q)), that of KL(q || p) is p - q.
    """
    log_p, log_q = (
        torch.log_softmax(first_CV.float(), dim=1),
        torch.log_softmax(second_CV.float(), dim=1),
    )
    p, q, difference = log_p.exp(), log_q.exp(), log_p - log_q
    kl_pq, kl_qp = (p * difference).sum(1, keepdim=True), -(q * difference).sum(1, keepdim=True)
    places = targets_C[:, None]
    chosen = -0.5 * (log_p.gather(1, places) + log_q.gather(1, places)).sum()
    spread = -0.5 * (log_p.mean(1) + log_q.mean(1)).sum()
    loss = (1 - smoothing) * chosen + smoothing * spread + alpha / 4 * (kl_pq + kl_qp).sum()
    wanted = torch.full_like(p, smoothing / p.shape[1]).scatter_add_(
        1, places, torch.full_like(places, 1 - smoothing, dtype=p.dtype)
    )
    grad_first = 0.5 * (p - wanted) + alpha / 4 * (p * (difference - kl_pq) + p - q)
    grad_second = 0.5 * (q - wanted) + alpha / 4 * (q * (-difference - kl_qp) + q - p)
    return torch.stack([loss, chosen]), (
        grad_first.to(first_CV.dtype),
        grad_second.to(first_CV.dtype),
    )


def _compiled_chunk_loss(
    first_CV: Tensor, second_CV: Tensor, targets_C: Tensor, smoothing: float, alpha: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The same of bf16 logits, the gradients in their place: nmt/native/r_drop.cpp."""
    rows, size = first_CV.shape
    parts_2C = torch.empty(2, rows)
    functions().nmt_r_drop_gradient(
        RDropArrays(
            rows=rows,
            size=size,
            threads=threads_for(rows),
            first=address(first_CV),
            second=address(second_CV),
            targets=address(targets_C),
            loss=address(parts_2C[0]),
            cross_entropy=address(parts_2C[1]),
            smoothing=smoothing,
            alpha=alpha,
        )
    )
    return parts_2C.sum(1), (first_CV, second_CV)


def r_drop_loss(
    rows_NE: Tensor, weight_VE: Tensor, targets_N: Tensor, smoothing: float, alpha: float
) -> Loss:
    """Half of eq. 4: (CE(p) + CE(q)) / 2 + alpha / 4 (KL(p || q) + KL(q || p)), summed over the
    pieces, so that each counts once.

    `rows_NE` holds the first pass of all pieces and then the second one, `targets_N` the references
    twice. With an alpha of 0 it is the mean of both passes' losses.
    """
    half = len(targets_N) // 2
    loss, cross_entropy = _RDropLoss.apply(
        rows_NE[:half], rows_NE[half:], weight_VE, targets_N[:half], smoothing, alpha
    )  # type: ignore[no-untyped-call]
    return Loss(loss, cross_entropy)
