"""Terms: how certain words of the source must be translated."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.errors import NmtError
from nmt.text.lines import plain, read_lines
from nmt.text.markup import ENTITY, Span

FLAGS = ("case", "part")


class Term(NamedTuple):
    """A word or words of the source and their translation."""

    source: str
    target: str
    case: bool = False  # capitals must fit
    part: bool = False  # also within a word


def read_terms(path: Path) -> tuple[Term, ...]:
    """The terms of a file: source, target and maybe flags, divided by tabs; blank lines are none.

    Of several targets divided by `|` the first is written. A target that is the source is a term
    that stays as it is. The flags, divided by commas, are `case` and `part`.

    Raises:
        NmtError: a line is no term; the message names file and line.
    """
    terms = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        cells = [plain(cell).strip(" ") for cell in line.split("\t")]
        flags = [each.strip() for each in "".join(cells[2:]).split(",") if each.strip()]
        if not 2 <= len(cells) <= 3 or not all(cells[:2]):
            raise NmtError(
                f"{path}:{number}: expected source, tab, target and maybe flags, got"
                f" {line[:60]!r}; write one term a line"
            )
        if unknown := [flag for flag in flags if flag not in FLAGS]:
            raise NmtError(f"{path}:{number}: unknown flag {unknown[0]!r}; use {', '.join(FLAGS)}")
        target = cells[1].split("|")[0].strip(" ")
        if not target:
            raise NmtError(f"{path}:{number}: the first target is empty, got {line[:60]!r}")
        terms.append(Term(cells[0], target, "case" in flags, "part" in flags))
    return tuple(terms)


def terms_of(pairs: object, where: str) -> tuple[Term, ...]:
    """Terms given as source -> target.

    Raises:
        NmtError: not an object of texts; the message begins with `where`.
    """
    if not isinstance(pairs, Mapping) or not all(
        isinstance(text, str) and text.strip() for pair in pairs.items() for text in pair
    ):
        raise NmtError(
            f'{where}: terms must be an object such as {{"huis": "house"}}, got {str(pairs)[:60]}'
        )
    return tuple(Term(plain(source).strip(), target.strip()) for source, target in pairs.items())


def as_terms(terms: Mapping[str, str] | Sequence[Term]) -> tuple[Term, ...]:
    """The terms, also from source -> target."""
    return terms_of(terms, "terms") if isinstance(terms, Mapping) else tuple(terms)


def find_terms(text: str, terms: Sequence[Term]) -> dict[Span, str]:
    """Where terms stand in a text, and what is to be written there; longer terms first.

    >>> find_terms("De kat ziet de katten.", [Term("kat", "feline")])
    {Span(start=3, end=6, kind='entity'): 'feline'}
    """
    found: dict[Span, str] = {}
    for term in sorted(terms, key=lambda each: -len(each.source)):
        form = re.escape(term.source)
        form = form if term.part else rf"(?<!\w){form}(?!\w)"
        for match in re.finditer(form, text, 0 if term.case else re.IGNORECASE):
            if any(each.start < match.end() and match.start() < each.end for each in found):
                continue
            first = match[0][0].isupper() and term.source[0].islower()
            target = term.target[0].upper() + term.target[1:] if first else term.target
            found[Span(*match.span(), ENTITY)] = target
    return found
