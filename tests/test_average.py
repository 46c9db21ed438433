import pytest
import torch
from torch import nn

from nmt.engines.export import mean_of
from nmt.training.optimizer import WeightAverage


def test_the_average_follows_its_definition():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, decay=0.5)
    expected = 0.0
    for update, weight in enumerate([1.0, 2.0, 4.0], 1):
        model.weight.data.fill_(weight)
        average.update()
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * weight
        assert float(average.values[0]) == pytest.approx(expected)


def test_swapping_twice_changes_nothing():
    model = nn.Linear(2, 2)
    average = WeightAverage(model, decay=0.9)
    before = model.weight.detach().clone()
    model.weight.data.add_(1)
    average.swap()
    torch.testing.assert_close(model.weight.detach(), before)
    average.swap()
    torch.testing.assert_close(model.weight.detach(), before + 1)


def test_the_mean_of_checkpoints_is_taken_tensor_by_tensor():
    mean = mean_of([{"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([3.0, 6.0])}])
    assert mean["a"].tolist() == [2.0, 4.0]
