import pytest
import torch
from instructions import needs_instructions
from torch.nn import functional

from nmt.model import r_drop
from nmt.model.r_drop import _chunk_loss, _compiled_chunk_loss, r_drop_loss

N, V, E = 7, 11, 5


def example():
    torch.manual_seed(1)
    rows_NE = torch.randn(2 * N, E, dtype=torch.float64, requires_grad=True)
    weight_VE = torch.randn(V, E, dtype=torch.float64, requires_grad=True)
    return rows_NE, weight_VE, torch.randint(V, (N,)).repeat(2)


def reference(rows_NE, weight_VE, targets_N, smoothing, alpha):
    """Equation 4 of the paper, halved, by torch's own functions."""
    logits = rows_NE @ weight_VE.t()
    log_p, log_q = torch.log_softmax(logits, dim=1).chunk(2)
    entropy = functional.cross_entropy(
        logits, targets_N, reduction="sum", label_smoothing=smoothing
    )
    forth = functional.kl_div(log_q, log_p, log_target=True, reduction="sum")
    back = functional.kl_div(log_p, log_q, log_target=True, reduction="sum")
    return entropy / 2 + alpha / 4 * (forth + back)


@pytest.mark.parametrize("chunk", [3, 512])
@pytest.mark.parametrize(("smoothing", "alpha"), [(0.0, 0.0), (0.1, 5.0)])
def test_loss_and_gradients_are_those_of_the_equation(monkeypatch, chunk, smoothing, alpha):
    monkeypatch.setattr(r_drop, "CHUNK_ROWS", chunk)
    rows, weight, targets = example()
    loss = r_drop_loss(rows, weight, targets, smoothing, alpha)
    wanted = reference(rows, weight, targets, smoothing, alpha)
    torch.testing.assert_close(loss.smoothed.double(), wanted, rtol=1e-5, atol=1e-5)
    ours = torch.autograd.grad(loss.smoothed / 3, (rows, weight))
    theirs = torch.autograd.grad(wanted / 3, (rows, weight))
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-5)


def test_two_equal_passes_cost_what_one_does():
    rows, weight, targets = example()
    twice = torch.cat([rows[:N], rows[:N]])
    loss = r_drop_loss(twice, weight, targets, 0.1, 5.0)
    wanted = functional.cross_entropy(
        rows[:N] @ weight.t(), targets[:N], reduction="sum", label_smoothing=0.1
    )
    torch.testing.assert_close(loss.smoothed.double(), wanted, rtol=1e-5, atol=1e-5)


def test_the_cross_entropy_is_reported_without_smoothing_and_divergence():
    rows, weight, targets = example()
    loss = r_drop_loss(rows, weight, targets, 0.1, 5.0)
    wanted = functional.cross_entropy(rows @ weight.t(), targets, reduction="sum") / 2
    torch.testing.assert_close(loss.cross_entropy.double(), wanted.detach(), rtol=1e-5, atol=1e-5)


@needs_instructions
@pytest.mark.parametrize("size", [11, 16, 1000])
@pytest.mark.parametrize(("smoothing", "alpha"), [(0.0, 0.0), (0.1, 5.0)])
def test_compiled_gradients_are_those_of_torch_of_the_same_logits(
    size, smoothing, alpha, monkeypatch
):
    torch.manual_seed(2)
    first, second = (3 * torch.randn(2, N, size)).bfloat16()
    targets = torch.randint(size, (N,))
    expected, gradients = _chunk_loss(first.float(), second.float(), targets, smoothing, alpha)
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found, compiled = _compiled_chunk_loss(
            first.clone(), second.clone(), targets, smoothing, alpha
        )
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        for ours, theirs in zip(compiled, gradients, strict=True):
            torch.testing.assert_close(ours.float(), theirs, rtol=2**-8, atol=2e-6)


@needs_instructions
def test_the_loss_in_bf16_is_that_of_fp32_to_within_rounding(monkeypatch):
    monkeypatch.setattr(r_drop, "COMPILED_ROWS", 3)
    rows, weight, targets = (
        tensor.detach().float() if tensor.is_floating_point() else tensor for tensor in example()
    )
    results = []
    for dtype_is_narrow in (False, True):
        leaves = rows.clone().requires_grad_(), weight.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype_is_narrow):
            loss = r_drop_loss(*leaves, targets, 0.1, 5.0)
        results.append((loss.smoothed, *torch.autograd.grad(loss.smoothed, leaves)))
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).norm() < 0.02 * theirs.norm()
