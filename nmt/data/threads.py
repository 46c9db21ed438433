"""A look whether threads can be started, for libraries that end the process where they cannot."""

from threading import Barrier, BrokenBarrierError, Thread

from nmt.errors import NmtError


def require_threads(count: int) -> None:
    """Starts so many threads at once and lets them end; their parts of the heap stay for the next ones.

    Raises:
        NmtError: memory (the address space above all) or the number of processes is limited too much.
    """
    barrier = Barrier(count + 1)
    threads = [Thread(target=_take_place, args=(barrier,)) for _ in range(count)]
    try:
        for thread in threads:
            thread.start()
        barrier.wait()
    except RuntimeError:  # also of a barrier that a thread without memory has broken
        raise NmtError(
            f"out of memory: {count} threads cannot be started; raise the limits on memory (ulimit -v) and processes (ulimit -u)"
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
