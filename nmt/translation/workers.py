"""Translation by several processes of one thread each: what keeps all cores of a processor busy.

A thread of this process stands for each worker. It hands over a chunk and waits for the result, for
the error that the worker met, or for the end of the pipe, which is how a worker's death shows. A
worker notices by itself that this process is no more.
"""

import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain, islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Self

from nmt.errors import NmtError, advice
from nmt.translation.job import Chunk, Rendered, TranslationJob, TranslationTask
from nmt.worker_processes import child

# chunks read for each worker: one in work and one for when that is done before its elders
AHEAD = 2


def render_all(
    job: TranslationJob, chunks: Iterable[Chunk], workers: int
) -> Generator[Rendered, None, None]:
    """What becomes of each chunk, in order. Input of a single chunk is not worth a process
    and is done here.

    Raises:
        NmtError: the input, a setting, or a worker failed; everything before that has been given.
    """
    waiting = _with_failure(chunks)
    head = list(islice(waiting, 1)) if workers > 1 else []
    if head and not (isinstance(head[0], Chunk) and head[0].paused):
        head += islice(waiting, 1)
    paused = any(isinstance(chunk, Chunk) and chunk.paused for chunk in head)
    if len(head) < 2 and not paused:
        for chunk in chain(head, waiting):
            if isinstance(chunk, NmtError):
                raise chunk
            yield job.render(chunk)
        return
    with _Workers(job.for_workers(), workers) as crew:
        yield from crew.render(chain(head, waiting), job.render)


def _with_failure(chunks: Iterable[Chunk]) -> Iterator[Chunk | NmtError]:
    """An error of reading as the last item: it must not overtake the chunks before it, which are
    still in work."""
    try:
        yield from chunks
    except NmtError as error:
        yield error


class _Workers:
    """Up to `limit` processes, each started when there is a chunk for it."""

    def __init__(self, task: TranslationTask, limit: int) -> None:
        self.task, self.limit = task, limit
        self.workers: list[_Worker] = []
        self.idle: SimpleQueue[_Worker] = SimpleQueue()
        self.threads = ThreadPoolExecutor(limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers:
            worker.process.kill()  # which ends the wait of its thread, too
        self.threads.shutdown(cancel_futures=True)
        for worker in self.workers:
            worker.process.join()

    def render(
        self, chunks: Iterable[Chunk | NmtError], here: Callable[[Chunk], Rendered]
    ) -> Iterator[Rendered]:
        """What becomes of the chunks. After a pause nobody waits for a process: a chunk is
        rendered `here` where nothing is in work."""
        ahead: deque[Future[Rendered]] = deque()
        for chunk in chunks:
            paused = isinstance(chunk, Chunk) and chunk.paused
            if isinstance(chunk, Chunk) and paused and not ahead:
                yield here(chunk)
                continue
            ahead.append(self._submit(chunk))
            while ahead and (paused or ahead[0].done() or len(ahead) >= AHEAD * self.limit):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _submit(self, chunk: Chunk | NmtError) -> Future[Rendered]:
        if len(self.workers) < self.limit and not isinstance(chunk, NmtError):
            self.workers.append(_Worker(self.task))
            self.idle.put(self.workers[-1])
        return self.threads.submit(self._render, chunk)

    def _render(self, chunk: Chunk | NmtError) -> Rendered:
        if isinstance(chunk, NmtError):
            raise chunk
        worker = self.idle.get()
        try:
            return worker.render(chunk)
        finally:
            self.idle.put(worker)  # a dead one, too: nobody shall wait for it


class _Worker:
    """A process that translates, and this end of its pipe."""

    def __init__(self, task: TranslationTask) -> None:
        self.name = task.name
        try:
            self.connection, other_end = multiprocessing.Pipe()
            self.process = child(_serve, other_end, task)
            with signals_held(signal.SIGINT):
                self.process.start()
        except OSError as error:
            raise NmtError(
                f"a worker cannot be started ({error.strerror}); {advice(error)}"
            ) from None
        other_end.close()

    def render(self, chunk: Chunk) -> Rendered:
        try:
            self.connection.send(chunk)
            answer: Rendered | Exception = self.connection.recv()
        except (EOFError, OSError):
            raise NmtError(self._death(chunk)) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _death(self, chunk: Chunk) -> str:
        self.process.join(1)
        return (
            f"{self.name}: the worker that translated lines {chunk.first + 1:,} to"
            f" {chunk.first + len(chunk.lines):,} died (exit status {self.process.exitcode});"
            " everything before them is written; if memory ran out, use fewer --workers"
        )


@contextmanager
def signals_held(*numbers: signal.Signals) -> Iterator[None]:
    """A process started here never sees these signals, which are for this process, and this one
    sees them afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        # a helper of multiprocessing's, whose start lifts the block of some
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, task: TranslationTask) -> None:
    """The life of a worker: chunks in, what becomes of them out."""
    load = cache(task.load)
    serve(connection, lambda chunk: load().render(chunk))


def serve(connection: Connection, work: Callable[[Any], Any]) -> None:
    """Jobs in, results or errors out, until the other end closes."""
    with suppress(EOFError, OSError):
        while True:
            job = connection.recv()
            try:
                answer = work(job)
            except Exception as error:
                error.add_note(traceback.format_exc())
                answer = error
            connection.send(answer)
