"""The running average of the weights: smoother than any one checkpoint, and what is validated and kept."""

import torch
from torch import Tensor, nn

from nmt.config import TrainingConfig


class WeightAverage:
    """Exponential moving average (Polyak & Juditsky 1992): average += (1 - d) (weight - average).

    The decay d of update n is min(decay, (1 + n) / (10 + n)), so that the first, random weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = list(model.parameters())
        self.values: list[Tensor] = [parameter.detach().clone() for parameter in self.parameters]
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Takes the weights of one more update in."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.values, [parameter.detach() for parameter in self.parameters], 1 - decay)

    @torch.no_grad()
    def reset(self) -> None:
        """Begins anew with the weights as they are."""
        torch._foreach_copy_(self.values, [parameter.detach() for parameter in self.parameters])
        self.updates = 0

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges the model's weights and the average; a second call exchanges them back."""
        for parameter, value in zip(self.parameters, self.values, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(kept)


def make_average(model: nn.Module, config: TrainingConfig) -> WeightAverage | None:
    """The average that a recipe asks for."""
    return WeightAverage(model, config.average_decay) if config.average_decay else None
