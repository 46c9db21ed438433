"""Validation: what one look at the dev set found, and whether it is the best so far."""

from typing import NamedTuple

from nmt.recipe import TrainingConfig
from nmt.scoring.bleu import Score
from nmt.training.safety import is_far
from nmt.training.state import TrainingState


class Validation(NamedTuple):
    """One look at the dev set."""

    loss: float  # cross-entropy, nats a target piece, without label smoothing
    scores: list[Score]

    def rank(self, select: str, vocabulary: int) -> list[float] | None:
        """What checkpoints are compared by, higher is better: bleu or chrf of the beam translations
        or minus the loss, as selected.

        chrF and then the loss decide between equals: BLEU is 0 until four words in a row are right,
        and always with shorter lines. None where the loss is far above that of guessing among the
        pieces: no score of such a network counts. Where nothing is translated the loss decides.
        """
        if is_far(self.loss, vocabulary):
            return None
        values = {score.metric: score.value for score in self.scores}
        if "BLEU" not in values:
            return [-self.loss]
        bleu, chrf = values["BLEU"], values["chrF2"]
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
