"""Memory of `nmt train` by size of the corpus: its peak while it builds the store, makes the
shortlist, and trains.

python -m evaluation memory --pairs 1000000 5000000 --save

The corpus is made up of the bundled one: pair i of its pass n is pair i followed by pair i + n, so
that no two are the same. A small network trains on it until UPDATES updates are reported. Memory is
what the process holds for itself (RssAnon of /proc/PID/status, looked at 50 times a second): pages
of the memory-mapped store are the system's to drop. A phase lasts until its file is in the run
folder. The subwords are those of the bundled corpus and lie there from the start: those that `nmt
train` learns come from a sample of a fixed size, and what the allocator keeps of that would hide
the rest.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from evaluation.machine import ROOT
from nmt.errors import NmtError
from nmt.recipe import SubwordsConfig
from nmt.run_folder import SHORTLIST, STORE_CARD
from nmt.text.corpus import read_pairs
from nmt.text.subwords import train_subword_pair

PAIRS = (1_000_000, 5_000_000)
BUNDLED = str(ROOT / "corpora" / "tatoeba-nld-eng")
UPDATES = 30
SETTINGS = {
    "model.embedding_size": "32", "model.hidden_size": "32", "training.batch_pieces": "4096", "training.report_every": str(UPDATES),  # noqa: E501
    "training.threads": "1", "training.precision": "fp32",
}  # fmt: skip
PHASES = {"store": f"data/{STORE_CARD}", "shortlist": SHORTLIST, "training": "last"}
EVERY = 0.02  # seconds between two looks
# of a value: allocators and the moment of a look; less than that between two runs of one size
NOISE = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pairs",
        metavar="N",
        nargs="+",
        type=int,
        default=PAIRS,
        help="sizes of the corpus (default: 1 and 5 million)",
    )


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Peak and seconds of each phase at each size, and how much the peaks grow from the smallest
    size to the largest."""
    peaks: dict[int, dict[str, tuple[float, float]]] = {}
    bundled = ((pair.source, pair.target) for pair in read_pairs(BUNDLED, "nl", "en", "train"))
    subwords = train_subword_pair(bundled, SubwordsConfig(), seed=1)
    for size in sorted(arguments.pairs):
        folder = out / str(size)
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "run").mkdir(parents=True)
        subwords.save(folder / "run")
        write_corpus(folder, size)
        peaks[size] = watched(folder)
        shutil.rmtree(folder)
        print(f"{size:,} pairs: {peaks[size]}", file=sys.stderr)
    return {"measures": measures_of(peaks)}


def made_up_pairs() -> Iterator[tuple[str, str]]:
    """(source, target) without end, each another pair."""
    pairs = list(read_pairs(BUNDLED, "nl", "en", "train"))
    for number in count(1):
        for place, pair in enumerate(pairs):
            other = pairs[(place + number) % len(pairs)]
            yield f"{pair.source} {other.source}", f"{pair.target} {other.target}"


def write_corpus(folder: Path, size: int) -> None:
    """train.nl and train.en of so many pairs."""
    with (
        open(folder / "train.nl", "w", encoding="utf-8") as sources,
        open(folder / "train.en", "w", encoding="utf-8") as targets,
    ):
        for source, target in islice(made_up_pairs(), size):
            sources.write(f"{source}\n")
            targets.write(f"{target}\n")


def watched(folder: Path) -> dict[str, tuple[float, float]]:
    """Trains on the corpus in this folder until the first report; phase -> (peak in bytes,
    seconds).

    Raises:
        NmtError: training failed.
    """
    run = folder / "run"
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    data = [
        "--train",
        str(folder / "train"),
        "--dev",
        BUNDLED,
        "--source",
        "nl",
        "--target",
        "en",
        "--run",
        str(run),
    ]
    command = [sys.executable, "-m", "nmt", "train", *data, *settings]
    found: dict[str, tuple[float, float]] = {}
    said = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        watcher = threading.Thread(target=watch, args=(process.pid, run, found))
        watcher.start()
        for line in process.stderr or ():
            said.append(line)
            if line.startswith(f"nmt: update {UPDATES}/"):
                process.send_signal(signal.SIGTERM)
        watcher.join()
    if process.returncode != 128 + signal.SIGTERM:
        raise NmtError(
            f"{run}: training ended with status {process.returncode}: {''.join(said[-3:])}"
        )
    return found


def watch(process: int, run: Path, found: dict[str, tuple[float, float]]) -> None:
    """Fills in phase -> (peak in bytes, seconds) until the process ends."""
    before = time.monotonic()
    while size := own_memory(Path(f"/proc/{process}/status")):
        phase = next(
            (name for name, file in PHASES.items() if not (run / file).exists()), "training"
        )
        now = time.monotonic()
        peak, seconds = found.get(phase, (0.0, 0.0))
        found[phase] = max(peak, size), seconds + now - before
        before = now
        time.sleep(EVERY)


def own_memory(status: Path) -> int:
    """Bytes that a process holds for itself, files that it has mapped left out; 0 when it has
    ended."""
    try:
        return next(
            (
                1024 * int(line.split()[1])
                for line in status.read_text().splitlines()
                if line.startswith("RssAnon:")
            ),
            0,
        )
    except OSError:
        return 0


def measures_of(peaks: dict[int, dict[str, tuple[float, float]]]) -> dict[str, Any]:
    """One measure for each size and phase, and one for each phase's growth."""
    found = {}
    for size, phases in peaks.items():
        for phase, (peak, seconds) in phases.items():
            found[f"{size:,} pairs, {phase}: memory"] = measure(peak / 1e6, "MB")
            found[f"{size:,} pairs, {phase}: time"] = measure(seconds, "s")
    least, most = min(peaks), max(peaks)
    for phase in PHASES if most > least else ():
        low, high = peaks[least][phase][0], peaks[most][phase][0]
        noise = NOISE * max(low, high) / (most - least)
        found[f"{phase}: growth from {least:,} to {most:,} pairs"] = {
            "value": round((high - low) / (most - least), 2), "noise": round(noise, 2), "unit": "bytes a pair",  # noqa: E501
        }  # fmt: skip
    return found


def measure(value: float, unit: str) -> dict[str, Any]:
    return {"value": round(value, 1), "noise": round(NOISE * value, 1), "unit": unit}
