"""A stand-in for a translation task; without torch, so that a worker that loads it starts at
once."""

import os
import signal
import time
from dataclasses import dataclass

from nmt.errors import NmtError
from nmt.translation.job import Chunk, Rendered


@dataclass(frozen=True)
class Whim:
    """A task and its job without a model: each line says what happens."""

    name: str = "in"
    precision: str = "auto"

    def load(self) -> "Whim":
        return self

    for_workers = load

    def render(self, chunk: Chunk) -> Rendered:
        for line in chunk.lines:
            if line.text == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if line.text == "fail":
                raise NmtError("in: a failure")
            if line.text == "bug":
                raise LookupError("a bug")
            if line.text == "sleep":
                time.sleep(0.5)
        return Rendered([line.text for line in chunk.lines], [f"{chunk.first}"])
