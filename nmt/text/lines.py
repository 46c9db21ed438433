r"""Lines: from bytes, cleaned, and out again. One line in is one line out, whatever its bytes.

Only `\n` or `\r\n` ends a line: U+2028, U+0085 and form feeds are text. Many ways to write a space,
or nothing at all, look alike and must read alike: the source is read through `plain` in training
and in translation. The target is not: a model may learn to write no-break spaces.
"""

import bz2
import fcntl
import gzip
import io
import json
import lzma
import os
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, TypeVar, cast

from nmt.errors import NmtError, advice
from nmt.text.formats import refuse_other_formats

Warn = Callable[[str], None]
Item = TypeVar("Item")

CHUNK_LINES = (
    2000  # read, sorted by length and translated together: memory does not grow with the input
)
CONTROL = re.compile(
    "[\x00-\x08\n-\x1f\x7f]"
)  # a tab is a space; U+0085 and U+2028 are text, as in training
SURROGATE = re.compile("[\ud800-\udfff]")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PACKED: Mapping[str, Callable[[Path], Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
LONGEST_LINE = (
    1 << 23
)  # bytes, of a long book; a packed file of a line without end would fill the memory
SEEN = 4096  # bytes that tell what a file is
# Tabs, control characters, no-break spaces, the wide space of Chinese and Japanese, line and
# paragraph separators.
SPACES = re.compile("[\x00-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
# Soft hyphens, byte order marks, word joiners, marks of writing direction, invisible operators.
INVISIBLE = re.compile("[\xad\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
# Zero-width spaces and joiners. After Hebrew, Arabic, Indic and South-East Asian letters and in
# emoji they carry meaning, so they stay.
JOINERS = re.compile(
    "(?<![\u0590-\u1dff\u2190-\u2bff\ufe00-\ufe0f\U0001f000-\U0010ffff\u200b-\u200d])[\u200b-\u200d]+"
)


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


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, plain or packed (.gz, .xz, .bz2). Raises NmtError naming the
    file and the line that is not UTF-8."""
    with open_bytes(path) as stream:
        yield from decode_lines(stream, str(path))


def decode_lines(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of a byte stream, such as `sys.stdin.buffer`; strict as `read_lines`."""
    for number, raw in enumerate(split_lines(stream, name), 1):
        try:
            yield raw.decode()
        except UnicodeDecodeError as error:
            found = f"byte 0x{raw[error.start]:02x} at position {error.start + 1}"
            raise NmtError(
                f"{name}:{number}: not valid UTF-8, got {found}; convert the file to UTF-8"
            ) from None


def lenient_lines(path: Path) -> Iterator[str]:
    """The lines of a file; bytes that are no UTF-8 become lone surrogates (surrogateescape), so
    that cleaning can name them."""
    with open_bytes(path) as stream:
        for raw in split_lines(stream, str(path)):
            yield raw.decode(errors="surrogateescape")


def split_lines(stream: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Lines without their ends, a byte order mark at the start of the file taken off."""
    try:
        for number, raw in enumerate(_bounded(stream), 1):
            if len(raw) > LONGEST_LINE:
                advised = (
                    f"a line may have {LONGEST_LINE >> 20} MiB; break it up, or is this no text?"
                )
                raise NmtError(f"{name}:{number}: the line is too long; {advised}")
            line = raw.removesuffix(b"\n").removesuffix(b"\r")
            yield line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno:
            raise NmtError(
                f"{name}: cannot be read to its end ({error.strerror}); {advice(error)}"
            ) from None
        raise NmtError(
            f"{name}: cannot be read to its end ({error}); is the file damaged?"
        ) from None


def _bounded(stream: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a stream, of a longer one than may be the first bytes only."""
    read = getattr(stream, "readline", None)
    return iter(stream) if read is None else iter(lambda: read(LONGEST_LINE + 1), b"")


def open_bytes(path: Path) -> BinaryIO:
    """A file of lines, unpacked while it is read.

    Raises:
        NmtError: it cannot be opened, or is no text.
    """
    stream = open_packed(path)
    try:
        start: bytes = stream.peek(SEEN)[:SEEN]  # type: ignore[attr-defined]  # all of these classes have it
        refuse_other_formats(start, str(path))
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        pass  # reading says it, with the place
    except NmtError:
        stream.close()
        raise
    return stream


def open_packed(path: Path) -> BinaryIO:
    """A file, unpacked while it is read where its name says that it is packed.

    Raises:
        NmtError: it cannot be opened.
    """
    try:
        return (
            cast(BinaryIO, PACKED[path.suffix](path)) if path.suffix in PACKED else path.open("rb")
        )
    except OSError as error:
        raise NmtError(f"{path}: cannot be opened ({error.strerror}); {advice(error)}") from None


def bare(name: str) -> str:
    """The name without the ending that says that the file is packed."""
    return name.removesuffix(Path(name).suffix) if Path(name).suffix in PACKED else name


def plain(text: str) -> str:
    """The text with every kind of space as U+0020, without characters that show nothing,
    composed (Unicode NFC)."""
    if text.isascii():
        return SPACES.sub(" ", text)
    text = INVISIBLE.sub("", SPACES.sub(" ", text))
    return unicodedata.normalize("NFC", JOINERS.sub("", text))


def squeezed(text: str) -> str:
    """A line with single spaces, as pieces write it."""
    return " ".join(part for part in plain(text).split(" ") if part)


def is_blank(text: str) -> bool:
    """Whether a text shows nothing."""
    return not plain(text).strip(" ")
