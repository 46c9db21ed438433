"""Kill a training run again and again at random moments; in the end it must equal a run that nobody disturbed, to the bit.

python -m evaluation.kills [--kills 20] [--seed 1]

A small model with dropout and subword sampling on trains on a part of the bundled corpus. Each process gets SIGKILL, SIGTERM or SIGINT
after a random time, and the same command is given again.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from nmt.data.corpus import read_pairs
from nmt.hashing import file_hash

SETTINGS = {
    "subwords.vocab_size": "600", "subwords.sampling": "0.2", "model.embedding_size": "32", "model.hidden_size": "32",
    "training.epochs": "6", "training.batch_pieces": "256", "training.report_every": "5", "training.validate_every": "40",
    "training.save_minutes": "0.01", "training.threads": "1", "training.precision": "fp32", "search.beam": "2",
}  # fmt: skip


def command(corpus: Path, run: Path) -> list[str]:
    """The training command; each call of it continues the run."""
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    data = ["--train", str(corpus / "train"), "--dev", str(corpus / "dev"), "--source", "nl", "--target", "en", "--run", str(run)]
    return [sys.executable, "-m", "nmt", "train", *data, *settings]


def write_part(corpus: Path) -> None:
    """1,000 pairs to learn from and 20 to validate on."""
    pairs = read_pairs("corpora/tatoeba-nld-eng", "nl", "en", "train")
    for name, count in (("train", 1000), ("dev", 20)):
        chosen = list(islice(pairs, count))
        (corpus / f"{name}.nl").write_text("".join(f"{pair.source}\n" for pair in chosen), encoding="utf-8")
        (corpus / f"{name}.en").write_text("".join(f"{pair.target}\n" for pair in chosen), encoding="utf-8")


def fingerprint(run: Path) -> dict[str, str]:
    """What must not depend on interruptions: weights, average, optimizer and random states, the best checkpoint, metrics but for speeds."""
    found = {name: file_hash(run / "last" / name) for name in ("model.safetensors", "averaged.safetensors", "optimizer.safetensors")}
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    found["metrics"] = json.dumps([{key: value for key, value in row.items() if key != "pieces_per_second"} for row in rows])
    found["best"] = str((run / "best").readlink())
    return found


def disturbed(corpus: Path, run: Path, kills: int, generator: random.Random, longest: float) -> dict[str, int]:
    """Trains with interruptions until the run has ended; returns how often each signal struck."""
    struck: dict[str, int] = {}
    while True:
        process = subprocess.Popen(command(corpus, run), stderr=subprocess.PIPE, text=True)
        if sum(struck.values()) < kills:
            time.sleep(generator.uniform(0.0, longest))
            number = generator.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
            if process.poll() is None:
                process.send_signal(number)
                struck[number.name] = struck.get(number.name, 0) + 1
        error = process.communicate()[1]
        if "Traceback" in error or process.returncode == 1:
            raise SystemExit(f"the run failed:\n{error}")
        if process.returncode == 0:
            return struck


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="for each run, as long as it lasts")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        write_part(corpus)
        start = time.monotonic()
        subprocess.run(command(corpus, corpus / "whole"), check=True, stderr=subprocess.DEVNULL)
        longest = min(8.0, time.monotonic() - start)
        expected = fingerprint(corpus / "whole")
        struck: dict[str, int] = {}
        runs = 0
        while sum(struck.values()) < arguments.kills:
            runs += 1
            for name, count in disturbed(
                corpus, corpus / f"run-{runs}", arguments.kills - sum(struck.values()), generator, longest
            ).items():
                struck[name] = struck.get(name, 0) + count
            found = fingerprint(corpus / f"run-{runs}")
            different = [key for key in expected if found[key] != expected[key]]
            if different:
                raise SystemExit(f"run {runs} differs from the undisturbed one in {', '.join(different)}")
    print(json.dumps({"interruptions": sum(struck.values()), "signals": struck, "runs": runs, "identical": True}))


if __name__ == "__main__":
    main()
