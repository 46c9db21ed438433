"""What the time of a translation goes to, and what a process needs: shares of each compiled
function and of Python, start-up, memory.

taskset -c 1 python -m evaluation speed.shares TEST RUN [RUN ...] --save

Shares are of the wall time from text to text, greedy and at beam 5, in one thread; start-up and
memory are those of `nmt translate` with one line, and with the test set ten times.
"""

import argparse
import ctypes
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from nmt import native
from nmt.text.corpus import read_parallel
from nmt.translation.translator import Translator

CALLERS = ("candidates", "search", "engine")  # the modules that call compiled functions
STARTS = 5
COPIES = 10


class Timed:
    """The compiled functions, with a clock."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.seconds: Counter[str] = Counter()
        for name in native.SIGNATURES:
            setattr(self, name, self._timed(name, getattr(library, name)))

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: object) -> Any:
            start = time.perf_counter()
            answer = function(*arguments)
            self.seconds[name.removeprefix("nmt_")] += time.perf_counter() - start  # type: ignore[assignment]
            return answer

        return call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("test", metavar="TEST", help="a test set, in any format that nmt reads")
    parser.add_argument(
        "models", metavar="RUN", nargs="+", type=Path, help="a finished run of `nmt train`"
    )


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(1)
    measures = {}
    for path in arguments.models:
        translator = Translator.load(path, device="cpu", precision="int8")
        config, data = translator.recipe.model, translator.recipe.data
        name = f"{config.cell} {config.hidden_size}"
        sources, _ = read_parallel(arguments.test, data.source, data.target, "test")
        for beam in (1, 5):
            for part, share in shares(translator, sources, beam).items():
                measures[f"{name}, beam {beam}: {part}"] = {
                    "value": round(share, 3),
                    "noise": 0.03,
                    "unit": "of the time",
                }
        measures |= {
            f"{name}: {what}": value for what, value in process(path, sources, out).items()
        }
    return {"measures": measures}


def shares(translator: Translator, sources: list[str], beam: int) -> dict[str, float]:
    """Of each function; the rest is Python: search, batches, subwords."""
    timed = Timed(native.functions())
    with ExitStack() as stack:
        for module in CALLERS:
            stack.enter_context(
                mock.patch(f"nmt.engines.compiled.{module}.functions", return_value=timed)
            )
        translator.translate(sources[:200], beam=beam)
        timed.seconds.clear()
        start = time.perf_counter()
        translator.translate(sources, beam=beam)
        seconds = time.perf_counter() - start
    found = {part: value / seconds for part, value in timed.seconds.items()}
    return found | {"Python": 1 - sum(found.values())}


def process(path: Path, sources: list[str], out: Path) -> dict[str, Any]:
    """Seconds from start to end of a process that translates one line, and the peak memory for
    one line and for many."""
    one, many = out / "one.txt", out / "many.txt"
    one.write_text(sources[0] + "\n", encoding="utf-8")
    many.write_text("".join(line + "\n" for line in sources * COPIES), encoding="utf-8")
    seconds = []
    for _ in range(STARTS):
        start = time.perf_counter()
        translate(path, one)
        seconds.append(time.perf_counter() - start)
    memory = [peak(path, one), peak(path, many)]
    middle, spread = sorted(seconds)[STARTS // 2], (max(seconds) - min(seconds)) / 2
    return {
        "one sentence, whole process": {
            "value": round(middle, 2),
            "noise": round(spread, 2),
            "unit": "s",
        },
        "peak memory, one line": {"value": round(memory[0]), "noise": 20, "unit": "MiB"},
        f"peak memory, {len(sources) * COPIES:,} lines": {
            "value": round(memory[1]),
            "noise": 20,
            "unit": "MiB",
        },
    }


def translate(path: Path, text: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        str(path),
        "--precision",
        "int8",
        "--workers",
        "1",
        "-i",
        str(text),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def peak(path: Path, text: Path) -> float:
    """MiB; in a process of its own, whose children are this one translation."""
    script = (
        f"from evaluation.speed.shares import *; translate(Path({str(path)!r}),"
        f" Path({str(text)!r})); print(child_peak())"
    )
    return float(
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        ).stdout
    )


def child_peak() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
