"""scripts/translate-ray.py on a real Ray of one machine; skipped where Ray is not installed."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import untrained_run

ROOT = Path(__file__).parent.parent
FP32 = ("--precision", "fp32", "--device", "cpu")
RAY = [sys.executable, "-c", "import sys; from ray.scripts.scripts import main; sys.exit(main())"]

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install '.[ray]'"
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running Ray of two cores on the loopback interface: what its clients need in their
    environment."""
    folder = tmp_path_factory.mktemp("ray")
    variables = os.environ | {
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }
    head = [
        "--head",
        "--node-ip-address=127.0.0.1",
        "--port=0",
        "--num-cpus=2",
        "--include-dashboard=false",
    ]
    head += ["--object-store-memory=80000000", f"--temp-dir={folder}", "--disable-usage-stats"]
    address = folder / "ray_current_cluster"
    with (folder / "log").open("wb") as log:
        head_node = subprocess.Popen(
            [*RAY, "start", "--block", *head], env=variables, cwd=folder, stdout=log, stderr=log
        )
    deadline = time.monotonic() + 120
    while not address.exists():
        assert head_node.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.1)
    yield variables | {"RAY_ADDRESS": address.read_text().strip()}
    # ends what it has started, and leaves other clusters of this machine alone
    head_node.terminate()
    head_node.wait(60)


def run(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "scripts/translate-ray.py"), *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def process_with(text: str) -> int | None:
    """A running `nmt translate` with this text in its command."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if text in command and "translate" in command and "-m" in command:
            return int(folder.name)
    return None


@needs_ray
@pytest.mark.slow
def test_the_tasks_of_ray_make_the_whole_though_one_is_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    model = untrained_run(tmp_path)
    (tmp_path / "in").write_text("".join(f"de kat {number}\n" for number in range(40)))
    whole = [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        model,
        "-i",
        str(tmp_path / "in"),
        "-o",
        str(tmp_path / "whole"),
        *FP32,
    ]
    subprocess.run(whole, env=environment, check=True, capture_output=True)
    client = run(environment, "3", model, str(tmp_path / "in"), str(tmp_path / "out"), *FP32)
    victim, deadline = None, time.monotonic() + 120
    while victim is None and client.poll() is None and time.monotonic() < deadline:
        victim = process_with(f"{tmp_path}/out.shard-2-of-3")
        time.sleep(0.01)
    assert victim is not None, client.communicate()[1]
    os.kill(victim, signal.SIGKILL)
    said = client.communicate(timeout=200)[1]
    assert client.returncode == 0, said
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("out*")) == [
        "out",
        *(f"out.shard-{part}-of-3" for part in (1, 2, 3)),
    ]


@needs_ray
@pytest.mark.slow
def test_a_shard_that_fails_is_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "in").write_text("de kat\n")
    client = run(
        environment,
        "1",
        str(tmp_path / "nowhere"),
        str(tmp_path / "in"),
        str(tmp_path / "out"),
        *FP32,
    )
    said = client.communicate(timeout=200)[1]
    assert client.returncode == 1
    assert "Traceback" not in said
    assert f"translate-ray: shard 1 of 1: {tmp_path}/nowhere" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [["2", "model"], ["0", "model", "in", "out"], ["two", "model", "in", "out"]]
)
def test_bad_arguments_are_a_usage_line(arguments: list[str]) -> None:
    client = run(dict(os.environ | {"PYTHONPATH": str(ROOT)}), *arguments)
    said = client.communicate(timeout=60)[1]
    assert (client.returncode, said.split(" ")[0]) == (2, "usage:")


def test_a_missing_ray_is_reported(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('ray')")
    client = run(
        dict(os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}),
        "2",
        "model",
        "in",
        "out",
    )
    said = client.communicate(timeout=60)[1]
    assert (client.returncode, said) == (
        1,
        "translate-ray: Ray is not installed; pip install ray, on every machine\n",
    )
