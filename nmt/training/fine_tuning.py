"""Fine-tuning: training that begins with the weights of another model."""

from dataclasses import asdict
from pathlib import Path

from nmt.errors import NmtError
from nmt.folders import open_folder
from nmt.model.network import TrainableNetwork
from nmt.model.weights import copy_weights, read_weights
from nmt.recipe import ModelConfig, Recipe
from nmt.text.subwords import SubwordPair
from nmt.training.optimizer import WeightAverage

FREE = (
    "dropout",
    "word_dropout",
    "weight_drop",
)  # what may differ between the two models: nothing of it is in the weights


def first_subwords(recipe: Recipe) -> SubwordPair:
    """The subwords of the model that training starts from, after its network has been compared with
    the recipe's.

    Raises:
        NmtError: there is no such model, or it is of another network or vocabulary.
    """
    folder = open_folder(Path(recipe.training.start_from))
    if folder.recipe.task != recipe.task:
        raise NmtError(
            f"{recipe.training.start_from}: cannot start from a model of another task"
            f" ({folder.recipe.task} there, {recipe.task} here); name another model"
        )
    refuse_other_network(recipe.training.start_from, folder.recipe.model, recipe.model)
    size = folder.subwords.source.size
    if recipe.subwords.vocab_size not in (0, size):
        raise NmtError(
            f"subwords.vocab_size is {recipe.subwords.vocab_size}, but {recipe.training.start_from}"
            f" has {size} pieces; leave it out"
        )
    return folder.subwords


def refuse_other_network(name: str, theirs: ModelConfig, ours: ModelConfig) -> None:
    """Raises NmtError if weights of one network do not fit the other."""
    before, now = asdict(theirs), asdict(ours)
    keys = [key for key in before if key not in FREE and before[key] != now[key]]
    if keys:
        different = [f"model.{key} is {before[key]!r} there, {now[key]!r} here" for key in keys]
        raise NmtError(
            f"{name}: cannot start from another network ({', '.join(different)}); write its values"
            " under [model]"
        )


def start_from(model: TrainableNetwork, average: WeightAverage | None, recipe: Recipe) -> None:
    """Gives model and average the weights of the model that the recipe names: its averaged ones,
    where there are such."""
    folder = open_folder(Path(recipe.training.start_from))
    copy_weights(read_weights(folder.weights, model), model)
    if average:
        average.reset()
