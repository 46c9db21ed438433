"""What happens to a gradient on its way to the weights: learning rate, clipping, and the running
average."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nmt.recipe import TrainingConfig


def learning_rate(config: TrainingConfig, update: int, updates: int) -> float:
    """The rate of update 1, 2, ... `updates`: a linear warm-up, then

    cosine        half a cosine down to 1% of the peak at the last update (Loshchilov & Hutter 2017,
    eq. 5)
    inverse-sqrt  proportional to 1 / sqrt(update) (Vaswani et al. 2017, eq. 3)
    constant      the peak
    plateau       the peak, halved by the run where validations stop getting better
    """
    warmup = min(config.warmup, updates // 2)
    if update <= warmup:
        return config.learning_rate * update / warmup
    if config.schedule in ("constant", "plateau"):
        return config.learning_rate
    if config.schedule == "inverse-sqrt":
        return config.learning_rate * math.sqrt(max(warmup, 1) / update)
    share = min(1.0, (update - warmup) / max(1, updates - warmup))
    return config.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)


def clip_gradients(
    parameters: Iterable[nn.Parameter], clip_norm: float, clip_value: float
) -> Tensor:
    """Clips in place: each element to [-clip_value, clip_value] first, then all together to the
    norm (Pascanu et al. 2013, alg. 1).

    A bound of 0 is no bound. Returns the global L2 norm before clipping; where it is not finite the
    caller must skip the update.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if clip_value > 0:
        torch._foreach_clamp_min_(gradients, -clip_value)
        torch._foreach_clamp_max_(gradients, clip_value)
    if clip_norm > 0:
        inner_norm = norm if clip_value == 0 else torch.nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, (clip_norm / (inner_norm + 1e-6)).clamp(max=1.0))
    return norm


def is_clipped(norm: float, largest: float, clip_norm: float, clip_value: float) -> bool:
    """Whether a bound changed the gradient; `largest` is its greatest absolute element."""
    return (clip_norm > 0 and norm > clip_norm) or (clip_value > 0 and largest > clip_value)


def layer_norms(model: nn.Module) -> dict[str, float]:
    """The gradient's L2 norm of each layer (a module with parameters of its own), as it stands:
    after clipping.

    Falling from layer to layer it vanishes, rising it explodes. A parameter that several layers
    share counts for the first.
    """
    norms: dict[str, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            norms.setdefault(name.rpartition(".")[0], []).append(parameter.grad)
    return {
        name: float(torch.nn.utils.get_total_norm(gradients)) for name, gradients in norms.items()
    }


class WeightAverage:
    """Exponential moving average (Polyak & Juditsky 1992): average += (1 - d) (weight - average).

    The decay d of update n is min(decay, (1 + n) / (10 + n)), so that the first, random weights are
    soon forgotten.
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
        torch._foreach_lerp_(
            self.values, [parameter.detach() for parameter in self.parameters], 1 - decay
        )

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
