"""Pipes whose writer may pause: what is there is translated, instead of waiting until a whole
chunk has come."""

import os
import select
from collections.abc import Iterator

# seconds without another line after which the lines before are translated; a program that writes on
# is faster
PAUSE = 0.05
BLOCK = 1 << 16  # bytes read at once: what a pipe holds


class PipeLines:
    """The lines of a pipe, and whether there is one more by now."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lines: list[bytes] = []  # whole ones, the next one last
        self._rest: list[bytes] = []  # of a line whose end has not come
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while not self._lines and not self._ended:
            self._read()
        if self._lines:
            return self._lines.pop()
        raise StopIteration

    def is_ready(self) -> bool:
        """Whether the next line, or the end of the input, comes within PAUSE seconds."""
        while not self._lines and not self._ended:
            if not select.select([self.descriptor], [], [], PAUSE)[0]:
                return False
            self._read()
        return True

    def _read(self) -> None:
        content = os.read(self.descriptor, BLOCK)
        self._ended = not content
        *lines, rest = content.split(b"\n")
        if lines or self._ended:
            first = b"".join([*self._rest, *lines[:1]])
            self._rest = []
            self._lines = (
                [line + b"\n" for line in (first, *lines[1:])][::-1]
                if lines
                else [first] * bool(first)
            )
        if rest:
            self._rest.append(rest)
