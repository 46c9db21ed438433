"""The task of a language model: text in, perplexity and bits per character of the dev text."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from nmt.data.batches import Integers
from nmt.data.text_batches import Carried, Layers, TextBatch, collate_lines
from nmt.model.language_model import LanguageModel, LanguageState
from nmt.model.loss import output_loss
from nmt.recipe import Recipe, TrainingConfig
from nmt.scoring.perplexity import text_scores
from nmt.training.distributed import Processes
from nmt.training.plans import PlacedBatches, Plan, plans, seeds_at, updates_in_epoch
from nmt.training.prefetch import ahead
from nmt.training.prepare import locked
from nmt.training.prepare_text import DevText, TextMaterials, open_text, prepare_text
from nmt.training.task import Autocast
from nmt.training.validation import Validation
from nmt.vocabulary import EOS, PAD

STREAM = 1000  # pieces of the dev text at least that are read in one stretch
STREAMS = 64  # stretches of the dev text that are read side by side at most
STEPS = 200  # positions of the dev text that are computed at once


class LanguageTask:
    """A language model as a Task."""

    def __init__(self, materials: TextMaterials) -> None:
        self.recipe, self.subwords, self.store, self.dev = materials
        self.vocabulary, self.summary = self.subwords.size, self.store.summary
        self.counted = f"{len(self.store.pieces):,} pieces of text"
        self.units = self.recipe.model.hidden_size
        self.states: Carried | None = None

    @classmethod
    def prepare(
        cls, recipe: Recipe, run: Path, fit: bool, stack: ExitStack
    ) -> Iterator["str | LanguageTask"]:
        """A line for each longer step, the task at the end; the folder is locked until the stack
        ends."""
        if note := stack.enter_context(locked(run)):
            yield note
        for made in prepare_text(recipe, run, fit):
            yield cls(made) if isinstance(made, TextMaterials) else made

    @classmethod
    def open(cls, run: Path) -> Self:
        """What another process has prepared."""
        return cls(open_text(run))

    def network(self) -> LanguageModel:
        """A new one, its weights drawn from torch's random numbers."""
        return LanguageModel(self.recipe.model, self.subwords.size)

    def updates_in_epoch(self) -> int:
        """Of any epoch of running text, of the first one of lines."""
        if self.recipe.data.running:
            return windows(len(self.store.pieces), self.recipe).updates
        return updates_in_epoch(_Lines(self.store.lengths), self.recipe.training, epoch=1)

    @contextmanager
    def feed(
        self, place: tuple[int, int], processes: Processes, device: torch.device
    ) -> Iterator[Iterator[PlacedBatches]]:
        """The updates from (epoch, update of the epoch) on, made ahead."""
        if self.recipe.data.running:
            sizes = windows(len(self.store.pieces), self.recipe)
            made = ahead(running_plans(sizes, self.recipe.training, *place), self._window, 1)
            with closing(made):
                yield self._carrying(made, self._states(device))
            return
        lines = plans(_Lines(self.store.lengths), self.recipe.training, *place)
        with closing(ahead(lines, lambda plan: self._lines(plan, processes), 1)) as ready:
            yield ready

    def where(self, row: int) -> str:
        """Where the user's files have this line, or this position of running text."""
        return self.store.where(self.store.row_at(row) if self.recipe.data.running else row)

    def carried(self, device: torch.device) -> Mapping[str, Tensor]:
        """Running text: each layer's states behind the last update."""
        if not self.recipe.data.running:
            return {}
        return {
            f"{number}.{part}": part_BH
            for number, layer in enumerate(self._states(device).after)
            for part, part_BH in enumerate(layer)
        }

    def begin(self, device: torch.device) -> None:
        """Cuts the dev text into batches."""
        self.dev_batches = dev_batches(self.dev, self.recipe, device)

    def validate(self, model: LanguageModel, precision: str, autocast: Autocast) -> Validation:
        """Perplexity a piece and bits per character of the whole dev text, ends of line included
        in both; running text in stretches of at least 1,000 pieces, each from an empty state."""
        training = model.training
        model.eval()
        nats, pieces = 0.0, 0
        with torch.inference_mode(), autocast():
            for group in self.dev_batches:
                state: LanguageState | None = None
                for batch in group:
                    vectors_BTE, state = model(batch.input_BT, state)
                    rows_NE = vectors_BTE[batch.mask_BT]
                    targets_N = batch.output_BT[batch.mask_BT]
                    loss = output_loss(rows_NE, model.output.weight, targets_N, 0.0)
                    nats, pieces = nats + float(loss.cross_entropy), pieces + len(targets_N)
        model.train(training)
        return Validation(nats / pieces, text_scores(nats, pieces, characters(self.dev)))

    def _lines(self, plan: Plan, processes: Processes) -> PlacedBatches:
        """This process's share: every size-th line of each batch."""
        first = plan.place * self.recipe.training.accumulate
        shares = [rows[processes.rank :: processes.size] for rows in plan.batches]
        batches = tuple(collate_lines(self.store.lines(share)) for share in shares)
        rank = [processes.rank] if processes.rank else []
        seed = seeds_at(self.recipe.training.seed, plan.epoch, first, *rank)[3]
        rows = np.concatenate(plan.batches)
        return PlacedBatches(plan.epoch, plan.place, plan.last, seed, batches, rows)

    def _window(self, plan: Plan) -> PlacedBatches:
        (starts_B,) = plan.batches
        width = windows(len(self.store.pieces), self.recipe).width
        places = (starts_B[:, None] + np.arange(width + 1)) % len(self.store.pieces)
        pieces = torch.from_numpy(self.store.pieces[places].astype(np.int64))
        batch = TextBatch(pieces[:, :-1].contiguous(), pieces[:, 1:].contiguous())
        seed = seeds_at(self.recipe.training.seed, plan.epoch, plan.place)[3]
        return PlacedBatches(plan.epoch, plan.place, plan.last, seed, (batch,), starts_B)

    def _carrying(self, feed: Iterable[PlacedBatches], states: Carried) -> Iterator[PlacedBatches]:
        """The batches with the states that the update before has left; an epoch begins with
        none."""
        for placed in feed:
            for before, after in zip(_flat(states.before), _flat(states.after), strict=True):
                before.copy_(after if placed.place else torch.zeros_like(after))
            (batch,) = placed.batches
            assert isinstance(batch, TextBatch)
            yield placed._replace(batches=(batch._replace(carried=states),))

    def _states(self, device: torch.device) -> Carried:
        """Made once: checkpoints and updates share it."""
        if self.states is None:
            with torch.device("meta"):
                shapes = self.network()
            rows = windows(len(self.store.pieces), self.recipe).streams
            before, after = (
                tuple(
                    tuple(torch.zeros(each.shape, device=device) for each in layer)
                    for layer in shapes.initial_state(rows).layers
                )
                for _ in range(2)
            )
            self.states = Carried(before, after)
        return self.states


class Windows(NamedTuple):
    """How running text is cut: into streams read side by side, each into windows."""

    streams: int
    width: int  # pieces of a window
    updates: int  # windows of each stream in an epoch
    pieces: int  # of the whole text


def windows(pieces: int, recipe: Recipe) -> Windows:
    """As many streams as the windows of one update have room for. What is left of a stream behind
    its last window waits for another epoch, whose streams start elsewhere."""
    width = min(recipe.data.window, max(1, pieces - 1))
    streams = max(1, min(recipe.training.batch_pieces // width, pieces // width))
    return Windows(streams, width, max(1, pieces // streams // width), pieces)


def running_plans(sizes: Windows, config: TrainingConfig, epoch: int, place: int) -> Iterator[Plan]:
    """The updates from a place in an epoch on. The text is a ring; each epoch cuts it into streams
    from a random place on, a function of the seed and the epoch."""
    for current in range(epoch, config.epochs + 1):
        start = int(np.random.default_rng((config.seed, current)).integers(sizes.pieces))
        starts_B = start + np.arange(sizes.streams) * (sizes.pieces // sizes.streams)
        for number in range(place, sizes.updates):
            rows = (starts_B + number * sizes.width) % sizes.pieces
            yield Plan(current, number, number == sizes.updates - 1, [rows])
        place = 0


def dev_batches(dev: DevText, recipe: Recipe, device: torch.device) -> list[list[TextBatch]]:
    """The dev text as groups of batches whose states are carried on from one to the next."""
    if not recipe.data.running:
        order = np.argsort([len(ids) for ids in dev.ids], kind="stable")
        size = max(1, recipe.training.batch_pieces // (1 + max(map(len, dev.ids))))
        return [
            [collate_lines([dev.ids[row] for row in order[start : start + size]]).to(device)]
            for start in range(0, len(order), size)
        ]
    pieces = np.array([EOS] + [piece for ids in dev.ids for piece in (*ids, EOS)], np.int64)
    count = len(pieces) - 1  # each but the first, which stands before the text, is to be written
    streams = max(1, min(STREAMS, count // STREAM))
    length = math.ceil(count / streams)
    read, written = (np.full(streams * length, PAD, np.int64) for _ in range(2))
    read[:count], written[:count] = pieces[:-1], pieces[1:]
    input_BT, output_BT = (
        torch.from_numpy(each.reshape(streams, length)) for each in (read, written)
    )
    return [
        [
            TextBatch(input_BT[:, at : at + STEPS], output_BT[:, at : at + STEPS]).to(device)
            for at in range(0, length, STEPS)
        ]
    ]


def characters(dev: DevText) -> int:
    """Of the dev text as its pieces write it, one for each end of line."""
    return sum(len(line) + 1 for line in dev.lines)


class _Lines:
    """Lines as the order of an epoch sees them: pairs whose sides are of the same length."""

    def __init__(self, lengths: Integers) -> None:
        self.source_lengths = self.target_lengths = lengths

    def __len__(self) -> int:
        return len(self.source_lengths)


def _flat(layers: Layers) -> list[Tensor]:
    return [part_BH for layer in layers for part_BH in layer]
