"""What a recipe will cost on this machine: measured on a few updates, before the time is spent."""

import resource
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from nmt.data.batches import batch_order, collate
from nmt.defaults import default_batch_pieces, default_epochs
from nmt.model.translation import Seq2Seq
from nmt.recipe import Recipe
from nmt.text.subwords import train_subword_pair
from nmt.training.loop import Learner, make_optimizer, train_updates
from nmt.training.optimizer import make_average
from nmt.training.plans import PlacedBatches
from nmt.training.precision import autocast, choose_precision
from nmt.training.state import TrainingState
from nmt.translation.translator import choose_device

TIMED = 3  # updates, after one that warms up


class Estimate(NamedTuple):
    """Figures of a whole run, validations left out."""

    vocabulary: int  # target pieces
    parameters: int
    epochs: int
    updates: int
    seconds: float
    memory: int  # bytes at the peak: of the GPU, otherwise of this process
    device: str


def estimate(recipe: Recipe, sample: Sequence[tuple[str, str]], pairs: int) -> Estimate:
    """Learns subwords from the sample (source, target), makes four real updates on it, and
    scales up to a corpus of `pairs`."""
    config = recipe.training
    subwords = train_subword_pair(sample, recipe.subwords, config.seed)
    sides = [model.encode([pair[side] for pair in sample]) for side, model in enumerate(subwords)]
    lengths = [np.array([len(ids) for ids in side]) for side in sides]
    device = choose_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    model = Seq2Seq(recipe.model, subwords.source.size, subwords.target.size, subwords.joint).to(
        device
    )
    average = make_average(model, config)
    order = batch_order(
        lengths[0], lengths[1], config.batch_pieces or default_batch_pieces(pairs), config.seed, 1
    )
    batches = [
        collate([sides[0][i] for i in rows], [sides[1][i] for i in rows])
        for rows in order[: TIMED + 1]
    ]
    context = autocast(device, choose_precision(config.precision, device))
    feed = (
        PlacedBatches(1, place, False, place, (batch,), order[place])
        for place, batch in enumerate(batches)
    )
    stream = train_updates(
        Learner(model, make_optimizer(model, config), average, TrainingState(), config, context),
        feed,
        100,
    )
    next(stream)
    start = time.perf_counter()
    pieces = sum(update.pieces for update in stream)
    seconds_a_piece = (time.perf_counter() - start) / max(1, pieces)
    epochs = config.epochs or default_epochs(pairs)
    target_pieces = pairs * (float(lengths[1].mean()) + 1)
    updates = round(epochs * len(order) * pairs / len(sample) / config.accumulate)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Estimate(
        subwords.target.size,
        parameters,
        epochs,
        updates,
        seconds_a_piece * target_pieces * epochs,
        _peak_memory(device),
        device.type,
    )


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
