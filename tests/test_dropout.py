import pytest
import torch

from nmt.model.dropout import Dropout


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5])
def test_elements_vanish_with_the_given_probability_and_the_rest_keeps_the_mean(probability):
    torch.manual_seed(1)
    n = 100_000
    outputs = Dropout(probability)(torch.ones(n))
    share = float((outputs == 0).float().mean())
    assert abs(share - probability) < 1 / 512 + 4 * (probability * (1 - probability) / n) ** 0.5
    assert float(outputs.mean()) == pytest.approx(1.0, abs=0.02)


def test_neighbours_are_independent():
    torch.manual_seed(1)
    kept = Dropout(0.5)(torch.ones(100_000)) != 0
    both = float((kept[1:] & kept[:-1]).float().mean())
    assert abs(both - 0.25) < 4 * (0.25 * 0.75 / 100_000) ** 0.5


def test_evaluation_and_probability_zero_change_nothing():
    x = torch.randn(3, 5)
    assert Dropout(0.0)(x) is x
    assert Dropout(0.5).eval()(x) is x


def test_the_random_state_decides_the_mask_and_any_size_will_do():
    layer = Dropout(0.5)
    for size in (1, 7, 8, 9):
        torch.manual_seed(3)
        first = layer(torch.ones(size))
        torch.manual_seed(3)
        torch.testing.assert_close(layer(torch.ones(size)), first)


def test_gradients_pass_where_elements_do():
    x = torch.ones(64, requires_grad=True)
    outputs = Dropout(0.5)(x)
    outputs.sum().backward()
    torch.testing.assert_close(x.grad, outputs.detach())


@pytest.mark.parametrize("probability", [1e-6, 0.9999])
def test_extreme_probabilities_neither_drop_all_nor_nothing(probability):
    torch.manual_seed(1)
    kept = Dropout(probability)(torch.ones(100_000)) != 0
    assert 0 < int(kept.sum()) < 100_000
