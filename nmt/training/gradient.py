"""The gradient of one update: summed over its batches and, where memory does not suffice for a
batch, over parts of it."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.errors import NmtError
from nmt.model.loss import Loss, output_loss
from nmt.model.r_drop import r_drop_loss
from nmt.model.translation import Seq2Seq
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


def batch_loss(model: Seq2Seq, batch: Batch, smoothing: float, r_drop: float = 0.0) -> Loss:
    """The loss summed over a batch's target pieces, padding left out."""
    if r_drop:
        batch = batch.twice()
    vectors_BTE, _ = model(batch)
    mask_BT = batch.output_mask_BT
    rows_NE, targets_N = vectors_BTE[mask_BT], batch.output_BT[mask_BT]
    if r_drop:
        return r_drop_loss(rows_NE, model.output.weight, targets_N, smoothing, r_drop)
    return output_loss(rows_NE, model.output.weight, targets_N, smoothing)


def add_gradients(
    model: Seq2Seq,
    batches: tuple[Batch, ...],
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
            sums = torch.zeros(2, device=model.output.weight.device)
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
            if len(part.output_lengths_B) == 1:
                raise NmtError(_too_small(part)) from None
        model.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        part_pieces = largest // 2


def _add(
    model: Seq2Seq,
    part: Batch,
    pieces: int,
    config: TrainingConfig,
    autocast: Callable[[], torch.autocast],
) -> Tensor:
    with autocast():
        loss = batch_loss(
            model, part.to(model.output.weight.device), config.label_smoothing, config.r_drop
        )
    (loss.smoothed / pieces).backward()
    return torch.stack([loss.smoothed.detach(), loss.cross_entropy]).float()


def _parts(batches: tuple[Batch, ...], part_pieces: int) -> Iterator[Batch]:
    for batch in batches:
        rows = len(batch.output_lengths_B)
        if not rows:
            continue
        parts = min(rows, math.ceil(batch.padded_pieces / part_pieces)) if part_pieces else 1
        step = math.ceil(rows / parts)
        for start in range(0, rows, step):
            yield batch if parts == 1 else batch.part(slice(start, start + step))


def _too_small(pair: Batch) -> str:
    source, target = int(pair.source_lengths_B[0]), int(pair.output_lengths_B[0])
    return (
        f"memory does not suffice to train on one pair of {source} and {target} pieces; lower"
        " data.max_length or model.hidden_size, or use a machine with more memory"
    )
