"""Print a recipe with every key, its meaning and its default: `nmt recipe > RECIPE.toml`, then
write your corpora under [data].

The options of nmt train that name data and --set put their values in place.
"""

import argparse
import ast
import textwrap
from collections.abc import Iterator
from inspect import getsource
from itertools import takewhile

from nmt import recipe as config
from nmt.commands.recipes import add_recipe_arguments, recipe_or_example
from nmt.recipe import TABLES, Recipe
from nmt.recipe_values import toml_value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_recipe_arguments(parser)


def run(arguments: argparse.Namespace) -> int:

    print(starter_recipe(recipe_or_example(arguments)), end="")
    return 0


WIDTH = 100  # of a line of comment


def starter_recipe(recipe: Recipe) -> str:
    """TOML that reads back equal to the recipe, each key below its meaning."""
    meanings = {name: _comments(kind.__name__) for name, kind in TABLES.items()}
    tables = _comments("Recipe")
    lines = [
        "# A recipe of nmt. All keys but those of [data] have their defaults, and can be left out.",
        "",
        f"# {tables['task']}",
        f"task = {toml_value(recipe.task)}",
    ]
    for table in TABLES:
        lines += ["", f"# {tables[table]}", f"[{table}]"]
        for key, meaning in meanings[table].items():
            lines += [*textwrap.wrap(meaning, WIDTH, initial_indent="# ", subsequent_indent="# ")]
            lines += [f"{key} = {toml_value(getattr(getattr(recipe, table), key))}"]
    return "\n".join(lines) + "\n"


def _comments(name: str) -> dict[str, str]:
    """The comment above each field of a dataclass in nmt/recipe.py."""
    return dict(_fields_of(getsource(getattr(config, name))))


def _fields_of(source: str) -> Iterator[tuple[str, str]]:
    lines = source.splitlines()
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.ClassDef)
    for item in definition.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            above = takewhile(is_comment, reversed(lines[: item.lineno - 1]))
            text = [line.strip().removeprefix("#").strip() for line in above]
            yield item.target.id, " ".join(reversed(text))


def is_comment(line: str) -> bool:
    return line.strip().startswith("#")
