"""What the machine offers: number formats, cores for worker processes, and threads."""

import os
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Thread
from typing import NamedTuple

from nmt.errors import NmtError


class NumberFormat(NamedTuple):
    """A format of weights and products, and where it can be used."""

    name: str
    on_cpu: bool  # translates on a CPU
    on_gpu: bool  # translates on a GPU
    trains: bool  # trains, and is what weights are exported in


FORMATS = (
    NumberFormat("fp32", on_cpu=True, on_gpu=True, trains=True),
    NumberFormat("bf16", on_cpu=True, on_gpu=True, trains=True),
    NumberFormat("int8", on_cpu=True, on_gpu=False, trains=False),
    NumberFormat("fp16", on_cpu=False, on_gpu=True, trains=False),
)
CPU_FORMATS = tuple(each.name for each in FORMATS if each.on_cpu)
GPU_FORMATS = tuple(each.name for each in FORMATS if each.on_gpu)
TRAINING_FORMATS = tuple(each.name for each in FORMATS if each.trains)


def usable_cores(system: Path = Path("/sys")) -> int:
    """Physical cores that this process may use: the hardware threads of a core share the units that
    translation keeps busy.

    A container's limit on processor time counts too. Where the system does not tell, every
    processor is a core.
    """
    processors = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    siblings = {
        _text(system / f"devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        or str(number)
        for number in processors
    }
    quota, _, period = _text(system / "fs/cgroup/cpu.max").partition(
        " "
    )  # microseconds; "max" where there is no limit
    limit = (
        -(-int(quota) // int(period)) if quota.isdecimal() and period.isdecimal() else len(siblings)
    )
    return min(len(siblings), max(1, limit))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def require_threads(count: int) -> None:
    """Starts so many threads at once and lets them end; their parts of the heap stay for the next
    ones.

    Raises:
        NmtError: memory (the address space above all) or the number of processes is limited too
            much.
    """
    barrier = Barrier(count + 1)
    threads = [Thread(target=_take_place, args=(barrier,)) for _ in range(count)]
    try:
        for thread in threads:
            thread.start()
        barrier.wait()
    except RuntimeError:  # also of a barrier that a thread without memory has broken
        raise NmtError(
            f"out of memory: {count} threads cannot be started; raise the limits on memory (ulimit"
            " -v) and processes (ulimit -u)"
        ) from None
    finally:
        barrier.abort()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def _take_place(barrier: Barrier) -> None:
    try:
        bytes(4096)  # large enough for the C library's heap, of which each thread gets a part
        barrier.wait()
    except (BrokenBarrierError, MemoryError):
        barrier.abort()
