"""Files that may be a stranger's: only regular ones of plausible size are read, and none outside the folder that they belong to."""

import errno
import json
import os
import re
import stat
import tomllib
from io import BufferedReader
from pathlib import Path
from typing import Any

TABLE_BYTES = 1 << 18  # of a recipe or a corpus.toml
JSON_BYTES = 1 << 22  # of the JSON file of a model, a checkpoint or a store
JOINTS = 32  # tomllib's time grows with the cube of the parts of one dotted key, and no file of nmt has more than two
KEY = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_\\-]){KEY}(?:[ \t]*+\.[ \t]*+{KEY}){{{JOINTS}}}")


def open_file(path: Path, limit: int | None = None, within: Path | None = None) -> BufferedReader:
    """A regular file of at most `limit` bytes, open for reading. Links are followed, but not out of the folder `within`.

    Opening never waits, as it would for the writer of a named pipe.

    Raises:
        OSError: it cannot be opened, is larger, no regular file, or elsewhere; `strerror` says which.
    """
    if within is not None and not is_within(path, within):
        raise OSError(errno.ELOOP, f"a link out of the folder, to {os.path.realpath(path)}; put a copy of the file in its place", str(path))
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb")
    try:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if limit is not None and found.st_size > limit:
            raise OSError(errno.EFBIG, f"{found.st_size:,} bytes, but at most {limit:,} make sense here", str(path))
    except BaseException:
        file.close()
        raise
    return file


def is_within(path: Path, folder: Path) -> bool:
    """Whether a path, all links followed, lies in a folder."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def read_file(path: Path, limit: int, within: Path | None = None) -> bytes:
    """The bytes of a file. Raises OSError as `open_file` does."""
    with open_file(path, limit, within) as file:
        return file.read(limit)


def read_any(path: Path, limit: int) -> bytes:
    """The bytes of what the user named, be it a file or a pipe. Raises OSError if there are more of them than `limit`."""
    with open(path, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"more than {limit:,} bytes", str(path))
    return content


def read_json(path: Path, limit: int = JSON_BYTES, within: Path | None = None) -> Any:
    """The value in a JSON file.

    Raises:
        OSError: as of `open_file`.
        ValueError: not JSON.
    """
    return parse_json(read_file(path, limit, within))


def parse_json(text: str | bytes) -> Any:
    """The value that a JSON text stands for. Raises ValueError where Python's parser raises that or gives up."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_toml(path: Path, within: Path | None = None) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        OSError: as of `open_file`.
        ValueError: not TOML.
    """
    return parse_toml(read_file(path, TABLE_BYTES, within).decode("utf-8-sig"))


def parse_toml(text: str) -> dict[str, Any]:
    """The tables that a TOML text stands for. Raises ValueError where Python's parser raises that, gives up, or would take minutes."""
    if LONG_KEY.search(text):
        raise ValueError(f"a key of more than {JOINTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
