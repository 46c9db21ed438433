"""Files that appear under their name only when they are whole and on the disk, and one clear line where that cannot be."""

import errno
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from nmt.errors import NmtError, advice

UNFINISHED = ".writing"  # ends the names of what may be half written
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
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{UNFINISHED}")  # which nobody can have put there as a link
    with writing(path):
        try:
            with open(temporary, "x", encoding="utf-8") as out:
                out.write(text)
            move(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def refuse_links(folder: Path, allowed: Collection[str] = ()) -> None:
    """Nothing in a folder that is to be written in leads out of it: whoever made the folder cannot have other files overwritten.

    Raises:
        NmtError: something in it is a link, or neither file nor folder. Links of the `allowed` names may lead elsewhere in the folder.
    """
    left = [folder]
    while left:
        for entry in _entries(left.pop()):
            path = Path(entry.path)
            if entry.is_symlink():
                inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
                if path.parent != folder or entry.name not in allowed or not inside:
                    raise NmtError(f"{path}: a link to {os.readlink(path)}; put what it leads to in its place, or choose another folder")
            elif entry.is_dir(follow_symlinks=False):
                left.append(path)
            elif not entry.is_file(follow_symlinks=False):
                raise NmtError(f"{path}: neither a file nor a folder; delete it, or choose another folder")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:  # another process has just renamed what it finished
        return []


def remove_unfinished(folder: Path) -> None:
    """Removes what a process that was killed has left half written; only one process at a time may write in the folder."""
    for path in folder.glob(f".*{UNFINISHED}"):
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


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
