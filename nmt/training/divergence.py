"""Divergence: training that has lost what it had learnt, and the last checkpoint before that."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt.errors import NmtError
from nmt.inference.folder import checkpoints, update_of
from nmt.training.checkpoint import is_whole, read_state
from nmt.training.state import TrainingState

UPDATES = 50  # that the running mean looks back on
DIVERGED, SETTLED = 0.5, 0.1  # of the way from the lowest loss back to that of guessing


def watch(state: TrainingState, loss: float) -> None:
    """Takes one update's cross-entropy, nats a piece, into the running mean: mean += (loss - mean) / min(n, 50)."""
    count = min(UPDATES, state.update - state.skipped)
    before = loss if state.loss_mean is None else state.loss_mean
    state.loss_mean = before + (loss - before) / max(1, count)
    if count == UPDATES:
        state.loss_lowest = state.loss_mean if state.loss_lowest is None else min(state.loss_lowest, state.loss_mean)


def way_back(mean: float | None, lowest: float | None, vocabulary: int) -> float:
    """How far the loss has gone back from its lowest, 0, to guessing among all pieces, 1."""
    guessing = math.log(vocabulary)
    return 0.0 if mean is None or lowest is None or lowest >= guessing else (mean - lowest) / (guessing - lowest)


def is_diverged(state: TrainingState, vocabulary: int) -> bool:
    """Whether the running mean of the loss is half way back to guessing."""
    return way_back(state.loss_mean, state.loss_lowest, vocabulary) > DIVERGED


def refuse_divergence(state: TrainingState, good: str | None) -> None:
    """Raises NmtError where a divergence cannot be answered: a second one in a run, or one before the first checkpoint."""
    if state.rolled_back or good is None:
        again = "again, with half the learning rate" if state.rolled_back else "before the first good checkpoint"
        raise NmtError(
            f"the loss diverged {again} (update {state.update:,}: {state.loss_mean:.2f} nats a piece after {state.loss_lowest:.2f}); "
            "lower training.learning_rate or training.clip_norm and choose another --run"
        )


def last_good(run: Path, vocabulary: int) -> Path | None:
    """The newest whole checkpoint written while the loss was within a tenth of that way."""
    for folder in reversed(checkpoints(run)):
        if is_whole(folder) and _is_settled(read_state(folder)["state"], vocabulary):
            return folder
    return None


def remove_after(run: Path, good: Path) -> None:
    """Removes the checkpoints newer than the good one."""
    for folder in checkpoints(run):
        if update_of(folder) > update_of(good):
            shutil.rmtree(folder)


def _is_settled(state: Mapping[str, Any], vocabulary: int) -> bool:
    return way_back(state["loss_mean"], state["loss_lowest"], vocabulary) <= SETTLED
