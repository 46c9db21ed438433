"""The figures of a run as TensorBoard draws them; `metrics.jsonl` has the same, and is what nmt
itself reads."""

from pathlib import Path
from typing import TYPE_CHECKING

from nmt.errors import NmtError
from nmt.files import writing
from nmt.training.events import Event, Report, Started, Validated

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def scalars(event: Report | Validated) -> dict[str, float]:
    """The figures of an event by their names in TensorBoard; losses in nats a target piece."""
    if isinstance(event, Validated):
        scores = {f"validation/{score.metric}": score.value for score in event.validation.scores}
        return {"validation/cross_entropy": event.validation.loss, **scores}
    window = event.window
    return {
        "train/loss": window.smoothed_mean,
        "train/cross_entropy": window.cross_entropy_mean,
        "train/learning_rate": event.rate,
        "train/gradient_norm": window.norm_mean,
        "train/clipped_share": window.clipped_share,
        "train/pieces_per_second": event.pieces_per_second,
    }


class TensorBoard:
    """The folder that TensorBoard reads."""

    def __init__(self, folder: Path) -> None:
        """Writes nothing yet.

        Raises:
            NmtError: the package is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter as Writer
        except ImportError:
            raise NmtError(
                "--tensorboard needs the package tensorboard; pip install tensorboard"
            ) from None
        self.folder, self.make = folder, Writer
        self.writer: SummaryWriter | None = None
        self.last = (
            0,
            False,
        )  # update and kind of the last figures: an update is reported first, then validated

    def write(self, event: Event) -> None:
        """Writes what is to be drawn of an event.

        Updates that are made again, after a kill or a divergence, are drawn once: TensorBoard drops
        what it had from there on.

        Raises:
            NmtError: the disk is full.
        """
        with writing(self.folder):
            if isinstance(event, Started):
                self._open(event.update + 1)
            if isinstance(event, Report | Validated):
                place = event.update, isinstance(event, Validated)
                if place <= self.last:
                    self._open(event.update)
                self.last = place
                self._write(event)

    def close(self) -> None:
        if self.writer:
            self.writer.close()

    def _open(self, first: int) -> None:
        """A new file of events, from this update on."""
        self.close()
        self.writer = self.make(str(self.folder), purge_step=first)

    def _write(self, event: Report | Validated) -> None:
        assert self.writer
        for name, value in scalars(event).items():
            self.writer.add_scalar(name, value, event.update)
        if isinstance(event, Validated):
            signatures = "\n\n".join(
                f"{score.metric}: {score.signature}" for score in event.validation.scores
            )
            self.writer.add_text("validation/signatures", signatures, event.update)
        self.writer.flush()  # what a checkpoint counts as done is never drawn again
