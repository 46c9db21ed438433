"""What a training run tells while it goes on."""

from typing import NamedTuple

from nmt.training.state import Window
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
