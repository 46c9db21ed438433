"""One training run from recipe to best model, as a stream of events."""

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from enum import Enum, auto
from pathlib import Path
from typing import Any

import torch

from nmt.errors import NmtError
from nmt.recipe import Recipe
from nmt.run_folder import BEST, LAST, MetricsWriter, RunFolder
from nmt.training.checkpoint import Checkpoint, newest, point, prune
from nmt.training.distributed import Processes, joined
from nmt.training.ending import cut_warmup, is_finished, is_last, is_stale, updates_of_run
from nmt.training.events import (
    Advanced,
    Clock,
    Ended,
    Event,
    Note,
    Report,
    SessionClock,
    Started,
    Validated,
    session_seconds,
)
from nmt.training.fine_tuning import start_from
from nmt.training.idle import refuse_idle
from nmt.training.language_task import LanguageTask
from nmt.training.loop import Learner, Update, make_optimizer, train_updates
from nmt.training.optimizer import layer_norms, learning_rate, make_average
from nmt.training.plans import PlacedBatches
from nmt.training.precision import autocast, choose_precision, described, is_compiled
from nmt.training.safety import (
    is_diverged,
    last_good,
    last_settled,
    refuse_divergence,
    refuse_endless_skips,
    remove_after,
    skip_line,
)
from nmt.training.state import TrainingState, Window
from nmt.training.task import Task
from nmt.training.translation_task import TranslationTask
from nmt.training.validation import Validation, judge
from nmt.translation.translator import choose_device


class _Outcome(Enum):
    """Why the updates have come to an end."""

    FINISHED = auto()
    STOPPED = auto()
    DIVERGED = auto()


def train(
    recipe: Recipe, run: Path, stop: Callable[[], bool] = lambda: False, fit: bool = False
) -> Iterator[Event]:
    """Trains in the run folder until the recipe's last epoch, or until `stop` says so after an
    update; continues where it left off.

    With `fit`, a batch size that the recipe leaves to nmt is what memory suffices for. Started by
    torchrun, the processes train together in one folder; only the first one tells anything.

    Raises:
        NmtError: whatever is wrong with recipe, data, folder or disk.
    """
    clock = SessionClock()
    refuse_idle(recipe)
    device = choose_device(recipe.training.device)
    with ExitStack() as stack:
        processes = stack.enter_context(joined(device))
        if processes.size > 1 and recipe.data.running:
            raise NmtError(
                "data.running trains in one process: the states of its streams are carried on;"
                " start without torchrun"
            )
        kind: type[LanguageTask] | type[TranslationTask] = (
            LanguageTask if recipe.task == "language-model" else TranslationTask
        )
        task: Task | None = None
        if processes.is_first:
            for made in kind.prepare(recipe, run, fit, stack):
                if isinstance(made, str):
                    yield Note(made)
                else:
                    task = made
        processes.share(None, device)  # the others wait for the folder
        if task is None:
            task = kind.open(run)
        events = _Run(task, device, processes, run, stop, clock).events()
        if processes.is_first:
            yield from (Note(line) for line in task.summary)
            yield from events
        else:
            yield from (event for event in events if isinstance(event, Started | Ended))


class _Run:
    """The parts of a run that is going on."""

    def __init__(
        self,
        task: Task,
        device: torch.device,
        processes: Processes,
        run: Path,
        stop: Callable[[], bool],
        session: SessionClock,
    ) -> None:
        self.task, self.config, self.run, self.stop = task, task.recipe.training, run, stop
        self.device, self.processes, self.session = device, processes, session
        # Each shape of a batch has kernels of its own, which oneDNN keeps: 1,024 of them are
        # gigabytes, and making them again costs little.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
        if self.config.threads:
            torch.set_num_threads(self.config.threads)
        torch.manual_seed(self.config.seed)
        self.model = task.network().to(self.device)
        self.optimizer = make_optimizer(self.model, self.config)
        self.average = make_average(self.model, self.config)
        self.state = TrainingState()
        self.checkpoint = Checkpoint(
            self.model, self.optimizer, self.average, self.state, task.carried(device)
        )
        self.updates = updates_of_run(task.updates_in_epoch(), self.config)
        self.saved_at = time.monotonic()

    def events(self) -> Iterator[Event]:
        yield from self._restore()
        if is_finished(self.state, self.config):
            yield self._end(finished=True)
            return
        self.task.begin(self.device)
        self.autocast = autocast(self.device, self.state.precision)
        self.session.begin(self.state, self._where())
        if cut := cut_warmup(self.config, self.updates):
            yield Note(cut)
        yield Started(self._description(), self.state.update, self.updates)
        outcome = yield from self._train()
        while outcome is _Outcome.DIVERGED:
            yield from self._roll_back()
            outcome = yield from self._train()
        yield self._end(finished=outcome is _Outcome.FINISHED)

    def _train(self) -> Generator[Event, None, _Outcome]:
        state = self.state
        if self.processes.is_first:
            self.metrics = MetricsWriter(self.run, state.metrics_bytes)
            if self.metrics.lost:
                lost = (
                    f"{self.metrics.lost:,} bytes shorter than when the checkpoint was written;"
                    " their rows are lost"
                )
                yield Note(f"{self.metrics.path}: {lost}")
        place = state.epoch, state.batch
        with self.task.feed(place, self.processes, self.device) as feed:
            return (yield from self._learn(feed))

    def _learn(self, feed: Iterator[PlacedBatches]) -> Generator[Event, None, _Outcome]:
        state, config = self.state, self.config
        learner = Learner(
            self.model, self.optimizer, self.average, state, config, self.autocast, self.processes
        )
        clock = Clock(state.update)
        for update in train_updates(learner, feed, self.updates):
            clock.count(update.pieces)
            yield Advanced(state.update)
            if state.skipped_in_row:
                refuse_endless_skips(state.skipped_in_row, self.task.where, update.placed)
                yield Note(skip_line(state.update, self.task.where, update.placed))
            at_end = is_last(update.placed, state, config)
            if not at_end and self._is_out_of_time():
                yield Note(
                    f"training.minutes = {config.minutes:g} are over at update {state.update:,} of"
                    f" {self.updates:,}"
                )
                at_end = True
            is_short = (
                at_end and state.update < config.report_every
            )  # a run without any report would have no curves
            if state.update % config.report_every == 0 or is_short:
                yield self._report(update.placed.epoch, clock)
            if is_diverged(state, self.task.vocabulary):
                return _Outcome.DIVERGED
            due = (
                update.placed.last
                if config.validate_every == 0
                else state.update % config.validate_every == 0
            )
            if due or at_end:
                yield from self._validate(update)
                if is_stale(self.state, self.config):
                    yield Note(f"no improvement in {state.stale} validations: stopping early")
                    break
            if at_end:
                break
            stopping = self.processes.total(int(self.stop()), self.device) > 0
            if stopping or time.monotonic() - self.saved_at > 60 * config.save_minutes:
                self._save()
            if stopping:
                return _Outcome.STOPPED
            clock.restart()
        return _Outcome.FINISHED

    def _is_out_of_time(self) -> bool:
        """Whether the limit of minutes is reached, by the first process's clock."""
        minutes = self.config.minutes
        over = self.processes.is_first and self.session.seconds(self.state) >= 60 * minutes
        return minutes > 0 and self.processes.total(int(over), self.device) > 0

    def _restore(self) -> Iterator[Note]:
        name = None
        if self.processes.is_first:
            folder, damaged = newest(self.run)
            for each in damaged:
                yield Note(f"{each}: damaged, not used")
            name = folder and folder.name
        name = self.processes.share(name, self.device)
        if name is None:
            self.state.precision = self.processes.share(
                choose_precision(self.config.precision, self.device), self.device
            )
            self.state.compiled = is_compiled(self.state.precision, self.device)
            if self.config.start_from:
                start_from(self.model, self.average, self.task.recipe)
                yield Note(f"starting from the weights of {self.config.start_from}")
            return
        folder = RunFolder(self.run).checkpoints_folder / name
        self.checkpoint.load(folder)
        best = RunFolder(self.run).checkpoint(self.state.best_update)
        for link, checkpoint in ((LAST, folder), (BEST, best)):
            if (
                checkpoint.exists() and self.processes.is_first
            ):  # a kill may have come between writing a checkpoint and pointing to it
                try:
                    point(self.run, link, checkpoint)
                except NmtError as error:
                    if not is_finished(self.state, self.config):
                        raise
                    yield Note(str(error))
        yield Note(f"continuing after update {self.state.update:,}")
        compiled = is_compiled(self.state.precision, self.device)
        if compiled != self.state.compiled:
            before, now = ("with", "without") if self.state.compiled else ("without", "with")
            yield Note(
                f"begun {before} compiled code, going on {now} it: the result is not that of an"
                " undisturbed run to the bit"
            )
            self.state.compiled = compiled

    def _roll_back(self) -> Iterator[Note]:
        """Back to the last checkpoint before a divergence, with half the learning rate; once in
        a run."""
        at = self.state.update
        good = last_good(self.run, self.task.vocabulary) if self.processes.is_first else None
        name = self.processes.share(good and good.name, self.device)
        refuse_divergence(self.state, name, self.task.vocabulary)
        if good:
            remove_after(self.run, good)
        yield Note(
            f"the loss diverged at update {at:,}: going back to {name} with half the learning rate"
        )
        yield from self._restore()
        self.session.begin(self.state, self._where())
        self.state.rolled_back = True
        self.state.rate_factor /= 2

    def _description(self) -> str:
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return (
            f"{parameters / 1e6:.1f}M parameters, {self.task.counted}, {self.updates:,}"
            f" updates, {self._where()}"
        )

    def _where(self) -> str:
        """What the updates are made on."""
        threads = f", {torch.get_num_threads()} threads" if self.device.type == "cpu" else ""
        processes = f"{self.processes.size} processes, " if self.processes.size > 1 else ""
        return (
            f"{processes}{described(self.state.precision, self.device, self.task.units)}{threads}"
        )

    def _report(self, epoch: int, clock: Clock) -> Report:
        state, window = self.state, self.state.window
        rate = state.rate_factor * learning_rate(self.config, state.update, self.updates)
        speed = clock.pieces_per_second()
        row = {
            "kind": "update", "update": state.update, "epoch": epoch, "learning_rate": rate,
            "loss": window.smoothed_mean, "cross_entropy": window.cross_entropy_mean,
            "gradient_norm": window.norm_mean, "gradient_norm_max": window.norm_max, "clipped_share": window.clipped_share,  # noqa: E501
            "skipped": state.skipped, "layer_norms": layer_norms(self.model), "pieces": state.pieces, "pieces_per_second": round(speed),  # noqa: E501
        }  # fmt: skip
        self._write(row)
        state.window = Window()
        return Report(
            state.update,
            self.updates,
            epoch,
            window,
            rate,
            speed,
            clock.seconds_left(state.update, self.updates),
        )

    def _validate(self, update: Update) -> Iterator[Validated]:
        """The first process looks at the dev set; what follows from its value happens in all."""
        validation = self._look() if self.processes.is_first else None
        rank = validation and validation.rank(self.config.select, self.task.vocabulary)
        is_best = judge(self.state, self.config, self.processes.share(rank, self.device))
        if not validation:
            return
        row = {
            "kind": "validation", "update": self.state.update, "epoch": update.placed.epoch, "cross_entropy": validation.loss,  # noqa: E501
            "scores": [{"metric": score.metric, "value": score.value, "signature": score.signature} for score in validation.scores],  # noqa: E501
            "best": is_best,
        }  # fmt: skip
        self._write(row)
        self._save(is_best)
        yield Validated(self.state.update, update.placed.epoch, validation, is_best)

    def _look(self) -> Validation:
        if self.average:
            self.average.swap()
        validation = self.task.validate(self.model, self.state.precision, self.autocast)
        if self.average:
            self.average.swap()
        return validation

    def _write(self, row: dict[str, Any]) -> None:
        if self.processes.is_first:
            self.state.metrics_bytes = self.metrics.write(row)

    def _save(self, is_best: bool = False) -> None:
        """Writes a checkpoint, and removes old ones; the other processes leave it to the first."""
        self.saved_at = time.monotonic()
        if not self.processes.is_first:
            return
        self.metrics.sync()
        self.session.count(self.state)
        folder = self.checkpoint.save(self.run)
        if is_best:
            point(self.run, BEST, folder)
        prune(self.run, self.config.keep, last_settled(self.run, self.task.vocabulary))

    def _end(self, finished: bool) -> Ended:
        best_value = self.state.best_rank[0] if self.state.best_rank else None
        return Ended(
            self.state.update,
            finished,
            self.state.best_update,
            best_value,
            session_seconds(self.state),
        )
