"""Processes that end with the one that started them, however that ends, and from their first moment on."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

PR_SET_PDEATHSIG = 1  # of prctl(2)


def child(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    """A process, not started yet, that calls a function of some module; nothing that needs importing comes before its watch."""
    context = multiprocessing.get_context("spawn")
    return context.Process(target=_Watched(work), args=arguments, daemon=True)


class _Watched:
    """A function whose arrival in another process begins the watch, before its module is imported."""

    def __init__(self, work: Callable[..., None]) -> None:
        self.work = work

    def __call__(self, *arguments: Any) -> None:
        self.work(*arguments)

    def __reduce__(self) -> tuple[Callable[..., "_Watched"], tuple[str, str, bool]]:
        # The system's signal comes when the thread ends that started the process; only the main thread lasts as long as its process.
        return _arrive, (self.work.__module__, self.work.__name__, threading.current_thread() is threading.main_thread())


def _arrive(module: str, name: str, signalled: bool) -> _Watched:
    end_with_parent(signalled)
    return _Watched(getattr(import_module(module), name))


def end_with_parent(signalled: bool) -> None:
    """Ends this process when its parent does: by a signal of the system where there is one, and by a thread that watches a pipe."""
    if signalled and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_watch, daemon=True, name="watches the parent").start()


def _watch() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
