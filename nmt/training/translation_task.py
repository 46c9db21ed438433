"""The task of translation: pairs in, BLEU of beam translations of the dev set."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from nmt.data.batches import Batch, batch_order, collate
from nmt.engines.choice import choose_kernels
from nmt.engines.force_decoding import TranslationNetwork
from nmt.engines.packed.network import PackedNetwork
from nmt.engines.plain import PlainNetwork
from nmt.model.translation import Seq2Seq
from nmt.recipe import Recipe
from nmt.scoring.bleu import corpus_scores
from nmt.scoring.tokenisers import tokeniser_for
from nmt.text.clean import Audit
from nmt.text.segments import Lengths
from nmt.text.subwords import SubwordPair
from nmt.training.dev_set import Dev, keep_dev, read_dev
from nmt.training.distributed import Processes
from nmt.training.gradient import batch_loss
from nmt.training.plans import PlacedBatches, updates_in_epoch
from nmt.training.prefetch import fed_ahead
from nmt.training.prepare import (
    Materials,
    clean_training_pairs,
    locked,
    open_materials,
    prepare,
    training_content,
)
from nmt.training.task import Autocast
from nmt.training.validation import Validation
from nmt.translation.translator import Translator


class TranslationTask:
    """Translation as a Task."""

    def __init__(self, materials: Materials, run: Path, dev: Dev | None) -> None:
        self.recipe, self.subwords, self.store = materials
        self.run, self.dev = run, dev
        self.vocabulary, self.summary = self.subwords.target.size, self.store.summary
        self.counted = f"{len(self.store):,} pairs"
        self.units = self.recipe.model.hidden_size // 2  # of each direction of the encoder

    @classmethod
    def prepare(
        cls, recipe: Recipe, run: Path, fit: bool, stack: ExitStack
    ) -> Iterator["str | TranslationTask"]:
        """A line for each longer step, the task at the end; the folder is locked until the stack
        ends."""
        content, gone = training_content(recipe.data, run)
        pairs = clean_training_pairs(recipe, Audit())
        dev = read_dev(recipe.data, run, pairs, content, recipe.training.seed)
        tokeniser = tokeniser_for(recipe.data.target)
        yield from (line for line in (gone, dev.note, tokeniser.note) if line)
        if note := stack.enter_context(locked(run)):
            yield note
        for made in prepare(recipe, run, fit, dev, content):
            yield cls(made, run, dev) if isinstance(made, Materials) else made
        keep_dev(run, dev)

    @classmethod
    def open(cls, run: Path) -> Self:
        """What another process has prepared; without a dev set, which the first process looks
        at."""
        return cls(open_materials(run), run, None)

    def network(self) -> Seq2Seq:
        """A new one, its weights drawn from torch's random numbers."""
        source, target = self.subwords
        return Seq2Seq(self.recipe.model, source.size, target.size, self.subwords.joint)

    def updates_in_epoch(self) -> int:
        """Of the first epoch; others differ a little."""
        return updates_in_epoch(self.store, self.recipe.training, epoch=1)

    def feed(
        self, place: tuple[int, int], processes: Processes, device: torch.device
    ) -> AbstractContextManager[Iterator[PlacedBatches]]:
        """The updates from (epoch, update of the epoch) on."""
        return fed_ahead(self.store, self.subwords, self.recipe, place, processes, device)

    def where(self, row: int) -> str:
        """Where the user's files have this pair."""
        return self.store.where(row)

    def carried(self, device: torch.device) -> Mapping[str, Tensor]:
        """Nothing goes from one batch to the next."""
        return {}

    def begin(self, device: torch.device) -> None:
        """Encodes the dev set."""
        if self.dev:
            self.validator = Validator(
                *self.dev.pairs, self.subwords, self.recipe, device, Lengths.load(self.run)
            )

    def validate(self, model: Seq2Seq, precision: str, autocast: Autocast) -> Validation:
        """As of Validator."""
        return self.validator.validate(model, precision, autocast)


class Validator:
    """The dev set, encoded once."""

    def __init__(
        self,
        sources: Sequence[str],
        references: Sequence[str],
        subwords: SubwordPair,
        recipe: Recipe,
        device: torch.device,
        lengths: Lengths | None = None,
    ) -> None:
        self.sources, self.references, self.subwords, self.recipe = (
            list(sources),
            list(references),
            subwords,
            recipe,
        )
        self.device, self.lengths = device, lengths
        source_ids, target_ids = (
            subwords.encode_sources(self.sources),
            subwords.target.encode(self.references),
        )
        widths = [np.array([len(ids) for ids in side]) for side in (source_ids, target_ids)]
        order = batch_order(widths[0], widths[1], recipe.training.batch_pieces, seed=0, epoch=0)
        self.batches: list[Batch] = [
            collate([source_ids[i] for i in rows], [target_ids[i] for i in rows]).to(device)
            for rows in order
        ]

    def validate(self, model: Seq2Seq, precision: str, autocast: Autocast) -> Validation:
        """Loss and scores of the model as it stands; its training mode and all random states are
        left as they were."""
        training = model.training
        model.eval()
        with torch.inference_mode(), autocast():
            loss = sum(float(batch_loss(model, batch, 0.0).cross_entropy) for batch in self.batches)
        network: TranslationNetwork[Any] = (
            PackedNetwork(model, choose_kernels(precision))
            if self.device.type == "cpu"
            else PlainNetwork(model, precision)
        )
        translator = Translator(network, self.subwords, self.recipe, self.lengths)
        translations = translator.translate(self.sources)
        model.train(training)
        scores = corpus_scores(
            translations, [self.references], tokeniser=tokeniser_for(self.recipe.data.target).name
        )
        return Validation(loss / sum(batch.pieces for batch in self.batches), scores)
