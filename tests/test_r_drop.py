import pytest
import torch
from torch.nn import functional

from nmt.training import r_drop
from nmt.training.r_drop import r_drop_loss

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
    entropy = functional.cross_entropy(logits, targets_N, reduction="sum", label_smoothing=smoothing)
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
    wanted = functional.cross_entropy(rows[:N] @ weight.t(), targets[:N], reduction="sum", label_smoothing=0.1)
    torch.testing.assert_close(loss.smoothed.double(), wanted, rtol=1e-5, atol=1e-5)


def test_the_cross_entropy_is_reported_without_smoothing_and_divergence():
    rows, weight, targets = example()
    loss = r_drop_loss(rows, weight, targets, 0.1, 5.0)
    wanted = functional.cross_entropy(rows @ weight.t(), targets, reduction="sum") / 2
    torch.testing.assert_close(loss.cross_entropy.double(), wanted.detach(), rtol=1e-5, atol=1e-5)
