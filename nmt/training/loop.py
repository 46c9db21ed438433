"""The training loop: batches in, one report an update out."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.config import TrainingConfig
from nmt.data.batches import Batch
from nmt.errors import NmtError
from nmt.model.seq2seq import Seq2Seq
from nmt.training.average import WeightAverage
from nmt.training.clipping import clip_gradients, is_clipped
from nmt.training.feed import PlacedBatch
from nmt.training.objective import Loss, output_loss
from nmt.training.schedule import learning_rate

SKIPS_IN_ROW = 20  # updates without a finite gradient before training gives up


class Update(NamedTuple):
    """What one update did."""

    placed: PlacedBatch
    pieces: int  # target pieces
    smoothed: float  # loss with label smoothing, nats, summed over the pieces
    cross_entropy: float  # nats, summed over the pieces
    norm: float  # of the whole gradient before clipping; not finite where the update was skipped
    clipped: bool


def batch_loss(model: Seq2Seq, batch: Batch, smoothing: float) -> Loss:
    """The loss summed over a batch's target pieces, padding left out."""
    vectors_BTE, _ = model(batch)
    mask_BT = batch.output_mask_BT
    return output_loss(vectors_BTE[mask_BT], model.output.weight, batch.output_BT[mask_BT], smoothing)


def make_optimizer(model: Seq2Seq, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) with the betas of Vaswani et al. (2017), one fused kernel a step."""
    return torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), eps=1e-9, weight_decay=config.weight_decay, fused=True
    )


def train_updates(
    model: Seq2Seq,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage | None,
    batches: Iterator[PlacedBatch],
    config: TrainingConfig,
    first: int,
    updates: int,
    autocast: Callable[[], torch.autocast],
) -> Iterator[Update]:
    """Makes one update a batch, numbered from `first` on, of `updates` in the whole run.

    The gradient is that of the mean loss a target piece. One that is not finite is skipped, weights and optimizer untouched.
    """
    model.train()
    parameters = list(model.parameters())
    device = model.output.weight.device
    for number, placed in enumerate(batches, first):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, number, updates)
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            loss = batch_loss(model, placed.batch.to(device), config.label_smoothing)
        pieces = placed.batch.pieces
        (loss.smoothed / pieces).backward()
        largest = _largest(parameters) if config.clip_value else 0.0
        norm = float(clip_gradients(parameters, config.clip_norm, config.clip_value))
        if math.isfinite(norm):
            optimizer.step()
            if average:
                average.update()
        clipped = is_clipped(norm, largest, config.clip_norm, config.clip_value)
        yield Update(placed, pieces, float(loss.smoothed.detach()), float(loss.cross_entropy), norm, clipped)


def _largest(parameters: list[torch.nn.Parameter]) -> float:
    gradients: list[Tensor] = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return float(torch.stack([gradient.abs().max() for gradient in gradients]).max())


def refuse_endless_skips(skipped_in_row: int, where: str) -> None:
    """Raises NmtError after too many updates in a row whose gradient was not finite."""
    if skipped_in_row >= SKIPS_IN_ROW:
        raise NmtError(
            f"the gradient was not finite in {skipped_in_row} updates in a row (the last batch began at {where}); "
            "lower training.learning_rate, or train with training.precision = 'fp32'"
        )
