r"""Bytes -> lines. Only `\n` or `\r\n` ends a line: U+2028, U+0085 and form feeds are text."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from nmt.errors import NmtError, advice

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, plain or .gz. Raises NmtError naming the file and the line that is not UTF-8."""
    with open_bytes(path) as stream:
        yield from decode_lines(stream, str(path))


def decode_lines(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of a byte stream, such as `sys.stdin.buffer`; strict as `read_lines`."""
    for number, raw in enumerate(split_lines(stream, name), 1):
        try:
            yield raw.decode()
        except UnicodeDecodeError as error:
            found = f"byte 0x{raw[error.start]:02x} at position {error.start + 1}"
            raise NmtError(f"{name}:{number}: not valid UTF-8, got {found}; convert the file to UTF-8") from None


def lenient_lines(path: Path) -> Iterator[str]:
    """The lines of a file; bytes that are no UTF-8 become lone surrogates (surrogateescape), so that cleaning can name them."""
    with open_bytes(path) as stream:
        for raw in split_lines(stream, str(path)):
            yield raw.decode(errors="surrogateescape")


def split_lines(stream: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Lines without their ends, a byte order mark at the start of the file taken off."""
    first = True
    try:
        for raw in stream:
            line = raw.removesuffix(b"\n").removesuffix(b"\r")
            yield line.removeprefix(BYTE_ORDER_MARK) if first else line
            first = False
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno:
            raise NmtError(f"{name}: cannot be read to its end ({error.strerror}); {advice(error)}") from None
        raise NmtError(f"{name}: cannot be read to its end ({error}); is the file damaged?") from None


def open_bytes(path: Path) -> BinaryIO:
    try:
        return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise NmtError(f"{path}: cannot be opened ({error.strerror}); {advice(error)}") from None
