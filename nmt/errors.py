"""The one exception that a user can cause, and what to do about errors of the operating system."""

import errno
import re

# What to do about an error of the system; of any other one: look at the path.
ADVICE = {
    errno.ENOSPC: "make space on that disk, or choose a place on another one",
    errno.EDQUOT: "make space in your quota, or choose another place",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or choose another disk",
    errno.EROFS: "the disk is read-only: choose another place",
    errno.EACCES: "check your permissions there",
    errno.EPERM: "check your permissions there",
    errno.EMFILE: "raise the limit on open files (ulimit -n), or use fewer --workers",
    errno.ENFILE: "the whole machine has too many files open: close some programs",
    errno.EAGAIN: "raise the limit on processes (ulimit -u), or use fewer --workers",
    errno.ENOMEM: "free some memory, or use fewer --workers",
    errno.ENOTDIR: "a part of this path is a file where a folder is needed: check the path",
    errno.EISDIR: "this is a folder: name a file",
    errno.ELOOP: "its symbolic links lead in a circle: name the file itself",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EBADF: "leave out the <&- or >&- that closed it",
    errno.EIO: "the disk, or the connection to it, may be failing",
}


LONGEST = 2000  # characters of a message
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class NmtError(Exception):
    """What is wrong and what to do about it, with the file:line or key that the user wrote.

    Commands print it on one line of stderr and exit with status 1; it never comes with a traceback.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """One line without the characters by which names and values of strangers' files could command a
    terminal or hide text in it.

    White space becomes a space; control characters, marks that turn the direction of writing, and
    halves of surrogate pairs are written as \\x1b or \\u202e. What would fill the screen is cut
    off.
    """
    line = UNPRINTABLE.sub(
        lambda found: found[0].encode("unicode_escape").decode(), " ".join(text.split())
    )
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}... ({len(line):,} characters)"


def advice(error: OSError) -> str:
    """What a user can do about an error of the operating system."""
    return ADVICE.get(error.errno or 0, "check the path")


def explained(error: OSError) -> str:
    """The file, if the system names one, what went wrong with it and what to do."""
    if error.errno is None:  # a library's own words
        return str(error)
    name = "" if error.filename is None else f"{_text(error.filename)}: "
    return (
        f"{name}{error.strerror};"
        f" {advice(error) if name or error.errno in ADVICE else 'run the same command again'}"
    )


def _text(name: object) -> str:
    return name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name)
