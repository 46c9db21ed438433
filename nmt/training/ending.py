"""When a run ends: by its limits of epochs, updates and minutes, or for want of progress."""

from nmt.recipe import TrainingConfig
from nmt.training.events import session_seconds
from nmt.training.plans import PlacedBatches
from nmt.training.state import TrainingState


def updates_of_run(in_epoch: int, config: TrainingConfig) -> int:
    """How many the epochs of so many have, or the limit of updates where that is less."""
    updates = config.epochs * in_epoch
    return min(updates, config.updates or updates)


def is_finished(state: TrainingState, config: TrainingConfig) -> bool:
    """Whether there is nothing left to do."""
    ended = state.epoch > config.epochs or 0 < config.updates <= state.update
    return ended or 0 < 60 * config.minutes <= session_seconds(state) or is_stale(state, config)


def is_stale(state: TrainingState, config: TrainingConfig) -> bool:
    """Whether too many validations have brought no progress."""
    return config.patience > 0 and state.stale >= config.patience


def is_last(placed: PlacedBatches, state: TrainingState, config: TrainingConfig) -> bool:
    """Whether the update just made is the last one of the epochs, or of the updates."""
    return (placed.last and placed.epoch == config.epochs) or state.update == config.updates


def cut_warmup(config: TrainingConfig, updates: int) -> str:
    """A line about a warm-up that the run has no time for; empty where it has."""
    half = updates // 2
    said = (
        f"training.warmup is {config.warmup:,} of {updates:,} updates: the warm-up ends after"
        f" {half:,}, half of the run"
    )
    return said if config.warmup > half else ""
