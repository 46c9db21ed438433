"""Memory that is limited: one line that says what is taken and which limit it is, never an
abort."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_corpus

from nmt.commands.memory import is_shortage, shortage_line
from nmt.errors import NmtError
from nmt.machine import require_threads

ROOT = Path(__file__).parent.parent
MB = 1 << 20


def limited(megabytes: int, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """What `nmt` does with so much address space, as after ulimit -v."""
    return subprocess.run(
        [sys.executable, "-m", "nmt", *arguments],
        capture_output=True,
        cwd=ROOT,
        encoding="utf-8",
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes * MB, megabytes * MB)),
    )


def assert_done_or_told(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("nmt: error: out of memory")


@pytest.mark.parametrize("command", ["info", "translate"])
@pytest.mark.parametrize("megabytes", [200, 300, 400, 500])
def test_libraries_that_do_not_fit_are_one_line(
    tmp_path: Path, megabytes: int, command: str
) -> None:
    """OpenBLAS and torch would end the process themselves, with lines of their own."""
    done = limited(megabytes, [command, str(tmp_path)])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "nmt: error: out of memory: torch cannot be loaded; raise the limit on address space,"
        f" {megabytes / 1024:.2f} GiB (ulimit -v), to 1 GiB or more\n"
    )


def test_libraries_that_fit_in_part_are_one_line(tmp_path: Path) -> None:
    assert_done_or_told(limited(540, ["average", str(tmp_path), "--last", "1"]))


def test_what_needs_no_torch_runs_in_little_address_space(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "train", 6)
    languages = ["--source", "nl", "--target", "en"]
    done = limited(300, ["recipe", "--train", corpus, "--dev", corpus, *languages])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("megabytes", [1000, 1500])
def test_training_in_too_little_address_space_is_one_line(tmp_path: Path, megabytes: int) -> None:
    corpus = write_corpus(tmp_path / "train", 60)
    options = [
        "--train",
        corpus,
        "--dev",
        corpus,
        "--source",
        "nl",
        "--target",
        "en",
        "--run",
        str(tmp_path / "run"),
    ]
    settings = ["training.threads=2", "training.epochs=1", "model.hidden_size=32", "search.beam=1"]
    assert_done_or_told(
        limited(
            megabytes,
            ["train", *options, *(part for setting in settings for part in ("--set", setting))],
        )
    )


def test_threads_that_cannot_be_started_are_one_line() -> None:
    require_threads(4)
    code = (
        "import resource, threading; from nmt.machine import require_threads;"
        " threading.stack_size(1 << 28)\n"
    )
    code += "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); require_threads(16)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=ROOT, encoding="utf-8", timeout=60
    )
    expected = (
        "nmt.errors.NmtError: out of memory: 16 threads cannot be started; raise the limits on"
        " memory (ulimit -v) and"
    )
    assert done.stderr.splitlines()[-1].startswith(expected)


def test_a_thread_without_room_breaks_the_barrier_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(size: int) -> bytes:
        raise MemoryError

    monkeypatch.setattr("nmt.machine.bytes", fail, raising=False)
    with pytest.raises(NmtError, match="out of memory: 3 threads cannot be started"):
        require_threads(3)


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (
            RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8"
                " bytes."
            ),
            True,
        ),
        (RuntimeError("can't start new thread"), True),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (
            RuntimeError("could not create a primitive"),
            False,
        ),  # there is no limit: the processor may lack instructions
        (ImportError("no module named x"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_a_shortage_is_told_from_other_errors(error: Exception, short: bool) -> None:
    assert is_shortage(error) is short


def test_a_shortage_says_what_is_taken(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("VmPeak:\t 2097152 kB\nVmHWM:\t 1572864 kB\n")
    line = shortage_line(MemoryError("8 bytes"), status)
    assert line.startswith(
        "out of memory (8 bytes): this process took up to 1.50 GiB of memory and 2.00 GiB of"
        " address space; lower "
    )
    assert shortage_line(MemoryError(), tmp_path / "none").startswith(
        "out of memory; lower training.batch_pieces"
    )
