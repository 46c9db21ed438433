"""The training loop: batches in, one report an update out."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.model.network import TrainableNetwork
from nmt.recipe import TrainingConfig
from nmt.training.distributed import ALONE, Processes
from nmt.training.gradient import add_gradients, device_of
from nmt.training.optimizer import WeightAverage, clip_gradients, is_clipped, learning_rate
from nmt.training.plans import PlacedBatches
from nmt.training.safety import watch
from nmt.training.state import TrainingState


class Learner(NamedTuple):
    """What training changes, and how."""

    model: TrainableNetwork
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    state: TrainingState
    config: TrainingConfig
    autocast: Callable[[], torch.autocast]
    processes: Processes = ALONE


class Update(NamedTuple):
    """What one update did."""

    placed: PlacedBatches
    pieces: int  # target pieces, of all processes as all that follows
    smoothed: float  # loss with label smoothing, nats, summed over the pieces
    cross_entropy: float  # nats, summed over the pieces
    norm: float  # of the whole gradient before clipping; not finite where the update was skipped
    clipped: bool


def make_optimizer(model: TrainableNetwork, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) with the betas of Vaswani et al. (2017), one fused kernel
    a step."""
    return torch.optim.AdamW(
        model.parameters(),
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        eps=1e-9,
        weight_decay=config.weight_decay,
        fused=True,
    )


def train_updates(
    learner: Learner, feed: Iterator[PlacedBatches], updates: int
) -> Iterator[Update]:
    """Makes one update of each element of the feed, numbered on from `state`, of `updates` in the
    whole run.

    The gradient is that of the mean loss a target piece. One that is not finite is skipped, weights
    and optimizer untouched.
    """
    model, optimizer, average, state, config, autocast, processes = learner
    model.train()
    parameters = list(model.parameters())
    device = device_of(model)
    for placed in feed:
        for group in optimizer.param_groups:
            group["lr"] = state.rate_factor * learning_rate(config, state.update + 1, updates)
        optimizer.zero_grad(set_to_none=True)
        pieces = processes.total(placed.pieces, device)
        gradient = add_gradients(
            model, placed.batches, pieces, config, autocast, placed.seed, state.part_pieces
        )
        smoothed, cross_entropy = _summed(
            processes, parameters, gradient.smoothed, gradient.cross_entropy
        )
        largest = _largest(parameters) if config.clip_value else 0.0
        norm = float(clip_gradients(parameters, config.clip_norm, config.clip_value))
        if math.isfinite(norm):
            optimizer.step()
            if average:
                average.update()
        clipped = is_clipped(norm, largest, config.clip_norm, config.clip_value)
        update = Update(placed, pieces, smoothed, cross_entropy, norm, clipped)
        state.part_pieces = gradient.part_pieces
        _advance(state, update)
        yield update


def _advance(state: TrainingState, update: Update) -> None:
    state.update += 1
    placed, window = update.placed, state.window
    state.epoch, state.batch = (
        (placed.epoch + 1, 0) if placed.last else (placed.epoch, placed.place + 1)
    )
    state.pieces += update.pieces
    if not math.isfinite(update.norm):
        state.skipped += 1
        state.skipped_in_row += 1
        return
    state.skipped_in_row = 0
    watch(state, update.cross_entropy / update.pieces)
    window.updates += 1
    window.clipped += update.clipped
    window.pieces += update.pieces
    window.smoothed += update.smoothed
    window.cross_entropy += update.cross_entropy
    window.norm_sum += update.norm
    window.norm_max = max(window.norm_max, update.norm)


def _summed(
    processes: Processes, parameters: list[torch.nn.Parameter], *sums: float
) -> list[float]:
    """Sums gradients and the numbers over the processes."""
    if processes.size == 1:
        return list(sums)
    for parameter in parameters:
        if parameter.grad is None:  # no rows of this batch were left for this process
            parameter.grad = torch.zeros_like(parameter)
    numbers = torch.tensor(sums, device=parameters[0].device)
    processes.sum([*_gradients(parameters), numbers])
    return numbers.tolist()


def _gradients(parameters: list[torch.nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _largest(parameters: list[torch.nn.Parameter]) -> float:
    return float(torch.stack([gradient.abs().max() for gradient in _gradients(parameters)]).max())
