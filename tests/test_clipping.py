import math

import pytest
import torch
from torch import nn

from nmt.training.optimizer import clip_gradients, is_clipped, layer_norms


def parameters(*gradients):
    made = [nn.Parameter(torch.zeros(len(gradient))) for gradient in gradients]
    for parameter, gradient in zip(made, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    return made


def test_the_norm_is_over_all_parameters_together_and_scaled_to_the_bound():
    first, second = parameters([3.0, 0.0], [0.0, 4.0])
    assert float(clip_gradients([first, second], clip_norm=1.0, clip_value=0.0)) == 5.0
    torch.testing.assert_close(
        torch.cat([first.grad, second.grad]), torch.tensor([0.6, 0.0, 0.0, 0.8])
    )


@pytest.mark.parametrize("clip_norm", [0.0, 5.0, 10.0])
def test_a_gradient_within_the_bound_and_one_without_bound_stay_as_they_are(clip_norm):
    (parameter,) = parameters([3.0, 4.0])
    assert float(clip_gradients([parameter], clip_norm, clip_value=0.0)) == 5.0
    assert parameter.grad.tolist() == pytest.approx([3.0, 4.0], rel=1e-6)


def test_clipping_by_value_bounds_each_element_and_reports_the_norm_before():
    (parameter,) = parameters([3.0, -4.0, 0.5])
    norm = clip_gradients([parameter], clip_norm=0.0, clip_value=1.0)
    assert float(norm) == pytest.approx(math.sqrt(9 + 16 + 0.25))
    assert parameter.grad.tolist() == [1.0, -1.0, 0.5]


def test_by_value_comes_before_by_norm():
    (parameter,) = parameters([100.0, 1.0])
    clip_gradients([parameter], clip_norm=1.0, clip_value=1.0)
    assert parameter.grad.tolist() == pytest.approx([math.sqrt(0.5)] * 2, rel=1e-5)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_broken_gradient_has_a_norm_that_says_so(broken):
    assert not math.isfinite(
        float(clip_gradients(parameters([1.0, broken]), clip_norm=1.0, clip_value=0.0))
    )


@pytest.mark.parametrize(
    ("norm", "largest", "clip_norm", "clip_value", "expected"),
    [(2.0, 2.0, 1.0, 0.0, True), (1.0, 1.0, 1.0, 0.0, False), (2.0, 2.0, 0.0, 0.0, False),
     (2.0, 2.0, 0.0, 1.5, True), (2.0, 1.0, 0.0, 1.5, False)],
)  # fmt: skip
def test_what_counts_as_clipped(norm, largest, clip_norm, clip_value, expected):
    assert is_clipped(norm, largest, clip_norm, clip_value) is expected


def test_layer_norms_are_those_of_each_modules_own_parameters():
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 1))
    for parameter, gradient in zip(model.parameters(), ([[3.0, 4.0]], [[1.0]], [0.0]), strict=True):
        parameter.grad = torch.tensor(gradient)
    assert layer_norms(model) == {"0": 5.0, "1": 1.0}
