import pytest
import torch
from instructions import needs_instructions
from torch.nn import functional

from nmt.model import loss as objective
from nmt.model.loss import output_loss, softmax_gradient

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
    expected = functional.cross_entropy(
        rows_NE @ weight_VE.T, targets_N, label_smoothing=smoothing, reduction="sum"
    )
    expected_gradients = torch.autograd.grad(expected, (rows_NE, weight_VE))
    loss = output_loss(rows_NE, weight_VE, targets_N, smoothing)
    gradients = torch.autograd.grad(loss.smoothed, (rows_NE, weight_VE))
    torch.testing.assert_close(loss.smoothed.double(), expected, rtol=1e-5, atol=0)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_cross_entropy_has_no_smoothing_in_it():
    rows_NE, weight_VE, targets_N = example()
    expected = functional.cross_entropy(rows_NE @ weight_VE.T, targets_N, reduction="sum")
    torch.testing.assert_close(
        output_loss(rows_NE, weight_VE, targets_N, 0.3).cross_entropy.double(),
        expected,
        rtol=1e-5,
        atol=0,
    )


def test_the_gradient_is_scaled_by_what_comes_after():
    rows_NE, weight_VE, targets_N = example()
    once = torch.autograd.grad(output_loss(rows_NE, weight_VE, targets_N, 0.1).smoothed, rows_NE)[0]
    thrice = torch.autograd.grad(
        3 * output_loss(rows_NE, weight_VE, targets_N, 0.1).smoothed, rows_NE
    )[0]
    torch.testing.assert_close(thrice, 3 * once)


def test_bf16_stays_near_fp32():
    rows_NE, weight_VE, targets_N = (
        tensor.float().detach() if tensor.is_floating_point() else tensor for tensor in example()
    )
    with torch.autocast("cpu", torch.bfloat16):
        narrow = output_loss(rows_NE, weight_VE, targets_N, 0.1)
    torch.testing.assert_close(
        narrow.smoothed, output_loss(rows_NE, weight_VE, targets_N, 0.1).smoothed, rtol=0.02, atol=0
    )


@needs_instructions
@pytest.mark.parametrize("size", [5, 16, 17, 1000])
def test_the_compiled_gradient_is_that_of_the_rounded_logits(size, monkeypatch):
    torch.manual_seed(1)
    logits_NV = (5 * torch.randn(9, size)).bfloat16()
    targets_N = torch.randint(0, size, (9,))
    exact = logits_NV.double().requires_grad_()
    expected = functional.cross_entropy(exact, targets_N, reduction="none")
    chosen = functional.one_hot(targets_N, size)
    softmax = torch.softmax(exact.detach(), dim=1)
    results = []
    for threads in (1, 4, 20):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        results.append(softmax_gradient(logits_NV.clone(), targets_N, 0.1))
    gradient, cross_entropy, log_sums = results[0]
    torch.testing.assert_close(cross_entropy.double(), expected.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(log_sums.double(), exact.detach().logsumexp(1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient.double(), softmax - 0.9 * chosen, rtol=2**-8, atol=1e-6)
    for others in results[1:]:
        assert all(
            torch.equal(ours, theirs) for ours, theirs in zip(others, results[0], strict=True)
        )


@needs_instructions
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_make_a_loss_that_is_not(bad):
    logits_NV = torch.zeros(2, 40, dtype=torch.bfloat16)
    logits_NV[1, 7] = bad
    gradient, cross_entropy, _ = softmax_gradient(logits_NV, torch.tensor([3, 3]), 0.0)
    assert cross_entropy.isfinite().tolist() == [True, False]
    assert gradient.isfinite().all(1).tolist() == [True, False]
