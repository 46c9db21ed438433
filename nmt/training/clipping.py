"""Gradient clipping, and the health of gradients: exploding and vanishing ones are seen, not guessed."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def clip_gradients(parameters: Iterable[nn.Parameter], clip_norm: float, clip_value: float) -> Tensor:
    """Clips in place: each element to [-clip_value, clip_value] first, then all together to the norm (Pascanu et al. 2013, alg. 1).

    A bound of 0 is no bound. Returns the global L2 norm before clipping; where it is not finite the caller must skip the update.
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
    """The gradient's L2 norm of each layer (a module with parameters of its own), as it stands: after clipping.

    Falling from layer to layer it vanishes, rising it explodes. A parameter that several layers share counts for the first.
    """
    norms: dict[str, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            norms.setdefault(name.rpartition(".")[0], []).append(parameter.grad)
    return {name: float(torch.nn.utils.get_total_norm(gradients)) for name, gradients in norms.items()}
