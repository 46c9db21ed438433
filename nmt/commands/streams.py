"""Standard streams that a command can rely on, whatever the shell has made of them."""

import errno
import io
import os
import sys

STDOUT = "standard output"
# A closed stream is opened the wrong way round, so that using it is an error; what nobody reads of
# stderr is none.
MODES = (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)


class _Output(io.FileIO):
    """Standard output; an error names it."""

    def write(self, content: object, /) -> int:
        try:
            return super().write(content)  # type: ignore[arg-type]  # any buffer
        except OSError as error:
            raise _named(error) from None


class _Messages(io.FileIO):
    """Standard error; a message that cannot be written is lost, because messages decide nothing."""

    def write(self, content: object, /) -> int:
        try:
            return super().write(content)  # type: ignore[arg-type]
        except OSError:
            return memoryview(content).nbytes  # type: ignore[arg-type]


def open_streams() -> None:
    """Makes stdin, stdout and stderr usable; call it before any file is opened.

    The next file to be opened would get the number of a closed stream, and whatever is meant for
    the stream would be written into it. Text is UTF-8 whatever the locale: results are the same
    everywhere, and no letter is an error.
    """
    for descriptor, mode in enumerate(MODES):
        _fill(descriptor, mode)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(
            io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8"
        )
    sys.stdout = _text_stream(_Output(1, "w", closefd=False), line_buffering=os.isatty(1))
    sys.stderr = _text_stream(_Messages(2, "w", closefd=False), line_buffering=True)


def _fill(descriptor: int, mode: int) -> None:
    """Opens the null device with this number, unless something is open with it."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, mode)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        os.set_inheritable(descriptor, True)  # to workers, whose streams would be closed as well


def _text_stream(raw: io.FileIO, line_buffering: bool) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=line_buffering,
    )


def refuse_closed_output() -> None:
    """Notices before the work, instead of after it, that its results have nowhere to go.

    Raises:
        OSError: standard output is closed, or a full device.
    """
    try:
        os.write(1, b"")
    except OSError as error:
        raise _named(error) from None


def _named(error: OSError) -> OSError:
    """The error as one of standard output's; closed is what people call a bad file descriptor."""
    return OSError(
        error.errno, "it is closed" if error.errno == errno.EBADF else error.strerror, STDOUT
    )


def abandon_output() -> None:
    """Lets what is still to be written to standard output go nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
