"""Look at a recipe and its data before they cost training time.

nmt check RECIPE.toml
nmt check RUN                                                       the recipe of a run
nmt check --train PREFIX --dev PREFIX --source nl --target en       the default recipe

Reads all of the training and dev data: what training would leave out and why, duplicates, training
text in the dev set, swapped languages. Then makes a few updates on a sample of it, and says how
long the training will take on this machine and how much memory.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.recipes import add_recipe_arguments, recipe_of
from nmt.errors import NmtError
from nmt.recipe import Recipe

if TYPE_CHECKING:
    from nmt.text.corpus import Pair
    from nmt.text.subwords import SubwordPair

SAMPLE = 100_000  # pairs that the cost is measured on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_recipe_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    recipe = recipe_of(arguments)
    if recipe.task != "translation":
        raise NmtError(f"nmt check looks at pairs, the task is {recipe.task}; train it right away")
    from nmt.data.store import encoded_rows
    from nmt.text.clean import Audit, clean_pairs
    from nmt.training.dev_set import read_dev
    from nmt.training.idle import refuse_idle
    from nmt.training.prepare import clean_training_pairs, watched_training_pairs

    refuse_idle(recipe)
    print(
        f"recipe: {arguments.recipe or 'the default one'} is sound, {recipe.data.source} to"
        f" {recipe.data.target}"
    )
    folder = arguments.recipe if arguments.recipe and arguments.recipe.is_dir() else None
    dev = read_dev(
        recipe.data, folder, clean_training_pairs(recipe, Audit()), seed=recipe.training.seed
    )
    dev_audit, audit = Audit(), Audit()
    sample: list[Pair] = []
    if not list(clean_pairs(dev.located(recipe.data.dev), dev_audit)):
        raise NmtError("data.dev: no pair is left to use; check the files")
    subwords = _subwords(recipe, folder, dev.pairs if dev.is_split else None)
    pairs = _sampled(watched_training_pairs(recipe, audit, dev), sample)
    for _ in encoded_rows(pairs, subwords, recipe.data, audit):
        pass  # the audit counts what training would leave out
    for name, counted in (("train", audit), ("dev", dev_audit)):
        print(
            *(
                line if line.startswith(("train: ", "dev: ")) else f"{name}: {line}"
                for line in counted.summary()
            ),
            sep="\n",
        )
    if not audit.kept:
        raise NmtError("data.train: no pair is left to use; check the files")
    if not audit.remarks:
        print("train and dev: no duplicates, no overlap, no swapped languages")
    _print_cost(recipe, sample, audit.kept)
    return 0


def _subwords(
    recipe: Recipe, run: Path | None, held_out: "tuple[list[str], list[str]] | None"
) -> "SubwordPair":
    """Those of the run, of the model that training starts from, or learnt as training learns
    them."""
    from nmt.text.clean import Audit
    from nmt.text.subwords import SubwordPair, train_subword_pair
    from nmt.training.fine_tuning import first_subwords
    from nmt.training.prepare import clean_training_pairs

    if run:
        return SubwordPair.load(run)
    if recipe.training.start_from:
        return first_subwords(recipe)
    audit = Audit()
    pairs = clean_training_pairs(recipe, audit, held_out)
    try:
        return train_subword_pair(
            ((pair.source, pair.target) for pair in pairs), recipe.subwords, recipe.training.seed
        )
    except NmtError:
        if audit.kept:
            raise
        raise NmtError("data.train: no pair is left to use; check the files") from None


def _print_cost(recipe: Recipe, sample: "list[Pair]", pairs: int) -> None:
    from nmt.defaults import default_vocab_size
    from nmt.training.cost import estimate

    if pairs > len(sample) and not recipe.subwords.vocab_size:
        recipe = replace(
            recipe, subwords=replace(recipe.subwords, vocab_size=default_vocab_size(pairs))
        )
    cost = estimate(recipe, [(pair.source, pair.target) for pair in sample], pairs)
    hours, minutes = divmod(round(cost.seconds / 60), 60)
    print(f"network: {cost.parameters / 1e6:.1f}M parameters, {cost.vocabulary:,} pieces")
    duration = f"about {hours}:{minutes:02} hours on {cost.device}, validation left out"
    print(f"training: {cost.epochs} epochs, about {cost.updates:,} updates, {duration}")
    print(
        f"memory: about {cost.memory / 2**30:.1f} GiB"
        f" {'of the GPU' if cost.device == 'cuda' else 'of this machine'}"
    )


def _sampled(pairs: "Iterable[Pair]", sample: "list[Pair]") -> "Iterator[Pair]":
    """The pairs, the first of them copied into `sample` as they pass."""
    for pair in pairs:
        if len(sample) < SAMPLE:
            sample.append(pair)
        yield pair
