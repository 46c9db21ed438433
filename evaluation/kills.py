"""Kill training runs again and again at random moments; each must end as a run that nobody
disturbed, to the bit.

python -m evaluation kills [--kills 200] [--seed 1] [--save]

A small model with dropout and subword sampling on, in the number format that is fastest here,
trains on a part of the bundled corpus. Each process gets SIGKILL, now and then SIGTERM, SIGINT or
SIGUSR1, at a random moment of its start, of the preparation of the data or of training; then the
same command is given again. Most processes save after every update, so that many are struck while
they write a checkpoint.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from nmt.errors import NmtError
from nmt.files import file_hash
from nmt.run_folder import AVERAGED, OPTIMIZER, SHORTLIST, SUBWORDS, WEIGHTS, RunFolder, update_of
from nmt.text.corpus import read_pairs
from nmt.training.checkpoint import newest

SETTINGS = {
    "subwords.vocab_size": "600", "subwords.sampling": "0.2", "model.embedding_size": "32", "model.hidden_size": "128",  # noqa: E501
    "training.epochs": "4", "training.batch_pieces": "512", "training.report_every": "1", "training.validate_every": "40",  # noqa: E501
    "training.threads": "1", "training.precision": "auto", "search.beam": "2",
}  # fmt: skip
SAVE_MINUTES = (1e-9, 1e-9, 1e-9, 5e-3)  # after every update, or after some 10 of them
SIGNALS = [signal.SIGKILL] * 9 + [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
EARLY = 6  # interruptions of each run that are meant for the preparation of its data
MARKS = {
    "start": "",
    "data": "reading",
    "training": "parameters,",
}  # phase -> what the line on stderr has that it begins with
LONGEST = {"start": 3.0, "data": 0.4, "training": 1.2}  # seconds between the mark and the signal
WHOLE = (
    SUBWORDS,
    SHORTLIST,
    "data/pairs.arrow",
    *(f"last/{name}" for name in (WEIGHTS, AVERAGED, OPTIMIZER)),
    f"best/{AVERAGED}",
)


class Struck(NamedTuple):
    """One interruption."""

    signal: str
    place: str
    repeated: int  # updates that have to be made again


def command(corpus: Path, run: Path, save_minutes: float) -> list[str]:
    """The training command; each call of it continues the run."""
    values = {**SETTINGS, "training.save_minutes": save_minutes}
    settings = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    data = [
        "--train",
        str(corpus / "train"),
        "--dev",
        str(corpus / "dev"),
        "--source",
        "nl",
        "--target",
        "en",
        "--run",
        str(run),
    ]
    return [sys.executable, "-m", "nmt", "train", *data, *settings]


def write_part(corpus: Path, learnt: int = 1000) -> None:
    """So many pairs of the bundled corpus to learn from, and 20 to validate on."""
    pairs = read_pairs("corpora/tatoeba-nld-eng", "nl", "en", "train")
    for name, count in (("train", learnt), ("dev", 20)):
        chosen = list(islice(pairs, count))
        (corpus / f"{name}.nl").write_text(
            "".join(f"{pair.source}\n" for pair in chosen), encoding="utf-8"
        )
        (corpus / f"{name}.en").write_text(
            "".join(f"{pair.target}\n" for pair in chosen), encoding="utf-8"
        )


def fingerprint(run: Path) -> dict[str, str]:
    """What must not depend on interruptions: data, weights, average, optimizer, random states,
    the best checkpoint, metrics but speeds."""
    found = {name: file_hash(run / name) for name in WHOLE}
    rows = RunFolder(run).metrics()
    found["metrics"] = json.dumps(
        [{key: value for key, value in row.items() if key != "pieces_per_second"} for row in rows]
    )
    found["best"] = str((run / "best").readlink())
    return found


def interrupt(
    process: "subprocess.Popen[str]", number: signal.Signals, mark: str, seconds: float
) -> tuple[bool, str]:
    """Sends a signal so many seconds after a line with the mark; whether the process still ran
    then, and all that it said."""
    assert process.stderr
    said = ""
    while mark and (line := process.stderr.readline()):
        said += line
        if mark in line:
            break
    time.sleep(seconds)
    running = process.poll() is None
    if running:
        process.send_signal(number)
    return running, said + process.communicate()[1]


def half_written(run: Path) -> set[str]:
    """The checkpoints that were not finished."""
    return {folder.name for folder in run.glob("checkpoints/.*.writing")}


def place_of(said: str, run: Path, before: set[str]) -> str:
    """Where a process was when it ended, by what it had said and what it left behind beside the
    half-written checkpoints of `before`."""
    if MARKS["data"] not in said:
        return "before it looked at the run"
    if not RunFolder(run).shortlist.exists():
        return "making subwords, store or shortlist"
    if MARKS["training"] not in said:
        return "opening the run"
    return "writing a checkpoint" if half_written(run) - before else "training"


def lost_updates(said: str, run: Path) -> int:
    """Updates that were reported and are in no checkpoint."""
    reported = [
        int(line.split()[2].partition("/")[0].replace(",", ""))
        for line in said.splitlines()
        if line.startswith("nmt: update ")
    ]
    folder = newest(run)[0]
    return max(0, reported[-1] - (update_of(folder) if folder else 0)) if reported else 0


def disturbed(corpus: Path, run: Path, kills: int, generator: random.Random) -> list[Struck]:
    """Trains until the run has ended, with interruptions as long as there are less than so many
    SIGKILLs."""
    struck: list[Struck] = []
    while True:
        before = half_written(run)
        process = subprocess.Popen(
            command(corpus, run, generator.choice(SAVE_MINUTES)), stderr=subprocess.PIPE, text=True
        )
        phase = ""
        if sum(each.signal == "SIGKILL" for each in struck) < kills:
            phase = "data" if len(struck) < EARLY else generator.choices(list(MARKS), [1, 1, 8])[0]
            number = generator.choice(SIGNALS)
            running, said = interrupt(
                process, number, MARKS[phase], generator.uniform(0.0, LONGEST[phase])
            )
            if running:
                struck.append(
                    Struck(number.name, place_of(said, run, before), lost_updates(said, run))
                )
        else:
            said = process.communicate()[1]
        # Ctrl-C while Python itself starts is Python's to tell.
        if process.returncode == 1 or ("Traceback" in said and phase != "start"):
            raise NmtError(f"the run failed:\n{said}")
        if process.returncode == 0:
            return struck


def measures_of(struck: list[Struck], runs: int) -> dict[str, dict[str, float | str]]:
    """How many interruptions of each kind there were, after all runs have ended as the
    undisturbed one did."""
    signals, places = (
        Counter(each.signal for each in struck),
        Counter(each.place for each in struck),
    )
    counts = {
        "runs that differ from the undisturbed one": (0, f"of {runs} runs"),
        **{f"signal: {name}": (count, "interruptions") for name, count in sorted(signals.items())},
        **{f"struck: {place}": (count, "interruptions") for place, count in sorted(places.items())},
        "updates made again": (sum(each.repeated for each in struck), "updates"),
    }
    return {
        name: {"value": value, "noise": 0 if name.startswith("runs") else value, "unit": unit}
        for name, (value, unit) in counts.items()
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kills",
        type=int,
        default=20,
        help="SIGKILLs in all; other signals come on top (default: 20)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of the moments and signals (default: 1)"
    )


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Disturbs runs until there were as many kills.

    Raises:
        NmtError: a run failed, or did not end as the undisturbed one.
    """
    generator = random.Random(arguments.seed)
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background job ignores it, and so would the runs
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        write_part(corpus)
        subprocess.run(
            command(corpus, corpus / "whole", 10.0), check=True, stderr=subprocess.DEVNULL
        )
        expected = fingerprint(corpus / "whole")
        struck: list[Struck] = []
        runs = 0
        while (left := arguments.kills - sum(each.signal == "SIGKILL" for each in struck)) > 0:
            runs += 1
            struck += disturbed(corpus, corpus / f"run-{runs}", left, generator)
            found = fingerprint(corpus / f"run-{runs}")
            different = [key for key in expected if found[key] != expected[key]]
            left_behind = [path.name for path in (corpus / f"run-{runs}").rglob("*.writing")]
            if different or left_behind:
                raise NmtError(
                    f"run {runs} differs from the undisturbed one in"
                    f" {', '.join(different + left_behind)}"
                )
            print(f"run {runs}: {len(struck)} interruptions so far", file=sys.stderr, flush=True)
    return {"seed": arguments.seed, "measures": measures_of(struck, runs)}
