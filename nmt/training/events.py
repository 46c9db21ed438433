"""What a training run tells while it goes on, and its speed and times."""

import time
from datetime import UTC, datetime
from typing import NamedTuple

from nmt.training.state import Session, TrainingState, Window
from nmt.training.validation import Validation


class Note(NamedTuple):
    """A line for people."""

    text: str


class Started(NamedTuple):
    """The updates begin: from here on there is something to save."""

    text: str
    update: int  # already made, by the run that this one continues
    updates: int = 0  # in the whole run


class Advanced(NamedTuple):
    """One more update."""

    update: int


class Report(NamedTuple):
    """The updates since the last report."""

    update: int
    updates: int  # in the whole run
    epoch: int
    window: Window
    rate: float  # learning rate
    pieces_per_second: float  # target pieces, training time only
    seconds_left: float


class Validated(NamedTuple):
    """One validation of the averaged weights."""

    update: int
    epoch: int
    validation: Validation
    is_best: bool


class Ended(NamedTuple):
    """The last event of a run."""

    update: int
    finished: bool  # False: stopped on request, to be continued by the same command
    best_update: int  # 0: no validation was of use
    best_value: float | None  # of the selection metric
    seconds: float = 0.0  # that the run has taken, all starts of the command together


Event = Note | Started | Advanced | Report | Validated | Ended


class Clock:
    """Speed of the training itself, and the time left at the pace so far, validations included."""

    def __init__(self, update: int) -> None:
        self.first_update, self.start = update, time.monotonic()
        self.pieces, self.busy, self.tick = 0, 0.0, time.monotonic()

    def count(self, pieces: int) -> None:
        """An update has ended."""
        self.pieces += pieces
        self.busy += time.monotonic() - self.tick
        self.tick = time.monotonic()

    def restart(self) -> None:
        """The next update begins."""
        self.tick = time.monotonic()

    def pieces_per_second(self) -> float:
        """Since the last call."""
        speed = self.pieces / max(self.busy, 1e-9)
        self.pieces, self.busy = 0, 0.0
        return speed

    def seconds_left(self, update: int, updates: int) -> float:
        """At the average pace since this process began."""
        return (
            (time.monotonic() - self.start)
            / max(1, update - self.first_update)
            * (updates - update)
        )


def session_seconds(state: TrainingState) -> float:
    """Wall time of all sessions, as the state has it."""
    return sum(each.seconds for each in state.sessions)


class SessionClock:
    """The wall time from one start of the command on, kept in the state, and so with each
    checkpoint."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC).isoformat(
            timespec="microseconds"
        )  # so fine that it names the session
        self.start = time.monotonic()

    def begin(self, state: TrainingState, where: str) -> None:
        """The updates begin, or begin again from a checkpoint of this session."""
        if not state.sessions or state.sessions[-1].started != self.started:
            state.sessions.append(Session(self.started, where, state.update))

    def seconds(self, state: TrainingState) -> float:
        """Wall time of all sessions so far."""
        return session_seconds(state) - state.sessions[-1].seconds + time.monotonic() - self.start

    def count(self, state: TrainingState) -> None:
        """A checkpoint is about to be written."""
        state.sessions[-1].seconds = round(time.monotonic() - self.start, 1)
