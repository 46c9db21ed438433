"""The gradient of one update: summed over its batches and, where memory does not suffice for a
batch, over parts of it."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.batches import TrainingBatch
from nmt.errors import NmtError
from nmt.model.loss import Loss
from nmt.model.network import TrainableNetwork
from nmt.recipe import TrainingConfig

OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
)  # what torch's allocators say on a GPU and on a CPU


class Gradient(NamedTuple):
    """What was found beside the gradients themselves, which are the parameters' `grad`."""

    smoothed: float  # loss that was minimised, nats, summed over the pieces
    cross_entropy: float  # nats, summed over the pieces
    # the limit on the padded pieces of a part, smaller than before if memory did not suffice; 0:
    # none
    part_pieces: int


def batch_loss(
    model: TrainableNetwork, batch: TrainingBatch, smoothing: float, r_drop: float = 0.0
) -> Loss:
    """The loss summed over a batch's target pieces, padding left out."""
    return model.loss(batch, smoothing, r_drop)


def add_gradients(
    model: TrainableNetwork,
    batches: tuple[TrainingBatch, ...],
    pieces: int,
    config: TrainingConfig,
    autocast: Callable[[], torch.autocast],
    seed: int,
    part_pieces: int,
) -> Gradient:
    """Adds the gradient of the mean loss a target piece, over `pieces`, to the model's, which must
    be None.

    A batch of more than `part_pieces` padded pieces is computed in parts. If memory does not
    suffice, everything is computed again in parts half as large; no pair is left out.

    Raises:
        NmtError: memory does not suffice for a single pair.
    """
    while True:
        torch.manual_seed(seed)
        part, largest = batches[0], 0
        try:
            sums = torch.zeros(2, device=device_of(model))
            for part in _parts(batches, part_pieces):
                largest = part.padded_pieces
                sums += _add(model, part, pieces, config, autocast)
            smoothed, cross_entropy = sums.tolist()
            return Gradient(smoothed, cross_entropy, part_pieces)
        except (RuntimeError, MemoryError) as error:
            if not isinstance(error, MemoryError) and not any(
                text in str(error) for text in OUT_OF_MEMORY
            ):
                raise
            if part.rows == 1:
                raise NmtError(_too_small(part)) from None
        model.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        part_pieces = largest // 2


def _add(
    model: TrainableNetwork,
    part: TrainingBatch,
    pieces: int,
    config: TrainingConfig,
    autocast: Callable[[], torch.autocast],
) -> Tensor:
    with autocast():
        loss = batch_loss(model, part.to(device_of(model)), config.label_smoothing, config.r_drop)
    (loss.smoothed / pieces).backward()
    return torch.stack([loss.smoothed.detach(), loss.cross_entropy]).float()


def _parts(batches: tuple[TrainingBatch, ...], part_pieces: int) -> Iterator[TrainingBatch]:
    for batch in batches:
        rows = batch.rows
        if not rows:
            continue
        parts = min(rows, math.ceil(batch.padded_pieces / part_pieces)) if part_pieces else 1
        step = math.ceil(rows / parts)
        for start in range(0, rows, step):
            yield batch if parts == 1 else batch.part(slice(start, start + step))


def device_of(model: TrainableNetwork) -> torch.device:
    """Where its weights are."""
    return next(model.parameters()).device


def _too_small(batch: TrainingBatch) -> str:
    return (
        f"memory does not suffice to train on {batch.longest}; lower"
        " data.max_length or model.hidden_size, or use a machine with more memory"
    )
