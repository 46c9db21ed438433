"""What can go wrong with the numbers: diverged training, and updates skipped because a gradient
is not finite."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.errors import NmtError
from nmt.run_folder import RunFolder, update_of
from nmt.training.checkpoint import is_whole, read_state
from nmt.training.plans import PlacedBatches
from nmt.training.state import TrainingState

UPDATES = 50  # that the running mean looks back on
DIVERGED, SETTLED = 0.5, 0.1  # of the way from the lowest loss back to that of guessing
# times the loss of guessing: a new network has 1.0, and the worst learning rate that still learns
# came to 1.9
FAR = 3.0


def watch(state: TrainingState, loss: float) -> None:
    """Takes one update's cross-entropy, nats a piece, into the running mean: mean += (loss -
    mean) / min(n, 50)."""
    count = min(UPDATES, state.update - state.skipped)
    before = loss if state.loss_mean is None else state.loss_mean
    state.loss_mean = before + (loss - before) / max(1, count)
    if count == UPDATES:
        state.loss_lowest = (
            state.loss_mean
            if state.loss_lowest is None
            else min(state.loss_lowest, state.loss_mean)
        )


def way_back(mean: float | None, lowest: float | None, vocabulary: int) -> float:
    """How far the loss has gone back from its lowest, 0, to guessing among all pieces, 1."""
    guessing = math.log(vocabulary)
    return (
        0.0
        if mean is None or lowest is None or lowest >= guessing
        else (mean - lowest) / (guessing - lowest)
    )


def is_far(loss: float, vocabulary: int) -> bool:
    """Whether a loss, nats a piece, is so far above that of guessing, log(pieces), that the
    network is broken."""
    return not loss < FAR * math.log(vocabulary)  # one that is no number is not below anything


def is_diverged(state: TrainingState, vocabulary: int) -> bool:
    """Whether the running mean of the loss is half way back to guessing, or far above it, from
    the first update on."""
    far = state.loss_mean is not None and is_far(state.loss_mean, vocabulary)
    return far or way_back(state.loss_mean, state.loss_lowest, vocabulary) > DIVERGED


def refuse_divergence(state: TrainingState, good: str | None, vocabulary: int) -> None:
    """Raises NmtError where a divergence cannot be answered: a second one in a run, or one
    before the first checkpoint."""
    if state.rolled_back or good is None:
        again = (
            "again, with half the learning rate"
            if state.rolled_back
            else "before the first good checkpoint"
        )
        before = (
            f"{math.log(vocabulary):.2f} by guessing"
            if state.loss_lowest is None
            else f"{state.loss_lowest:.2f} before"
        )
        raise NmtError(
            f"the loss diverged {again} (update {state.update:,}: {state.loss_mean:.4g} nats a"
            f" piece, {before}); lower training.learning_rate or training.clip_norm and choose"
            " another --run"
        )


def last_good(run: Path, vocabulary: int) -> Path | None:
    """The newest whole checkpoint written while the loss was within a tenth of that way."""
    return next(
        (
            folder
            for folder in reversed(RunFolder(run).checkpoints())
            if is_whole(folder) and _is_settled(folder, vocabulary)
        ),
        None,
    )


def last_settled(run: Path, vocabulary: int) -> Path | None:
    """The checkpoint that a divergence would go back to, by its state alone: quicker, for it
    reads no weights."""
    return next(
        (
            folder
            for folder in reversed(RunFolder(run).checkpoints())
            if _is_settled(folder, vocabulary)
        ),
        None,
    )


def remove_after(run: Path, good: Path) -> None:
    """Removes the checkpoints newer than the good one."""
    for folder in RunFolder(run).checkpoints():
        if update_of(folder) > update_of(good):
            shutil.rmtree(folder)


def _is_settled(folder: Path, vocabulary: int) -> bool:
    try:
        state: Mapping[str, Any] = read_state(folder)["state"]
    except (OSError, ValueError):
        return False
    mean = state["loss_mean"]
    return (mean is None or not is_far(mean, vocabulary)) and way_back(
        mean, state["loss_lowest"], vocabulary
    ) <= SETTLED


SKIPS_IN_ROW = 20  # updates without a finite gradient before training gives up
NAMED = 3  # lines in a message about one skipped update


def skip_line(update: int, where: Callable[[int], str], placed: PlacedBatches) -> str:
    """For people, about the update just skipped."""
    rows = placed.rows[:NAMED].tolist()
    more = f" and {len(placed.rows) - NAMED} more" if len(placed.rows) > NAMED else ""
    return (
        f"update {update:,} skipped, its gradient was not finite:"
        f" {grouped([where(row) for row in rows])}{more}"
    )


def refuse_endless_skips(
    skipped_in_row: int, where: Callable[[int], str], placed: PlacedBatches
) -> None:
    """Raises NmtError, which names all lines of the last batch, after too many skipped updates
    in a row."""
    if skipped_in_row >= SKIPS_IN_ROW:
        lines = grouped([where(row) for row in placed.rows.tolist()])
        raise NmtError(
            f"the gradient was not finite in {skipped_in_row} updates in a row; lower"
            " training.learning_rate, train with training.precision = 'fp32', or look at the last"
            f" batch: {lines}"
        )


def grouped(places: Sequence[str]) -> str:
    """`train.nl:3, train.nl:7, more.nl:1` as `train.nl:3,7 more.nl:1`."""
    files: dict[str, list[int]] = {}
    for place in places:
        name, _, number = place.rpartition(":")
        files.setdefault(name, []).append(int(number))
    return " ".join(
        f"{name}:{','.join(map(str, sorted(numbers)))}" for name, numbers in files.items()
    )
