"""Lines in, lines out: only `\\n` (or `\\r\\n`) separates lines, and one line in is one line
out, whatever its bytes."""

import fcntl
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from nmt.errors import NmtError
from nmt.text.files import split_lines
from nmt.text.spaces import is_blank

Warn = Callable[[str], None]
Item = TypeVar("Item")

CHUNK_LINES = (
    2000  # read, sorted by length and translated together: memory does not grow with the input
)
CONTROL = re.compile(
    "[\x00-\x08\n-\x1f\x7f]"
)  # a tab is a space; U+0085 and U+2028 are text, as in training
SURROGATE = re.compile("[\ud800-\udfff]")


class Line(NamedTuple):
    """One line to translate: clean text, and for JSON lines the object it came from."""

    text: str  # of JSON, with its line breaks
    fields: dict[str, Any] | None = None
    prefix: str = ""  # what its translation begins with


def clean_lines(
    stream: Iterable[bytes], name: str, warn: Warn, start: int = 0, stop: int | None = None
) -> Iterator[Line]:
    """Plain text: invalid UTF-8 becomes U+FFFD, control characters become spaces, and `warn` hears
    of each such line.

    `start` and `stop` choose lines, counted from 0, as in a slice; the others are skipped unseen.
    """
    for where, text in _decoded(stream, name, warn, start, stop):
        yield Line(_clean(text, where, warn))


def json_lines(
    stream: Iterable[bytes], name: str, warn: Warn, start: int = 0, stop: int | None = None
) -> Iterator[Line]:
    """JSON objects with a "text" and maybe a "prefix", one on each line, cleaned and chosen as
    plain text is; a blank line is kept.

    Raises: NmtError naming the line that is no such object.
    """
    for where, text in _decoded(stream, name, warn, start, stop):
        if is_blank(text):
            yield Line("")
            continue
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NmtError(
                f"{where}: not JSON ({error}); use --format text for plain text"
            ) from None
        if not isinstance(fields, dict) or not isinstance(fields.get("text"), str):
            raise NmtError(
                f'{where}: not a JSON object with a string "text", got {text.strip()[:60]}'
            )
        if not isinstance(prefix := fields.get("prefix", ""), str):
            raise NmtError(
                f'{where}: "prefix" must be a string, got {json.dumps(prefix)[:60]}; leave it out'
                " where nothing is forced"
            )
        lines = fields["text"].replace("\r\n", "\n").split("\n")  # a text may have several
        yield Line(
            "\n".join(_clean(line, where, warn) for line in lines),
            fields,
            _clean(prefix, where, warn),
        )


def dump_json(fields: dict[str, Any]) -> str:
    """One line of JSON that encodes as UTF-8."""
    return SURROGATE.sub(
        lambda match: f"\\u{ord(match[0]):04x}", json.dumps(fields, ensure_ascii=False)
    )


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


class LineWriter:
    """Writes whole lines; `count` of them are out."""

    def __init__(self, stream: IO[bytes], name: str = "") -> None:
        self.count = 0
        self.size = 0
        self._stream = stream
        self._name = name  # for errors that do not name the file themselves

    def write(self, lines: Iterable[str]) -> None:
        """Write and flush. A line break within a line would shift all that follow: it becomes a
        space."""
        encoded = [line.replace("\n", " ").replace("\r", " ").encode() for line in lines]
        content = b"".join(line + b"\n" for line in encoded)
        left = memoryview(content)
        try:
            while left:  # an unbuffered file may take a part
                left = left[self._stream.write(left) :]
            self._stream.flush()
        except OSError as error:
            error.filename = error.filename or self._name or None
            raise
        self.count += len(encoded)
        self.size += len(content)


@contextmanager
def open_writer(path: Path) -> Iterator[LineWriter]:
    """A file that appears under its own name only when it is whole; what broke off stays in
    FILE.partial, in whole lines."""
    if path.parts[:2] == (
        "/",
        "dev",
    ):  # /dev/stdout may be a file that the shell opened to append to
        with path.open(
            "ab", buffering=0
        ) as stream:  # closing a buffer would fail again, without the name
            yield LineWriter(stream, str(path))
        return
    path = path.resolve()
    if path.exists() and not path.is_file():  # a pipe or a device: nothing to rename
        with path.open("wb", buffering=0) as stream:
            yield LineWriter(stream, str(path))
        return
    partial = path.with_name(f"{path.name}.partial")
    with _own(partial) as stream:
        writer = LineWriter(stream, str(partial))
        try:
            yield writer
        except BaseException:
            stream.truncate(writer.size)
            if not writer.count:
                partial.unlink()
            raise
        os.replace(partial, path)


def _own(partial: Path) -> io.FileIO:
    """An empty file that no other process writes; without a buffer, which after a full disk would
    be written behind the cut.

    Raises:
        NmtError: another process writes it.
    """
    while True:
        stream = io.FileIO(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "wb")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise NmtError(
                f"{partial}: another process is writing it; wait until it has finished, or name"
                " another file"
            ) from None
        except OSError:  # a file system without locks
            pass
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), os.stat(partial)):
                stream.truncate(0)
                return stream
        stream.close()  # the other process has just finished, and this is its result


def _decoded(
    stream: Iterable[bytes], name: str, warn: Warn, start: int, stop: int | None
) -> Iterator[tuple[str, str]]:
    """(file:line, text) of each line of a slice."""
    for number, content in islice(enumerate(split_lines(stream, name), start=1), start, stop):
        where = f"{name}:{number}"
        try:
            text = content.decode()
        except UnicodeDecodeError:
            warn(f"{where}: invalid UTF-8; the bytes became U+FFFD")
            text = content.decode(errors="replace")
        yield where, text


def _clean(text: str, where: str, warn: Warn) -> str:
    if SURROGATE.search(text):
        warn(f"{where}: half a surrogate pair; it became U+FFFD")
        text = SURROGATE.sub("\ufffd", text)
    if found := CONTROL.search(text):
        warn(f"{where}: control character U+{ord(found[0]):04X}; all of them became spaces")
        text = CONTROL.sub(" ", text)
    return text
