"""Processes that end with the one that started them, however that ends."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

PR_SET_PDEATHSIG = 1  # of prctl(2)
INTERVAL = 0.05  # seconds between two looks at the parent


def child(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    """A process, not started yet, that calls a function of some module; nothing that needs
    importing comes before its watch."""
    context = multiprocessing.get_context("spawn")
    return context.Process(target=_Watched(work), args=arguments, daemon=True)


class _Watched:
    """A function whose arrival in another process begins the watch, before its module is
    imported."""

    def __init__(self, work: Callable[..., None]) -> None:
        self.work = work

    def __call__(self, *arguments: Any) -> None:
        self.work(*arguments)

    def __reduce__(self) -> tuple[Callable[..., "_Watched"], tuple[str, str, bool, int]]:
        # The system's signal comes when the thread ends that started the process; only the main
        # thread lasts as long as its process.
        return _arrive, (
            self.work.__module__,
            self.work.__name__,
            threading.current_thread() is threading.main_thread(),
            os.getpid(),
        )


def _arrive(module: str, name: str, signalled: bool, parent: int) -> _Watched:
    end_with_parent(signalled, parent)
    return _Watched(getattr(import_module(module), name))


def end_with_parent(signalled: bool, parent: int) -> None:
    """Ends this process when its parent, of that number, does: by a signal of the system where
    there is one, and by a thread that looks."""
    if signalled and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended already, and no signal will come
        os._exit(1)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="watches the parent").start()


def _watch(parent: int) -> None:
    # multiprocessing knows the parent's pipe only after it has imported what the process is to do,
    # which takes seconds.
    while (known := multiprocessing.parent_process()) is None and os.getppid() == parent:
        time.sleep(INTERVAL)
    if known is not None:
        wait([known.sentinel])
    os._exit(1)
