r"""Bytes -> lines. Only `\n` or `\r\n` ends a line: U+2028, U+0085 and form feeds are text."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from nmt.errors import NmtError, advice
from nmt.text.formats import refuse_other_formats

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PACKED: Mapping[str, Callable[[Path], Any]] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
LONGEST_LINE = (
    1 << 23
)  # bytes, of a long book; a packed file of a line without end would fill the memory
SEEN = 4096  # bytes that tell what a file is


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
