"""Training on one core beside OpenNMT-py, JoeyNMT and fairseq: target pieces/s, and the loss after
as many updates.

python -m evaluation speed.training DIR [--core 1] [--rounds 3] [--updates 60] [--save]

DIR holds what trains beside ours, where it is there: venv-onmt, venv-joey, venv-fairseq (0.12.2
does not build for Python 3.11; the package fairseq-fixed 0.12.3.1 with hydra-core 1.3.2 does),
configs/onmt_rnn_if{0,1}.yaml, configs/joey_rnn.yaml, data/{train,val}.{en,de} and the same in
pieces as .sp.{en,de}. Networks: two LSTM layers, encoder 256 a direction, decoder 512, 8,000 joint
pieces, dropout 0.3, Adam at 1e-3, 2,048 padded pieces a batch. OpenNMT-py has 14.8M parameters,
JoeyNMT 14.6M, fairseq 16.3M; ours has 10.5M with embeddings of 256 like theirs, because its output
layer is tied to them, and 13.8M with 512.

Each program runs by itself, pinned to one core, in turn, in several rounds: the first as long as
the loss needs, the others short. A speed is the median over windows of 5 updates, the first one of
each process left out, in target pieces (sentence ends counted, beginnings and padding not) a second
of the process's own processor time, so that other work on the machine disturbs it less; the noise
is half the distance of the quartiles. The loss is the mean training cross-entropy over the second
half of the first round's updates, dropout on.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from evaluation.speed.trainers import WINDOW, Trainer, trainers
from nmt.errors import NmtError

ROUNDS = 3
UPDATES, SHORT = 60, 20  # of the first round, of the others
# nats a piece; other initial weights and batches change the mean of updates 31 to 60 by so much
LOSS_NOISE = 0.1
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
}  # the last for the peers only


class Report(NamedTuple):
    """A process since its first report."""

    update: int
    pieces: float
    loss: float  # nats, summed over the pieces
    processor: float  # seconds, since the process began
    wall: float  # seconds, of the clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "peers", metavar="DIR", type=Path, help="the folder that the peers are installed in"
    )
    parser.add_argument(
        "--core",
        type=int,
        default=0,
        help="the processor core that all run on, in turn (default: 0)",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default: {ROUNDS}")
    parser.add_argument(
        "--updates",
        type=int,
        default=UPDATES,
        help=f"of the first round, a multiple of {WINDOW}; the others have {SHORT}",
    )


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Raises: NmtError for numbers that leave nothing to measure, and for peers that fail."""
    updates, rounds = arguments.updates, arguments.rounds
    if updates < 4 * WINDOW or updates % WINDOW or rounds < 1:
        raise NmtError(
            f"--updates must be a multiple of {WINDOW}, at least {4 * WINDOW}, got {updates};"
            f" --rounds at least 1, got {rounds}"
        )
    return {"measures": measure(arguments.peers, out, arguments.core, rounds, updates)}


def measure(peers: Path, out: Path, core: int, rounds: int, updates: int) -> dict[str, Any]:
    """Every program in turn, `rounds` times; their logs stay in `out`."""
    contestants = trainers(peers.resolve(), out.resolve())
    for trainer in contestants:
        prepare(trainer)
    runs: dict[str, list[list[Report]]] = {trainer.name: [] for trainer in contestants}
    for number in range(rounds):
        for trainer in contestants:
            log = out / f"{trainer.name.replace(' ', '-').replace(',', '')}-{number}.log"
            last = min(SHORT, updates) if number else updates
            runs[trainer.name].append(observe(trainer, core, last, log))
            print(
                f"round {number + 1}: {trainer.name}:"
                f" {statistics.median(speeds(runs[trainer.name][-1:])):,.0f}",
                file=sys.stderr,
            )
    return measures_of(runs, updates)


def prepare(trainer: Trainer) -> None:
    """Runs what a program needs beforehand.

    Raises:
        NmtError: that failed.
    """
    if trainer.before:
        done = subprocess.run(
            trainer.before,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode:
            last = done.stdout.strip().rpartition("\n")[2]
            raise NmtError(
                f"{trainer.name}: {trainer.before[0]} failed ({last}); set this peer up again, or"
                " remove its venv"
            )


def observe(trainer: Trainer, core: int, updates: int, log: Path) -> list[Report]:
    """The reports of a process on one core until its update number `updates`; then it is killed.

    Raises:
        NmtError: it ended before.
    """
    command = ["taskset", "-c", str(core), *trainer.command]
    environment = {**os.environ, **ONE_THREAD, "PYTHONUNBUFFERED": "1"}
    with (
        open(log, "w", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        reports: list[Report] = []
        try:
            for line in process.stdout:
                file.write(line)
                found = read(
                    trainer, line, reports, processor_seconds(process.pid), time.monotonic()
                )
                reports += [found] if found else []
                if found and found.update >= updates:
                    return reports
        finally:
            process.kill()
    raise NmtError(f"{trainer.name} ended before update {updates}; its log is {log}")


def read(
    trainer: Trainer, line: str, before: Sequence[Report], processor: float, wall: float
) -> Report | None:
    """The report in a line of a log, if it has one. Of a program that tells pieces a second the
    pieces are known from its second on."""
    match = trainer.pattern.search(line)
    if not match:
        return None
    update, loss = int(match["update"].replace(",", "")), trainer.nats(float(match["loss"]))
    last = before[-1] if before else Report(0, 0.0, 0.0, 0.0, wall)
    if "size" in match.groupdict():
        pieces = float(match["size"]) * (update - last.update)
    else:
        pieces = float(match["rate"].replace(",", "")) * (wall - last.wall)
    return Report(update, last.pieces + pieces, last.loss + pieces * loss, processor, wall)


def processor_seconds(process: int) -> float:
    """User and system time of a process, its threads and the children that it has waited for
    (proc(5), /proc/PID/stat)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def windows(reports: Sequence[Report]) -> Iterator[tuple[Report, Report]]:
    """(begin, end) of each window; the updates before the first begin are the warm-up."""
    ends = [report for report in reports if report.update % WINDOW == 0]
    return pairwise(ends)


def speeds(runs: Sequence[Sequence[Report]]) -> list[float]:
    """Target pieces a second of processor time in each window."""
    pairs = [pair for reports in runs for pair in windows(reports)]
    return [(end.pieces - begin.pieces) / (end.processor - begin.processor) for begin, end in pairs]


def loss_between(reports: Sequence[Report], first: int, last: int) -> float:
    """Nats a target piece in the updates after `first`, up to `last`."""
    at = {report.update: report for report in reports}
    return (at[last].loss - at[first].loss) / (at[last].pieces - at[first].pieces)


def measures_of(runs: Mapping[str, Sequence[Sequence[Report]]], updates: int) -> dict[str, Any]:
    """Speeds, losses, batch sizes, and the ratios of our speeds to the peers'."""
    half = updates // 2 // WINDOW * WINDOW
    measures: dict[str, Any] = {}
    quartiles: dict[str, list[float]] = {}
    for name, each in runs.items():
        quartiles[name] = statistics.quantiles(speeds(each), n=4, method="inclusive")
        pairs = [pair for reports in each for pair in windows(reports)]
        busy = sum(end.processor - begin.processor for begin, end in pairs) / sum(
            end.wall - begin.wall for begin, end in pairs
        )
        size = sum(end.pieces - begin.pieces for begin, end in pairs) / sum(
            end.update - begin.update for begin, end in pairs
        )
        measures |= {
            f"{name}: speed": spread(quartiles[name], "target pieces/s of processor time", 0),
            f"{name}: processor": {
                "value": round(busy, 3),
                "noise": 0.05,
                "unit": "of the wall time",
            },
            f"{name}: pieces an update": {
                "value": round(size),
                "noise": 50,
                "unit": "target pieces",
            },
            f"{name}: loss": {
                "value": round(loss_between(each[0], half, updates), 3),
                "noise": LOSS_NOISE,
                "unit": f"nats a target piece, updates {half + 1} to {updates}",
            },
        }
    mine = [name for name in runs if name.startswith("nmt")]
    for own in mine:
        for peer in [name for name in runs if name not in mine]:
            measures[f"{own} / {peer}"] = spread(
                ratio(quartiles[own], quartiles[peer]), "times its speed", 2
            )
    return measures


def ratio(own: Sequence[float], peer: Sequence[float]) -> list[float]:
    """The ratio of two medians between the least and the greatest that their quartiles allow;
    each as (quartile, median, quartile)."""
    return [own[0] / peer[2], own[1] / peer[1], own[2] / peer[0]]


def spread(low_middle_high: Sequence[float], unit: str, digits: int) -> dict[str, Any]:
    low, middle, high = low_middle_high
    quartiles = [round(low, digits), round(high, digits)]
    return {
        "value": round(middle, digits),
        "noise": round((high - low) / 2, digits),
        "unit": unit,
        "quartiles": quartiles,
    }
