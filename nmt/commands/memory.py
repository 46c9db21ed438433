"""What to say when memory runs out: which limit it is, how much is taken, and what takes less."""

import errno
import resource
from pathlib import Path

from nmt.errors import NmtError

WORDS = (
    "can't allocate memory",  # torch
    "Cannot allocate memory",  # the system
    "std::bad_alloc",
    "can't start new thread",  # Python, for want of room for its stack
    "failed to map segment",  # the loader of libraries
    "cannot map zero-fill pages",
)
# Bytes of address space below which torch's libraries (0.57 GiB with its build for CPUs) end the
# process themselves, with lines of their own, while they are loaded.
LEAST = 512 * 2**20
PRIMITIVE = "could not create a primitive"  # oneDNN's, for want of memory or of instructions


def is_shortage(error: BaseException) -> bool:
    """Whether Python, torch on a CPU or on a GPU, or the system says that memory is short;
    without loading torch."""
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or getattr(error, "errno", None) == errno.ENOMEM
    ):
        return True
    text = str(error)
    return any(words in text for words in WORDS) or (
        text.strip() == PRIMITIVE and _limit() is not None
    )


def shortage_line(error: BaseException, status: Path = Path("/proc/self/status")) -> str:
    """How much is taken, and of what, as far as the system tells."""
    reason = next(iter(str(error).strip().splitlines()), "")
    parts = [f" ({reason})" if reason else "", _taken(status)]
    limit = _limit()
    cure = "lower training.batch_pieces or search.batch_pieces in the recipe, --beam or --workers"
    if limit is not None:
        cure = f"raise the limit on address space, {limit / 2**30:.2f} GiB (ulimit -v), or {cure}"
    return f"out of memory{''.join(parts)}; {cure}"


def refuse_small_limit() -> None:
    """Ask this before torch is loaded.

    Raises:
        NmtError: the limit on address space is too small for that.
    """
    limit = _limit()
    if limit is not None and limit < LEAST:
        raise NmtError(
            "out of memory: torch cannot be loaded; raise the limit on address space,"
            f" {limit / 2**30:.2f} GiB (ulimit -v), to 1 GiB or more"
        )


def _limit() -> int | None:
    """Bytes of address space that this process may have; None without a limit."""
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _taken(status: Path) -> str:
    """How much this process has taken at most, in words."""
    try:
        rows = dict(
            line.split(":", 1)
            for line in status.read_text(encoding="utf-8").splitlines()
            if ":" in line
        )
        memory, space = (int(rows[name].split()[0]) / 2**20 for name in ("VmHWM", "VmPeak"))
    except (OSError, ValueError, KeyError, IndexError):
        return ""
    return (
        f": this process took up to {memory:.2f} GiB of memory and {space:.2f} GiB of address space"
    )
