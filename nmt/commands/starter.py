"""A recipe with every key and what it means, made from the comments beside the fields in `nmt/config.py`."""

import ast
import io
import textwrap
import tokenize
from collections.abc import Iterator
from inspect import getsource

from nmt import config
from nmt.config import TABLES, Recipe, toml_value

WIDTH = 100  # of a line of comment


def starter_recipe(recipe: Recipe) -> str:
    """TOML that reads back equal to the recipe, each key below its meaning."""
    meanings = {name: _comments(kind.__name__) for name, kind in TABLES.items()}
    tables = _comments("Recipe")
    lines = ["# A recipe of nmt. All keys but those of [data] have their defaults, and can be left out."]
    for table in TABLES:
        lines += ["", f"# {tables[table]}", f"[{table}]"]
        for key, meaning in meanings[table].items():
            lines += [*textwrap.wrap(meaning, WIDTH, initial_indent="# ", subsequent_indent="# ")]
            lines += [f"{key} = {toml_value(getattr(getattr(recipe, table), key))}"]
    return "\n".join(lines) + "\n"


def _comments(name: str) -> dict[str, str]:
    """The comment beside each field of a dataclass in config.py."""
    return dict(_fields_of(getsource(getattr(config, name))))


def _fields_of(source: str) -> Iterator[tuple[str, str]]:
    comments = {
        token.start[0]: token.string for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT
    }
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.ClassDef)
    for item in definition.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            lines = range(item.lineno, (item.end_lineno or item.lineno) + 1)
            yield item.target.id, " ".join(comments[line].removeprefix("#").strip() for line in lines if line in comments)
