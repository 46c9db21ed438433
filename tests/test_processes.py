"""Training by several processes is training by one: the same batches, the same gradients, the
same curve."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import write_corpus
from safetensors.torch import load_file

from nmt.errors import NmtError
from nmt.training.distributed import ALONE, joined

ROOT = Path(__file__).parent.parent
SETTINGS = [
    *(
        "subwords.vocab_size=330",
        "subwords.variety=0",
        "model.embedding_size=16",
        "model.hidden_size=16",
        "training.threads=1",
        "training.precision=fp32",
    ),
    *(
        "training.batch_pieces=160",
        "training.warmup=5",
        "training.report_every=3",
        "search.beam=1",
        "training.epochs=2",
    ),
]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node"]


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """The end of a training command, all but the run folder."""
    train, dev = write_corpus(tmp_path / "train", 120), write_corpus(tmp_path / "dev", 10, seed=2)
    data = ["--train", train, "--dev", dev, "--source", "nl", "--target", "en"]
    return ["train", *data, *(part for setting in SETTINGS for part in ("--set", setting))]


def run(processes: int, *arguments: str) -> str:
    """Trains to the end; returns what was logged."""
    launcher = [*TORCHRUN, str(processes), "--standalone"] if processes > 1 else [sys.executable]
    command = [*launcher, "-m", *(["--"] if processes > 1 else []), "nmt", *arguments]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def losses(run: Path) -> list[float]:
    return [
        json.loads(line)["cross_entropy"]
        for line in (run / "metrics.jsonl").read_text().splitlines()
    ]


def test_two_processes_follow_the_curve_of_one_and_tell_it_once(
    options: list[str], tmp_path: Path
) -> None:
    plain = [
        *options,
        "--set",
        "model.dropout=0",
        "--set",
        "subwords.rare_characters=0",
        "--set",
        "training.accumulate=2",
    ]
    run(1, *plain, "--run", str(tmp_path / "one"))
    log = run(2, *plain, "--run", str(tmp_path / "two"))
    assert log.count("nmt: finished at update") == 1
    assert "2 processes, cpu in fp32" in log
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    for name in ("model", "averaged"):
        one, two = (
            load_file(tmp_path / folder / "last" / f"{name}.safetensors")
            for folder in ("one", "two")
        )
        for key, value in one.items():
            torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-6)


def test_a_process_that_dies_is_replaced_and_training_goes_on(
    options: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    endless = [
        *options,
        "--run",
        str(folder),
        "--set",
        "training.epochs=100000",
        "--set",
        "training.save_minutes=0.000001",
    ]
    command = [*TORCHRUN, "2", "--standalone", "--max-restarts", "1", "-m", "--", "nmt", *endless]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as launcher:
        assert launcher.stderr
        seen = _until(launcher.stderr, "nmt: update 6/")
        victim = next(
            pid for pid in _children(launcher.pid) if _environment(pid).get("RANK") == "1"
        )
        os.kill(victim, signal.SIGKILL)
        seen = _until(launcher.stderr, "nmt: continuing after update ")
        update = int(seen.rpartition(" ")[2].replace(",", ""))
        assert update >= 3
        _until(launcher.stderr, f"nmt: update {3 * (update // 3) + 3:,}/")
        launcher.terminate()
        rest = launcher.communicate(timeout=60)[1]
    assert "the same command continues" in rest
    run(
        1, *options, "--run", str(folder)
    )  # alone, from where the two have stopped: past the second epoch, so nothing is left to do


def _until(stream, start: str) -> str:
    for line in stream:
        if line.startswith(start):
            return str(line.strip())
    raise AssertionError(f"it ended without {start!r}")


def _children(pid: int) -> list[int]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
        if len(found) >= 2:
            return found
        time.sleep(0.1)
    raise AssertionError("the launcher has no children")


def _environment(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(pair.decode().split("=", 1) for pair in pairs if b"=" in pair)


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with joined(torch.device("cpu")) as processes:
        assert processes == ALONE
    assert ALONE.total(7, torch.device("cpu")) == 7
    assert ALONE.share({"a": 1}, torch.device("cpu")) == {"a": 1}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"WORLD_SIZE": "2"},
            r"RANK and WORLD_SIZE must be numbers, got None and '2'; start with torchrun",
        ),
        ({"WORLD_SIZE": "2", "RANK": "one"}, r"must be numbers, got 'one' and '2'"),
        (
            {"WORLD_SIZE": "2", "RANK": "1"},
            r"cannot join the other processes \(.*MASTER_ADDR.*\); start training with torchrun",
        ),
    ],
)
def test_half_of_torchruns_environment_is_refused(
    environment: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NmtError, match=message), joined(torch.device("cpu")):
        pass
