"""Print a recipe with every key, its meaning and its default: `nmt recipe > RECIPE.toml`, then write your corpora under [data].

The options of nmt train that name data and --set put their values in place.
"""

import argparse

from nmt.commands.recipes import add_recipe_arguments, recipe_or_example


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_recipe_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from nmt.commands.starter import starter_recipe

    print(starter_recipe(recipe_or_example(arguments)), end="")
    return 0
