"""Files that appear under their name only when they are whole and on the disk, and one clear line where that cannot be."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from nmt.errors import NmtError, advice

SPACE = "make sure that there is space and that you may write there, then run the same command again"
OF_THE_PATH = (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS, errno.EMFILE, errno.ENFILE)  # not of space


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
        advised = advice(error) if isinstance(error, OSError) and error.errno in OF_THE_PATH else SPACE
        raise NmtError(f"{path}: cannot write {what or 'it'} ({reason}); {advised}") from error


def write_atomically(path: Path, text: str) -> None:
    """The file is whole at every moment.

    Raises:
        NmtError: it cannot be written; what was there stays.
    """
    temporary = path.with_name(f".{path.name}.writing")
    with writing(path):
        with open(temporary, "w", encoding="utf-8") as out:
            out.write(text)
        move(temporary, path)


def move(temporary: Path, path: Path) -> None:
    """Gives a file, or a folder of files, its name once all of it is on the disk: a power cut leaves the old one or the new one."""
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
