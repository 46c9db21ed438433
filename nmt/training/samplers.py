"""Processes that segment text at random while this one trains: pure Python, which would hold the
interpreter's lock here.

What they give is a function of text and seed alone, so it does not matter which of them is asked.
They load neither torch nor numpy.
"""

import atexit
import multiprocessing
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import NamedTuple, Self

from nmt.errors import NmtError
from nmt.text.subwords import SubwordPair, Subwords
from nmt.translation.workers import serve, signals_held
from nmt.worker_processes import child

# they ask this process to end its update, for which it may need segmentations
HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

# ids of the source's lines, and of the target's
Segmented = tuple[list[list[int]], list[list[int]]]


class Job(NamedTuple):
    """The arguments of `SubwordPair.sample`."""

    sources: Sequence[str]
    targets: Sequence[str]
    alpha: float
    seeds: tuple[int, int]


class Samplers:
    """Several processes; as many threads may call `sample` at a time. A context, which ends
    them."""

    def __init__(self, subwords: SubwordPair, count: int) -> None:
        self.samplers = [_Sampler(subwords) for _ in range(count)]
        self.idle: SimpleQueue[_Sampler] = SimpleQueue()
        for sampler in self.samplers:
            self.idle.put(sampler)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for sampler in self.samplers:
            sampler.close()

    def sample(
        self, sources: Sequence[str], targets: Sequence[str], alpha: float, seeds: tuple[int, int]
    ) -> Segmented:
        """As `SubwordPair.sample`.

        Raises:
            NmtError: the process that was asked is dead.
        """
        sampler = self.idle.get()
        try:
            return sampler.sample(Job(sources, targets, alpha, seeds))
        finally:
            self.idle.put(sampler)  # a dead one, too: nobody shall wait for it


class _Sampler:
    """One process, and this end of its pipe."""

    def __init__(self, subwords: SubwordPair) -> None:
        self.connection, other_end = multiprocessing.Pipe()
        self.process = child(_serve, other_end, subwords.models)
        with signals_held(*HELD):
            self.process.start()
        other_end.close()
        # multiprocessing would ask it to end by a signal that it never sees, and wait
        atexit.register(self.process.kill)

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        atexit.unregister(self.process.kill)

    def sample(self, job: Job) -> Segmented:
        try:
            self.connection.send(job)
            answer: Segmented | Exception = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(1)
            raise NmtError(
                f"the process that samples subwords died (exit status"
                f" {self.process.exitcode}); if memory ran out, free some; "
                "then run the same command again"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(connection: Connection, models: tuple[bytes, bytes]) -> None:
    """The life of a process: jobs in, segmentations out."""
    source = Subwords(models[0])
    subwords = SubwordPair(source, source if models[0] == models[1] else Subwords(models[1]))
    serve(connection, lambda job: subwords.sample(*job))
