"""What callers of the Python API hand over as lines: checked, and texts of several lines taken
apart and put together again."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from typing import Any

from nmt.errors import NmtError


def texts_of(texts: Iterable[str], name: str) -> Iterator[str]:
    """The texts, each a string; `name` is the argument's.

    Raises:
        NmtError: a text in place of several, or something that is no text among them.
    """
    if isinstance(texts, str | bytes):
        raise NmtError(
            f"{name} must be several lines, got the text {texts[:40]!r}; put it in a list"
        )
    if not isinstance(texts, Iterable):
        raise NmtError(f"{name} must be a list of lines, got {texts!r}")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise NmtError(
                f"{name}[{index}] must be a string, got {repr(text)[:60]}; give '' for a blank line"
            )
        yield text


def single_lines(texts: Iterable[str], name: str) -> Iterator[str]:
    """As `texts_of`, without the line ends.

    Raises:
        NmtError: also for a text of several lines.
    """
    for index, text in enumerate(texts_of(texts, name)):
        line = text.rstrip("\r\n")
        if "\n" in line:
            raise NmtError(
                f"{name}[{index}] has a line break inside, got {line[:60]!r}; give each line by"
                " itself"
            )
        yield line


def with_prefixes(
    lines: Iterable[str], prefixes: Iterable[str] | None
) -> Iterator[tuple[str, str]]:
    """Each line with its prefix, "" for none.

    Raises:
        NmtError: not as many prefixes as lines, or as of `single_lines`.
    """
    if prefixes is None:
        yield from ((line, "") for line in lines)
        return
    for number, (line, prefix) in enumerate(
        zip_longest(lines, single_lines(prefixes, "prefixes")), start=1
    ):
        if line is None or prefix is None:
            raise NmtError(
                f"{'prefix' if line is None else 'line'} {number} has no partner; give one prefix"
                " for each line, '' for none"
            )
        yield line, prefix


def split_breaks(pairs: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[int]]:
    """The lines of texts with prefixes, and how many each text has; a text's prefix is that of
    its first line."""
    lines: list[tuple[str, str]] = []
    counts = []
    for text, prefix in pairs:
        parts = text.rstrip("\r\n").replace("\r\n", "\n").split("\n")
        lines += [(part, "" if number else prefix) for number, part in enumerate(parts)]
        counts.append(len(parts))
    return lines, counts


def join_breaks(lines: Iterable[str], counts: Sequence[int]) -> Iterator[str]:
    """The texts that `split_breaks` took apart."""
    each = iter(lines)
    return ("\n".join(islice(each, count)) for count in counts)


def whole_number(value: Any, name: str, advice: str) -> int:
    """The value as Python's own int; numpy's whole numbers are welcome.

    Raises:
        NmtError: it is none.
    """
    try:
        return int(value.__index__())
    except (AttributeError, TypeError):
        raise NmtError(f"{name} must be a whole number, got {value!r}; {advice}") from None
