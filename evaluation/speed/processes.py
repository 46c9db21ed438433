"""Training by two processes on two cores beside one process on one: target pieces/s of whole `nmt
train` runs, taken in turn.

12.8M parameters, batches of 4,096 pieces of both together, a part of the bundled corpus. The
processes talk through gloo.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from evaluation.kills import write_part
from nmt.errors import NmtError
from nmt.run_folder import RunFolder

PAIRS, ROUNDS, WARM_UP = 6_000, 3, 2  # the last one in reports
SETTINGS = (
    *(
        "subwords.vocab_size=6000",
        "training.epochs=1",
        "training.batch_pieces=4096",
        "training.report_every=2",
        "search.beam=1",
    ),
    "training.threads=1",
)


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Speeds of one and two processes and their ratio; the noise of the ratio is half its range
    over the rounds."""
    write_part(out, PAIRS)
    speeds: dict[int, list[float]] = {1: [], 2: []}
    for number in range(ROUNDS):
        for processes in speeds:
            speeds[processes].append(_speed(out, processes, f"{number}-{processes}"))
    ratios = [two / one for one, two in zip(speeds[1], speeds[2], strict=True)]
    measures: dict[str, Any] = {
        f"{name} process{'es' * (number > 1)}": _measure(speeds[number], "target pieces/s")
        for number, name in ((1, "one"), (2, "two"))
    }
    return {"measures": {**measures, "ratio": _measure(ratios, "times the speed of one process")}}


def _measure(values: list[float], unit: str) -> dict[str, Any]:
    return {
        "value": round(statistics.median(values), 3),
        "noise": round((max(values) - min(values)) / 2, 3),
        "unit": unit,
    }


def _speed(out: Path, processes: int, name: str) -> float:
    """The median over the reports of a run of its own."""
    shutil.rmtree(
        out / name, ignore_errors=True
    )  # of an earlier measurement: a finished run would only tell its old speeds
    data = [
        "--train",
        str(out / "train"),
        "--dev",
        str(out / "dev"),
        "--source",
        "nl",
        "--target",
        "en",
        "--run",
        str(out / name),
    ]
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    launcher = [
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
        "-m",
        "--",
        "nmt",
    ]
    command = [
        sys.executable,
        "-m",
        *(launcher if processes > 1 else ["nmt"]),
        "train",
        *data,
        *settings,
    ]
    ended = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if ended.returncode:
        raise NmtError(f"{' '.join(command)}: {ended.stderr.strip().splitlines()[-1]}")
    rows = RunFolder(out / name).metrics()
    return statistics.median(
        [row["pieces_per_second"] for row in rows if row["kind"] == "update"][WARM_UP:]
    )
