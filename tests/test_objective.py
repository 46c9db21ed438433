import pytest
import torch
from torch.nn import functional

from nmt.training import objective
from nmt.training.objective import output_loss

N, V, E = 7, 11, 5


def example():
    torch.manual_seed(1)
    rows_NE = torch.randn(N, E, dtype=torch.float64, requires_grad=True)
    weight_VE = torch.randn(V, E, dtype=torch.float64, requires_grad=True)
    return rows_NE, weight_VE, torch.randint(0, V, (N,))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [1, 3, 512])
def test_loss_and_gradients_equal_torchs_cross_entropy(monkeypatch, smoothing, chunk):
    monkeypatch.setattr(objective, "CHUNK_ROWS", chunk)
    rows_NE, weight_VE, targets_N = example()
    expected = functional.cross_entropy(rows_NE @ weight_VE.T, targets_N, label_smoothing=smoothing, reduction="sum")
    expected_gradients = torch.autograd.grad(expected, (rows_NE, weight_VE))
    loss = output_loss(rows_NE, weight_VE, targets_N, smoothing)
    gradients = torch.autograd.grad(loss.smoothed, (rows_NE, weight_VE))
    torch.testing.assert_close(loss.smoothed.double(), expected, rtol=1e-5, atol=0)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_cross_entropy_has_no_smoothing_in_it():
    rows_NE, weight_VE, targets_N = example()
    expected = functional.cross_entropy(rows_NE @ weight_VE.T, targets_N, reduction="sum")
    torch.testing.assert_close(output_loss(rows_NE, weight_VE, targets_N, 0.3).cross_entropy.double(), expected, rtol=1e-5, atol=0)


def test_the_gradient_is_scaled_by_what_comes_after():
    rows_NE, weight_VE, targets_N = example()
    once = torch.autograd.grad(output_loss(rows_NE, weight_VE, targets_N, 0.1).smoothed, rows_NE)[0]
    thrice = torch.autograd.grad(3 * output_loss(rows_NE, weight_VE, targets_N, 0.1).smoothed, rows_NE)[0]
    torch.testing.assert_close(thrice, 3 * once)


def test_bf16_stays_near_fp32():
    rows_NE, weight_VE, targets_N = (tensor.float().detach() if tensor.is_floating_point() else tensor for tensor in example())
    with torch.autocast("cpu", torch.bfloat16):
        narrow = output_loss(rows_NE, weight_VE, targets_N, 0.1)
    torch.testing.assert_close(narrow.smoothed, output_loss(rows_NE, weight_VE, targets_N, 0.1).smoothed, rtol=0.02, atol=0)
