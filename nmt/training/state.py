"""Where training stands: the values that a checkpoint keeps beside its tensors."""

from dataclasses import dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

LARGEST = 2**53  # that a whole number of a state may be; no run counts so far


@dataclass
class Window:
    """Sums over the updates since the last report."""

    updates: int = 0
    clipped: int = 0
    pieces: int = 0
    smoothed: float = 0.0  # loss with label smoothing, nats
    cross_entropy: float = 0.0  # nats
    norm_sum: float = 0.0  # global gradient norms before clipping
    norm_max: float = 0.0

    @property
    def smoothed_mean(self) -> float:
        """Loss with label smoothing, nats a piece."""
        return self.smoothed / max(1, self.pieces)

    @property
    def cross_entropy_mean(self) -> float:
        """Nats a piece."""
        return self.cross_entropy / max(1, self.pieces)

    @property
    def norm_mean(self) -> float:
        """Mean gradient norm before clipping."""
        return self.norm_sum / max(1, self.updates)

    @property
    def clipped_share(self) -> float:
        """Share of the updates whose gradient was clipped, 0 to 1."""
        return self.clipped / max(1, self.updates)


@dataclass
class Session:
    """From one start of the command to its end, or to the checkpoint that the next one went on
    from."""

    started: str  # UTC, ISO 8601
    where: str  # what the updates were made on
    first_update: int  # made by the sessions before
    seconds: float = (
        0.0  # wall time, preparation included; updates that were made again later are not in it
    )


@dataclass
class TrainingState:
    """Where training stands: with the tensors of a checkpoint, all that a continuation needs."""

    update: int = 0  # optimizer updates made or skipped
    epoch: int = 1  # the epoch of the next batch
    batch: int = 0  # the next update's place in its epoch
    pieces: int = 0  # target pieces seen
    skipped: int = 0  # updates left out because the gradient was not finite
    skipped_in_row: int = 0
    best_rank: list[float] | None = (
        None  # of the best validation: selection metric, chrF, minus the loss; higher is better
    )
    best_update: int = 0
    stale: int = 0  # validations since the best one
    precision: str = "fp32"  # chosen once for the whole run
    compiled: bool = False  # whether compiled code took part
    rate_factor: float = (
        1.0  # on the schedule's learning rate: halved at a plateau and after a divergence
    )
    loss_mean: float | None = None  # running mean of the cross-entropy, nats a target piece
    loss_lowest: float | None = None  # that this mean has been at
    rolled_back: bool = False  # whether a divergence has been answered
    part_pieces: int = (
        0  # padded pieces that memory suffices for at once; 0: for every batch so far
    )
    metrics_bytes: int = 0  # length of metrics.jsonl when this was written
    sessions: list[Session] = field(default_factory=list)
    window: Window = field(default_factory=Window)


def fits(value: object, kind: Any) -> bool:
    """Whether a value that was read from JSON is of a type of the classes above: anybody can
    write a state with the right hash."""
    if kind is int:
        return type(value) is int and abs(value) < LARGEST
    if kind is float:
        return type(value) is float or fits(value, int)
    if is_dataclass(kind):
        names = {item.name: item.type for item in fields(kind)}
        return (
            isinstance(value, dict)
            and value.keys() == names.keys()
            and all(fits(value[name], names[name]) for name in names)
        )
    if get_origin(kind) is list:
        return isinstance(value, list) and all(fits(each, get_args(kind)[0]) for each in value)
    if get_origin(kind) is UnionType:
        return any(fits(value, each) for each in get_args(kind))
    return value is None if kind is NoneType else type(value) is kind
