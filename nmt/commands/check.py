"""Look at a recipe and its data before they cost training time.

Reads all of the training and dev data once: what would be left out and why, duplicates, training text in the dev set, swapped languages.
Then makes a few updates on a sample of it, and says how long the training will take on this machine and how much memory.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.config import DataConfig, Recipe, load_recipe, with_settings
from nmt.errors import NmtError

if TYPE_CHECKING:
    from nmt.data.clean import Overlap
    from nmt.data.corpus import Pair

SAMPLE = 100_000  # pairs looked at for swapped languages, and learnt subwords from to measure the cost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE.toml", type=Path)
    parser.add_argument(
        "--set", metavar="table.key=value", action="append", default=[], help="put one value of the recipe in place; repeatable"
    )


def run(arguments: argparse.Namespace) -> int:
    recipe = with_settings(load_recipe(arguments.recipe), arguments.set)
    data = recipe.data
    from nmt.data.clean import Audit, audit_overlap, clean_pairs, swapped_pairs
    from nmt.data.corpus import read_pairs

    print(f"recipe: {arguments.recipe} is sound, {data.source} to {data.target}")
    audit, dev_audit = Audit(), Audit()
    dev = list(clean_pairs(read_pairs(data.dev, data.source, data.target, "dev"), dev_audit))
    pairs = chain.from_iterable(read_pairs(each, data.source, data.target, "train") for each in data.train)
    sample: list[Pair] = []
    overlap = audit_overlap(_sampled(clean_pairs(pairs, audit), sample), dev)
    for name, counted in (("train", audit), ("dev", dev_audit)):
        print(*(f"{name}: {line}" for line in counted.summary()), sep="\n")
        if not counted.kept:
            raise NmtError(f"data.{name}: no pair is left to use; check the files")
    print(*_findings(overlap, swapped_pairs(sample), data), sep="\n")
    _print_cost(recipe, sample, audit.kept)
    return 0


def _print_cost(recipe: Recipe, sample: "list[Pair]", pairs: int) -> None:
    from nmt.data.subwords import default_vocab_size
    from nmt.training.estimate import estimate

    if pairs > len(sample) and not recipe.subwords.vocab_size:
        recipe = replace(recipe, subwords=replace(recipe.subwords, vocab_size=default_vocab_size(pairs)))
    cost = estimate(recipe, [(pair.source, pair.target) for pair in sample], pairs)
    hours, minutes = divmod(round(cost.seconds / 60), 60)
    print(f"network: {cost.parameters / 1e6:.1f}M parameters, {cost.vocabulary:,} pieces")
    duration = f"about {hours}:{minutes:02} hours on {cost.device}, validation left out"
    print(f"training: {cost.epochs} epochs, about {cost.updates:,} updates, {duration}")
    print(f"memory: about {cost.memory / 2**30:.1f} GiB {'of the GPU' if cost.device == 'cuda' else 'of this machine'}")


def _sampled(pairs: "Iterable[Pair]", sample: "list[Pair]") -> "Iterator[Pair]":
    """The pairs, the first of them copied into `sample` as they pass."""
    for pair in pairs:
        if len(sample) < SAMPLE:
            sample.append(pair)
        yield pair


def _findings(overlap: "Overlap", swapped: "list[Pair]", data: DataConfig) -> Iterator[str]:
    """One line for each thing that makes a corpus worse or easier than it looks."""
    if overlap.duplicates:
        yield f"train: {overlap.duplicates:,} pairs have come before"
    if overlap.copies:
        yield f"train: {overlap.copies:,} pairs have the same text on both sides"
    if swapped:
        places = ", ".join(pair.where for pair in swapped[:3])
        yield f"train: {len(swapped):,} of the first {SAMPLE:,} pairs look as if {data.source} and {data.target} were swapped: {places}"
    if overlap.dev_sources:
        count = f"{overlap.dev_sources:,} sources are in train too, {overlap.dev_pairs:,} with the same translation"
        yield f"dev: {count}; scores on them flatter: {', '.join(overlap.examples)}"
    if not (overlap.duplicates or overlap.copies or swapped or overlap.dev_sources):
        yield "train and dev: no duplicates, no overlap, no swapped languages"
