"""The scripts for Slurm under a real Slurm of one node; skipped where it cannot be started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_cluster
from conftest import untrained_run, write_corpus
from slurm_cluster import Cluster
from training_runs import assert_same_run

ROOT = Path(__file__).parent.parent
VARIABLES = {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
FP32 = ("--precision", "fp32", "--device", "cpu")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(slurm_cluster.why_not() is not None, reason=str(slurm_cluster.why_not())),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


def nmt(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nmt", *arguments],
        env=os.environ | VARIABLES,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def processes_of(text: str) -> list[int]:
    """Running processes with this text in their command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:
            continue
        if text in command and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def test_an_array_writes_the_shards_of_the_whole_though_a_task_is_killed(
    cluster: Cluster, tmp_path: Path
) -> None:
    model = untrained_run(tmp_path)
    (tmp_path / "in").write_text("".join(f"de kat {number}\n" for number in range(60)))
    nmt("translate", model, "-i", str(tmp_path / "in"), "-o", str(tmp_path / "whole"), *FP32)
    arguments = [
        str(ROOT / "scripts/translate-slurm"),
        model,
        str(tmp_path / "in"),
        str(tmp_path / "out"),
        *FP32,
    ]
    first = cluster.submit("--array=1-2", *arguments, cwd=tmp_path, **VARIABLES)
    cluster.wait(f"{first}_1", "RUNNING")
    deadline = time.monotonic() + 60
    while (
        not (victims := processes_of(f"{tmp_path}/out.shard-1-of-2"))
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    assert cluster.wait(f"{first}_1", "FAILED", "COMPLETED")["JobState"] == "FAILED"
    cluster.wait(f"{first}_2", "COMPLETED")
    assert not (tmp_path / "out.shard-1-of-2").exists()
    second = cluster.submit("--array=1-2", *arguments, cwd=tmp_path, **VARIABLES)
    for task in (1, 2):
        cluster.wait(f"{second}_{task}", "COMPLETED")
    assert (
        f"{tmp_path}/out.shard-2-of-2 exists already"
        in (tmp_path / f"slurm-{second}_2.out").read_text()
    )
    shards = sorted(tmp_path.glob("out.shard-*"))
    assert b"".join(shard.read_bytes() for shard in shards) == (tmp_path / "whole").read_bytes()


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    train, dev = write_corpus(tmp_path / "train", 300), write_corpus(tmp_path / "dev", 10, seed=2)
    settings = [
        "subwords.vocab_size=330",
        "subwords.variety=0",
        "model.embedding_size=16",
        "model.hidden_size=16",
        "training.precision=fp32",
    ]
    settings += [
        "training.threads=1",
        "training.batch_pieces=160",
        "search.beam=1",
        "training.report_every=3",
        "training.epochs=4",
    ]
    data = ["--train", train, "--dev", dev, "--source", "nl", "--target", "en"]
    return [*data, *(part for setting in settings for part in ("--set", setting))]


def test_a_training_job_near_its_time_limit_is_requeued_and_ends_with_the_same_bits(
    cluster: Cluster, options: list[str], tmp_path: Path
) -> None:
    script = [str(ROOT / "scripts/train-slurm"), *options, "--run"]
    job = cluster.submit(
        "--time=10", *script, str(tmp_path / "interrupted"), cwd=tmp_path, **VARIABLES
    )
    after = cluster.submit(
        f"--dependency=afterok:{job}", "--wrap=true", "--mem=100", cwd=tmp_path, **VARIABLES
    )
    log = tmp_path / f"slurm-{job}.out"
    deadline = time.monotonic() + 90
    while not (log.exists() and "nmt: update " in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    cluster.run("scancel", "--batch", "--signal=USR1", job)  # as Slurm does before the limit
    cluster.wait(job, "PENDING")
    while processes_of(
        f"slurmstepd: [{job}."
    ):  # the first start has to be over; Slurm would wait two minutes before the second
        time.sleep(0.05)
    while cluster.run("sinfo", "--noheader", "--format=%T").strip() != "idle":
        time.sleep(0.05)  # and its node free
    cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now")
    ended = cluster.wait(job, "COMPLETED", "FAILED", seconds=180)
    said = log.read_text()
    assert ended["JobState"] == "COMPLETED", (ended, said)
    assert ended["Restarts"] == "1"
    assert "the run is saved and job" in said
    assert (
        "nmt: continuing after update" in said
    )  # in the same file, after the lines of the first start
    assert "Traceback" not in said
    cluster.wait(after, "COMPLETED")
    nmt("train", *options, "--run", str(tmp_path / "whole"))
    assert_same_run(tmp_path / "interrupted", tmp_path / "whole")


def test_training_asks_for_a_part_of_the_node(
    cluster: Cluster, options: list[str], tmp_path: Path
) -> None:
    job = cluster.submit(
        "--hold",
        str(ROOT / "scripts/train-slurm"),
        *options,
        "--run",
        "run",
        cwd=tmp_path,
        **VARIABLES,
    )
    asked = cluster.job(job)
    cluster.run("scancel", job)
    assert (asked["NumCPUs"], asked["MinMemoryCPU"], asked["Requeue"]) == ("1", "2G", "1")


def test_bad_arguments_end_a_job_with_the_usage(cluster: Cluster, tmp_path: Path) -> None:
    job = cluster.submit(str(ROOT / "scripts/train-slurm"), cwd=tmp_path, **VARIABLES)
    assert cluster.wait(job, "FAILED")["ExitCode"] == "2:0"
    assert (tmp_path / f"slurm-{job}.out").read_text().startswith("usage: sbatch")
