"""Settings that change nothing beside the others: refused, for whoever wrote them expects
something of them."""

from collections.abc import Iterator
from dataclasses import fields

from nmt.errors import NmtError
from nmt.recipe import Recipe, SubwordsConfig, TrainingConfig

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
