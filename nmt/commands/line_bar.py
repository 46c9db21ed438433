"""A bar on a terminal's stderr for work on many lines; messages go above it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from nmt.commands.arguments import log


class LineBar(NamedTuple):
    """How to tell of it."""

    advance: Callable[[int], object]  # by so many lines
    say: Callable[[str], None]  # a message


@contextmanager
def line_bar(shown: bool, total: int | None) -> Iterator[LineBar]:
    """A bar of `total` lines, None where their number is unknown; nothing but messages where it is not to be shown."""
    if not shown:
        yield LineBar(lambda lines: None, log)
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=" lines", dynamic_ncols=True, file=sys.stderr) as bar:
        yield LineBar(bar.update, lambda message: bar.write(f"nmt: {message}", file=sys.stderr))
