"""argparse with what people need of it: errors that come first and suggest the nearest name, and
help as wide as the terminal."""

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from nmt.recipe import recipe_key

COLUMN = re.compile(" {2,}")  # between a command and what it does


class Help(argparse.RawDescriptionHelpFormatter):
    """Paragraphs are wrapped; lines that begin with `nmt ` are commands, and stay."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            "\n".join(_filled(paragraph.splitlines(), max(20, width - len(indent))))
            for paragraph in text.strip().split("\n\n")
        )


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened options."""

    def __init__(self, **settings: object) -> None:
        super().__init__(allow_abbrev=False, formatter_class=Help, **settings)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Ends with status 2: the error, then where to read on."""
        self.exit(
            2,
            f"{self.prog}: error: {message}{self._suggestion(message)}\nsee: {self.prog} --help\n",
        )

    def parse_command(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The arguments of one command, options and names in any order: `evaluate MODEL --test P
        HYP`."""
        return self.parse_intermixed_args(arguments)

    def parse_global(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The arguments before any command, which end the call: help, the version, or an error
        that names an unknown option itself."""
        if arguments[0].startswith("-") and arguments[0] not in self._option_string_actions:
            self.error(f"unrecognized arguments: {arguments[0]}")
        return self.parse_args(arguments)

    def _suggestion(self, message: str) -> str:
        if found := re.match(r"unrecognized arguments: (?:.* )?(--?[^ =]+)", message):
            key = (
                recipe_key(found[1].lstrip("-").replace("-", "_"))
                if "--set" in self._option_string_actions
                else None
            )
            return (
                f"; did you mean --set {key}=...?"
                if key
                else suggestion(found[1], list(self._option_string_actions))
            )
        if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            return suggestion(found[1], [name.strip("'\" ") for name in found[2].split(",")])
        return ""


def suggestion(name: str, known: Sequence[str]) -> str:
    """The nearest known name, as the end of a message; nothing where none is near."""
    nearest = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def explain(parser: argparse.ArgumentParser) -> NoReturn:
    """Ends a call without any argument as a wrong one, but with all of the help."""
    parser.print_help(sys.stderr)
    parser.exit(2)


def _filled(lines: list[str], width: int) -> list[str]:
    """A paragraph no wider than `width`; what a command does goes below it where both do not fit
    beside one another."""
    found: list[str] = []
    prose: list[str] = []
    for line in [*lines, "nmt "]:
        if not line.startswith("nmt "):
            prose.append(line)
            continue
        found += textwrap.wrap(" ".join(prose), width) if prose else []
        prose = []
        if len(line) <= width:
            found.append(line)
            continue
        command, *rest = COLUMN.split(line, 1)
        found.append(command)
        found += textwrap.wrap(
            " ".join(rest), width, initial_indent="    ", subsequent_indent="    "
        )
    return found[:-1]
