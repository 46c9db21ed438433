"""The recipe that a command line asks for: of a file, of a run, or the default one with the data
that the options name."""

import argparse
from dataclasses import replace
from pathlib import Path

from nmt.commands.arguments import UsageError
from nmt.errors import NmtError
from nmt.recipe import TASKS, DataConfig, Recipe, default_recipe, load_recipe, with_settings
from nmt.run_folder import RunFolder
from nmt.text.corpus import PARTNER
from nmt.text.places import located, run_folders


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """RECIPE.toml or the options that take its place."""
    parser.add_argument(
        "recipe",
        metavar="RECIPE.toml",
        nargs="?",
        type=Path,
        help="all settings in one file, or a run folder; `nmt recipe` prints one",
    )
    parser.add_argument(
        "--task",
        choices=TASKS,
        help="what is learnt (default: translation); a language model reads text files",
    )
    parser.add_argument(
        "--train",
        metavar="PREFIX",
        action="append",
        help="training corpus: PREFIX.nl and PREFIX.en, or any other format; repeatable",
    )
    parser.add_argument(
        "--dev",
        metavar="PREFIX",
        help="corpus that chooses the best checkpoint; 1000 or 2%%: split so much off --train",
    )
    parser.add_argument("--source", metavar="XX", help="language code translated from")
    parser.add_argument("--target", metavar="YY", help="language code translated into")
    for name, what in (("train", "--train"), ("dev", "--dev")):
        for side in ("source", "target"):
            parser.add_argument(
                f"--{name}-{side}",
                metavar="FILE",
                action="append",
                help=f"in place of {what}: a file of any name, {side} side",
            )
    parser.add_argument(
        "--set",
        metavar="table.key=value",
        action="append",
        default=[],
        help="put one value of the recipe in place; repeatable",
    )


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The recipe of the file, or the default one for the data that the options name; both with
    --set.

    Raises:
        UsageError: too much or too little is given, or --set names no such key.
        NmtError: the file is no recipe.
    """
    train = [*(arguments.train or ()), *_file_pairs(arguments, "train")]
    dev = _dev(arguments)
    options = {"--train": train, "--dev": dev}
    if arguments.task != "language-model":
        options |= {"--source": arguments.source, "--target": arguments.target}
    if arguments.recipe and arguments.task:
        raise UsageError("give either a recipe, which names its task, or --task")
    given = [option for option, value in options.items() if value]
    missing = [option for option, value in options.items() if not value]
    if arguments.recipe and given:
        raise UsageError(
            f"give either a recipe or {', '.join(given)}; to change a recipe's value use --set"
            f" data.{given[0][2:]}=..."
        )
    if not arguments.recipe and missing:
        raise UsageError(f"give a recipe, or {', '.join(missing)}{' as well' if given else ''}")
    path = (
        RunFolder(arguments.recipe).recipe
        if arguments.recipe and arguments.recipe.is_dir()
        else arguments.recipe
    )
    recipe = load_recipe(path) if path else None
    try:
        if recipe is None:
            data = DataConfig(
                train=tuple(train),
                dev=dev,
                source=arguments.source or "",
                target=arguments.target or "",
            )
            recipe = default_recipe(arguments.task or "translation", data)
        recipe = with_settings(_with_free_epochs(recipe, arguments.set), arguments.set)
    except NmtError as error:
        raise UsageError(str(error)) from None
    return located(recipe, run_folders(path)) if path else recipe


def _with_free_epochs(recipe: Recipe, settings: list[str]) -> Recipe:
    """A run's recipe has the epochs that its limit of updates takes; with another limit they are
    found anew."""
    if not recipe.training.updates or not any(
        setting.startswith("training.updates=") for setting in settings
    ):
        return recipe
    return replace(recipe, training=replace(recipe.training, epochs=0))


def _dev(arguments: argparse.Namespace) -> str:
    files = _file_pairs(arguments, "dev")
    if len(files) + bool(arguments.dev) > 1:
        raise UsageError("give one dev set: --dev, or --dev-source and --dev-target once")
    return files[0] if files else arguments.dev or ""


def _file_pairs(arguments: argparse.Namespace, name: str) -> list[str]:
    """SOURCE|TARGET for each pair of files."""
    sources, targets = (getattr(arguments, f"{name}_{side}") or [] for side in ("source", "target"))
    if len(sources) != len(targets):
        raise UsageError(
            f"give as many --{name}-source as --{name}-target, got {len(sources)} and"
            f" {len(targets)}"
        )
    return [f"{source}{PARTNER}{target}" for source, target in zip(sources, targets, strict=True)]


def recipe_or_example(arguments: argparse.Namespace) -> Recipe:
    """The recipe that is asked for, with examples in place of data that are not named."""
    if not arguments.recipe:
        arguments.train = arguments.train or ([] if arguments.train_source else ["text/train"])
        arguments.dev = arguments.dev or ("" if arguments.dev_source else "text/dev")
        if arguments.task != "language-model":
            arguments.source, arguments.target = arguments.source or "nl", arguments.target or "en"
    return recipe_of(arguments)
