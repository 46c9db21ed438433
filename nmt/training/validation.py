"""Validation: the loss on the dev set, and BLEU of real beam translations of it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from nmt.data.batches import Batch, batch_order, collate
from nmt.engines.choice import choose_kernels
from nmt.engines.force_decoding import TranslationNetwork
from nmt.engines.packed.network import PackedNetwork
from nmt.engines.plain import PlainNetwork
from nmt.model.translation import Seq2Seq
from nmt.recipe import Recipe, TrainingConfig
from nmt.scoring.bleu import Score, corpus_scores
from nmt.scoring.tokenisers import tokeniser_for
from nmt.text.segments import Lengths
from nmt.text.subwords import SubwordPair
from nmt.training.gradient import batch_loss
from nmt.training.safety import is_far
from nmt.training.state import TrainingState
from nmt.translation.translator import Translator


class Validation(NamedTuple):
    """One look at the dev set."""

    loss: float  # cross-entropy, nats a target piece, without label smoothing
    scores: list[Score]

    def rank(self, select: str, vocabulary: int) -> list[float] | None:
        """What checkpoints are compared by, higher is better: bleu or chrf of the beam translations
        or minus the loss, as selected.

        chrF and then the loss decide between equals: BLEU is 0 until four words in a row are right,
        and always with shorter lines. None where the loss is far above that of guessing among the
        pieces: no score of such a network counts.
        """
        if is_far(self.loss, vocabulary):
            return None
        bleu, chrf = (score.value for score in self.scores)
        return [{"bleu": bleu, "chrf": chrf, "loss": -self.loss}[select], chrf, -self.loss]


def judge(state: TrainingState, config: TrainingConfig, rank: list[float] | None) -> bool:
    """Whether a validation is the best so far, of equals the later; too many without progress
    halve the learning rate on a plateau."""
    is_best = rank is not None and (state.best_rank is None or rank >= state.best_rank)
    state.stale = 0 if is_best and rank != state.best_rank else state.stale + 1
    if is_best:
        state.best_rank, state.best_update = rank, state.update
    if state.stale and config.schedule == "plateau" and state.stale % config.plateau == 0:
        state.rate_factor /= 2
    return is_best


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

    def validate(
        self, model: Seq2Seq, precision: str, autocast: Callable[[], torch.autocast]
    ) -> Validation:
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
