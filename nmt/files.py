"""Reads files that may be a stranger's, and writes files that are whole or absent."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import tomllib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from nmt.errors import NmtError, advice


def file_hash(path: Path, limit: int | None = None, within: Path | None = None) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises OSError as `open_file` does."""
    with open_file(path, limit, within) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


TABLE_BYTES = 1 << 18  # of a recipe or a corpus.toml
JSON_BYTES = 1 << 22  # of the JSON file of a model, a checkpoint or a store
# tomllib's time grows with the cube of the parts of one dotted key, and no file of nmt has more
# than two
JOINTS = 32
KEY = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_\\-]){KEY}(?:[ \t]*+\.[ \t]*+{KEY}){{{JOINTS}}}")


def open_file(path: Path, limit: int | None = None, within: Path | None = None) -> BufferedReader:
    """A regular file of at most `limit` bytes, open for reading. Links are followed, but not out of
    the folder `within`.

    Opening never waits, as it would for the writer of a named pipe.

    Raises:
        OSError: it cannot be opened, is larger, no regular file, or elsewhere; `strerror` says
            which.
    """
    if within is not None and not is_within(path, within):
        raise OSError(
            errno.ELOOP,
            f"a link out of the folder, to {os.path.realpath(path)}; put a copy of the file in its"
            " place",
            str(path),
        )
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb")
    try:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if limit is not None and found.st_size > limit:
            raise OSError(
                errno.EFBIG,
                f"{found.st_size:,} bytes, but at most {limit:,} make sense here",
                str(path),
            )
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
    """The bytes of what the user named, be it a file or a pipe. Raises OSError if there are more
    of them than `limit`."""
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
    """The value that a JSON text stands for. Raises ValueError where Python's parser raises that
    or gives up."""
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
    """The tables that a TOML text stands for. Raises ValueError where Python's parser raises
    that, gives up, or would take minutes."""
    if LONG_KEY.search(text):
        raise ValueError(f"a key of more than {JOINTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


UNFINISHED = ".writing"  # ends the names of what may be half written
SPACE = (
    "make sure that there is space and that you may write there, then run the same command again"
)
OF_THE_PATH = (
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EROFS,
    errno.EMFILE,
    errno.ENFILE,
)  # not of space


@contextmanager
def writing(path: Path, what: str = "") -> Iterator[None]:
    """Names the file or folder that is being written in whatever goes wrong with the disk.

    Raises:
        NmtError: the disk is full, something else has the name, or the user may not write there.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        advised = (
            advice(error) if isinstance(error, OSError) and error.errno in OF_THE_PATH else SPACE
        )
        raise NmtError(f"{path}: cannot write {what or 'it'} ({reason}); {advised}") from error


def write_atomically(path: Path, text: str) -> None:
    """The file is whole at every moment.

    Raises:
        NmtError: it cannot be written; what was there stays.
    """
    temporary = path.with_name(
        f".{path.name}.{secrets.token_hex(8)}{UNFINISHED}"
    )  # which nobody can have put there as a link
    with writing(path):
        try:
            with open(temporary, "x", encoding="utf-8") as out:
                out.write(text)
            move(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def refuse_links(folder: Path, allowed: Collection[str] = ()) -> None:
    """Nothing in a folder that is to be written in leads out of it: whoever made the folder cannot
    have other files overwritten.

    Raises:
        NmtError: something in it is a link, or neither file nor folder. Links of the `allowed`
            names may lead elsewhere in the folder.
    """
    left = [folder]
    while left:
        for entry in _entries(left.pop()):
            path = Path(entry.path)
            if entry.is_symlink():
                inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
                if path.parent != folder or entry.name not in allowed or not inside:
                    raise NmtError(
                        f"{path}: a link to {os.readlink(path)}; put what it leads to in its place,"
                        " or choose another folder"
                    )
            elif entry.is_dir(follow_symlinks=False):
                left.append(path)
            elif not entry.is_file(follow_symlinks=False):
                raise NmtError(
                    f"{path}: neither a file nor a folder; delete it, or choose another folder"
                )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:  # another process has just renamed what it finished
        return []


def remove_unfinished(folder: Path) -> None:
    """Removes what a process that was killed has left half written; only one process at a time
    may write in the folder."""
    for path in folder.glob(f".*{UNFINISHED}"):
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def move(temporary: Path, path: Path) -> None:
    """Gives a file, or a folder of files, its name once all of it is on the disk: a power cut
    leaves the old one or the new one."""
    for file in temporary.iterdir() if temporary.is_dir() else ():
        sync(file)
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Waits until the file, or the folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
