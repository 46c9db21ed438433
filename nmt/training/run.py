"""One training run from recipe to best model, as a stream of events."""

import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from nmt.config import Recipe
from nmt.data.batches import batch_order
from nmt.data.corpus import read_parallel
from nmt.inference.translator import choose_device
from nmt.model.seq2seq import Seq2Seq
from nmt.training.average import WeightAverage
from nmt.training.checkpoint import Checkpoint, checkpoint_name, newest, point, prune
from nmt.training.clipping import layer_norms
from nmt.training.clock import Clock
from nmt.training.events import Ended, Event, Note, Report, Started, Validated
from nmt.training.feed import placed_batches
from nmt.training.folder import Materials, Metrics, locked, prepare
from nmt.training.loop import Update, make_optimizer, refuse_endless_skips, train_updates
from nmt.training.precision import autocast, choose_precision
from nmt.training.schedule import learning_rate
from nmt.training.state import TrainingState, Window
from nmt.training.validation import Validator


def train(recipe: Recipe, run: Path, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Trains in the run folder until the recipe's last epoch, or until `stop` says so after an update; continues where it left off.

    Raises:
        NmtError: whatever is wrong with recipe, data, folder or disk.
    """
    device, data = choose_device(recipe.training.device), recipe.data
    dev = read_parallel(data.dev, data.source, data.target, "dev")  # before the long steps: a wrong name is told at once
    with locked(run):
        materials = None
        for made in prepare(recipe, run):
            if isinstance(made, Materials):
                materials = made
            else:
                yield Note(made)
        assert materials is not None
        yield from (Note(line) for line in materials.store.summary)
        yield from _Run(materials, dev, device, run, stop).events()


class _Run:
    """The parts of a run that is going on."""

    def __init__(
        self, materials: Materials, dev: tuple[list[str], list[str]], device: torch.device, run: Path, stop: Callable[[], bool]
    ) -> None:
        self.recipe, self.subwords, self.store = materials
        self.config, self.run, self.stop = self.recipe.training, run, stop
        self.dev, self.device = dev, device
        # Each shape of a batch has kernels of its own, which oneDNN keeps: 1,024 of them are gigabytes, and making them again costs little.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
        if self.config.threads:
            torch.set_num_threads(self.config.threads)
        torch.manual_seed(self.config.seed)
        self.model = Seq2Seq(self.recipe.model, self.subwords.source.size, self.subwords.target.size, self.subwords.joint).to(self.device)
        self.optimizer = make_optimizer(self.model, self.config)
        self.average = WeightAverage(self.model, self.config.average_decay) if self.config.average_decay else None
        self.state = TrainingState()
        self.checkpoint = Checkpoint(self.model, self.optimizer, self.average, self.state)
        self.updates = self.config.epochs * len(self._order(1))
        self.saved_at = time.monotonic()

    def events(self) -> Iterator[Event]:
        yield from self._restore()
        state, config = self.state, self.config
        if state.epoch > config.epochs or (config.patience and state.stale >= config.patience):
            yield self._end(finished=True)
            return
        self.validator = Validator(*self.dev, self.subwords, self.recipe, self.device)
        self.metrics = Metrics(self.run, state.metrics_bytes)
        if self.metrics.lost:
            yield Note(
                f"{self.metrics.path}: {self.metrics.lost:,} bytes shorter than when the checkpoint was written; their rows are lost"
            )
        self.autocast = autocast(self.device, state.precision)
        yield Started(self._description())
        batches = placed_batches(self.store, self.subwords, self.recipe, state.epoch, state.batch)
        stream = train_updates(self.model, self.optimizer, self.average, batches, config, state.update + 1, self.updates, self.autocast)
        clock = Clock(state.update)
        for update in stream:
            self._advance(update)
            clock.count(update.pieces)
            if state.update % config.report_every == 0:
                yield self._report(update.placed.epoch, clock)
            at_end = update.placed.last and update.placed.epoch == config.epochs
            due = update.placed.last if config.validate_every == 0 else state.update % config.validate_every == 0
            if due or at_end:
                yield self._validate(update)
                if config.patience and state.stale >= config.patience:
                    yield Note(f"no improvement in {state.stale} validations: stopping early")
                    break
            stopping = self.stop()
            if stopping or time.monotonic() - self.saved_at > 60 * config.save_minutes:
                self._save()
            if stopping and not at_end:
                yield self._end(finished=False)
                return
            clock.restart()
        yield self._end(finished=True)

    def _restore(self) -> Iterator[Note]:
        folder, damaged = newest(self.run)
        for each in damaged:
            yield Note(f"{each}: damaged, not used")
        if folder is None:
            self.state.precision = choose_precision(self.config.precision, self.device)
        else:
            self.checkpoint.load(folder)
            best = folder.with_name(checkpoint_name(self.state.best_update))
            for name, checkpoint in (("last", folder), ("best", best)):
                if checkpoint.exists():  # a kill may have come between writing the checkpoint and pointing to it
                    point(self.run, name, checkpoint)
            yield Note(f"continuing after update {self.state.update:,}")

    def _description(self) -> str:
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        threads = f", {torch.get_num_threads()} threads" if self.device.type == "cpu" else ""
        where = f"{self.device.type} in {self.state.precision}{threads}"
        return f"{parameters / 1e6:.1f}M parameters, {len(self.store):,} pairs, {self.updates:,} updates, {where}"

    def _order(self, epoch: int) -> list[np.ndarray]:
        lengths = self.store.source_lengths, self.store.target_lengths
        return batch_order(*lengths, self.config.batch_pieces, self.config.seed, epoch)

    def _advance(self, update: Update) -> None:
        state, window = self.state, self.state.window
        state.update += 1
        last = update.placed.last
        state.epoch, state.batch = (update.placed.epoch + 1, 0) if last else (update.placed.epoch, update.placed.place + 1)
        state.pieces += update.pieces
        if not math.isfinite(update.norm):
            state.skipped += 1
            state.skipped_in_row += 1
            refuse_endless_skips(state.skipped_in_row, f"epoch {update.placed.epoch}, batch {update.placed.place}")
            return
        state.skipped_in_row = 0
        window.updates += 1
        window.clipped += update.clipped
        window.pieces += update.pieces
        window.smoothed += update.smoothed
        window.cross_entropy += update.cross_entropy
        window.norm_sum += update.norm
        window.norm_max = max(window.norm_max, update.norm)

    def _report(self, epoch: int, clock: Clock) -> Report:
        state, window = self.state, self.state.window
        rate = learning_rate(self.config, state.update, self.updates)
        speed = clock.pieces_per_second()
        row = {
            "kind": "update", "update": state.update, "epoch": epoch, "learning_rate": rate,
            "loss": window.smoothed / max(1, window.pieces), "cross_entropy": window.cross_entropy / max(1, window.pieces),
            "gradient_norm": window.norm_mean, "gradient_norm_max": window.norm_max, "clipped_share": window.clipped_share,
            "skipped": state.skipped, "layer_norms": layer_norms(self.model), "pieces": state.pieces, "pieces_per_second": round(speed),
        }  # fmt: skip
        state.metrics_bytes = self.metrics.write(row)
        state.window = Window()
        return Report(state.update, self.updates, epoch, window, rate, speed, clock.seconds_left(state.update, self.updates))

    def _validate(self, update: Update) -> Validated:
        state = self.state
        if self.average:
            self.average.swap()
        validation = self.validator.validate(self.model, state.precision, self.autocast)
        if self.average:
            self.average.swap()
        value = validation.bleu.value if self.config.select == "bleu" else -validation.loss
        is_best = state.best_value is None or value > state.best_value
        state.stale = 0 if is_best else state.stale + 1
        if is_best:
            state.best_value, state.best_update = value, state.update
        row = {
            "kind": "validation", "update": state.update, "epoch": update.placed.epoch, "cross_entropy": validation.loss,
            "scores": [{"metric": score.metric, "value": score.value, "signature": score.signature} for score in validation.scores],
            "best": is_best,
        }  # fmt: skip
        state.metrics_bytes = self.metrics.write(row)
        folder = self._save()
        if is_best:
            point(self.run, "best", folder)
        prune(self.run, self.config.keep)
        return Validated(state.update, update.placed.epoch, validation, is_best)

    def _save(self) -> Path:
        self.saved_at = time.monotonic()
        self.metrics.sync()
        return self.checkpoint.save(self.run)

    def _end(self, finished: bool) -> Ended:
        return Ended(self.state.update, finished, self.state.best_update, self.state.best_value)
