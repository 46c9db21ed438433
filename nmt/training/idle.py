"""Settings that change nothing beside the others: refused, for whoever wrote them expects
something of them."""

from collections.abc import Iterator
from dataclasses import fields

from nmt.errors import NmtError
from nmt.recipe import DataConfig, ModelConfig, Recipe, SubwordsConfig, TrainingConfig

OF_THE_TEXT = (
    "kind",
    "joint",
    "byte_fallback",
    "character_coverage",
)  # what the subwords of another model have settled


def refuse_idle(recipe: Recipe) -> None:
    """Raises NmtError, naming the first, where a setting has no effect in this combination."""
    for reason in idle_settings(recipe):
        raise NmtError(reason)


def idle_settings(recipe: Recipe) -> Iterator[str]:
    """A line for each setting without effect; one that has its default was not asked for."""
    model, training, subwords = recipe.model, recipe.training, recipe.subwords
    if recipe.task == "language-model":
        yield from _idle_in_language_models(recipe)
    elif recipe.data.running:
        yield "data.running has no effect with task = 'translation'; leave it out"
    if not recipe.data.running and recipe.data.window != DataConfig.window:
        yield (
            f"data.window = {recipe.data.window} has no effect without data.running; leave it out"
        )
    if model.heads > 1 and model.attention == "additive":
        yield (
            f"model.heads = {model.heads} has no effect with model.attention = 'additive', which"
            " has one; set it to 1"
        )
    if training.r_drop and not (model.dropout or model.word_dropout or model.weight_drop):
        yield (
            f"training.r_drop = {training.r_drop:g} has no effect without dropout: both passes are"
            " the same; set model.dropout"
        )
    defaults = {
        field.name: field.default for field in (*fields(TrainingConfig), *fields(SubwordsConfig))
    }
    if training.schedule != "plateau" and training.plateau != defaults["plateau"]:
        yield (
            f"training.plateau = {training.plateau} has no effect with training.schedule ="
            f" {training.schedule!r}; leave it out"
        )
    if training.schedule == "plateau" and 0 < training.patience <= training.plateau:
        patience = f"training.patience = {training.patience} ends the run before the rate is halved"
        yield (
            f"training.plateau = {training.plateau} has no effect: {patience}; raise the patience"
            " above it"
        )
    if not subwords.byte_fallback and subwords.rare_characters not in (
        0,
        defaults["rare_characters"],
    ):
        yield (
            f"subwords.rare_characters = {subwords.rare_characters:g} has no effect without"
            " subwords.byte_fallback; leave it out"
        )
    for key in OF_THE_TEXT if training.start_from else ():
        if getattr(subwords, key) != defaults[key]:
            yield (
                f"subwords.{key} has no effect with training.start_from, whose subwords are taken;"
                " leave it out"
            )


def _idle_in_language_models(recipe: Recipe) -> Iterator[str]:
    """What belongs to a source, to a second side, or to one pass over a batch."""
    of_pairs = {
        "model": (
            recipe.model,
            ModelConfig,
            ("encoder_layers", "attention", "heads", "input_feeding"),
        ),
        "subwords": (
            recipe.subwords,
            SubwordsConfig,
            ("joint", "rare_characters", "sampling", "variety"),
        ),
        "training": (recipe.training, TrainingConfig, ("r_drop",)),
        "data": (recipe.data, DataConfig, ("max_ratio",)),
    }
    for table, (values, kind, keys) in of_pairs.items():
        for key in keys:
            if getattr(values, key) != getattr(kind, key):
                yield (
                    f"{table}.{key} = {getattr(values, key)!r} has no effect with task ="
                    " 'language-model'; leave it out"
                )
    if recipe.data.running and recipe.data.max_length != DataConfig.max_length:
        yield "data.max_length has no effect with data.running, which keeps all lines; leave it out"
    if recipe.data.running and recipe.training.accumulate != 1:
        yield (
            f"training.accumulate = {recipe.training.accumulate} cannot be with data.running, whose"
            " windows follow one another; raise training.batch_pieces instead"
        )
