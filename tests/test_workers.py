"""Several processes translate as one does: the same bytes, whole lines, and no word lost about
what went wrong."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import untrained_run
from whim import Whim

from nmt.commands.main import main
from nmt.errors import NmtError
from nmt.text.lines import CHUNK_LINES, Line
from nmt.translation.job import Chunk, Rendered
from nmt.translation.workers import AHEAD, render_all

ROOT = Path(__file__).parent.parent
KINDS = [
    b"",
    b"de kat",
    b"een hond \xff",
    "de 🙂 kat\u2028 zit".encode(),
    b"a\rb",
    b"mat",
    b"de hond " * 60,
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return untrained_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three chunks of lines of all kinds, the last one short and without its line feed."""
    path = tmp_path_factory.mktemp("text") / "in"
    path.write_bytes(
        b"\n".join(
            KINDS[min(number % 40, 5 + (number % 400 == 7))]
            for number in range(2 * CHUNK_LINES + 50)
        )
    )
    return path


@pytest.fixture(scope="module")
def long_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than anyone would translate before the test has done what it does."""
    path = tmp_path_factory.mktemp("long") / "in"
    path.write_bytes(b"a\n" * 500 * CHUNK_LINES)
    return path


def chunks(*texts: str, failure: str = "") -> Iterator[Chunk]:
    """Chunks of two lines, and an error of reading behind them."""
    for number, text in enumerate(texts):
        yield Chunk(2 * number, [Line(text), Line("")])
    if failure:
        raise NmtError(failure)


def rendered(given: Iterator[Chunk], workers: int = 2) -> tuple[list[Rendered], Exception | None]:
    """What came, and the error that ended it."""
    results = []
    try:
        for result in render_all(Whim(), given, workers):  # type: ignore[arg-type]
            results.append(result)
    except Exception as error:
        return results, error
    return results, None


def test_results_come_in_the_order_of_the_input() -> None:
    texts = ["sleep", "b", "c", "sleep", "e", "f", "g"]
    assert rendered(chunks(*texts)) == (
        [Rendered([text, ""], [f"{2 * number}"]) for number, text in enumerate(texts)],
        None,
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_reading_comes_after_the_lines_before_it(workers: int) -> None:
    for texts in (["a"], ["sleep", "b", "c"]):
        results, error = rendered(chunks(*texts, failure="in:9: not JSON"), workers)
        assert [result.lines[0] for result in results] == texts
        assert isinstance(error, NmtError)
        assert str(error) == "in:9: not JSON"


def test_a_dead_worker_is_reported_with_its_lines() -> None:
    results, error = rendered(chunks("sleep", "b", "die", "d", "e"))
    assert [result.lines[0] for result in results] == ["sleep", "b"]
    with pytest.raises(
        NmtError,
        match=(
            r"^in: the worker that translated lines 5 to 6 died \(exit status -9\); everything"
            r" before"
        ),
    ):
        raise error or AssertionError


def test_all_workers_may_die() -> None:
    results, error = rendered(chunks("a", *["die"] * 8))
    assert [result.lines[0] for result in results] == ["a"]
    assert "lines 3 to 4 died" in str(error)


def test_an_error_in_a_worker_is_the_same_error_here() -> None:
    results, error = rendered(chunks("a", "fail", "c"))
    assert [result.lines[0] for result in results] == ["a"]
    assert isinstance(error, NmtError)
    assert str(error) == "in: a failure"


def test_a_bug_in_a_worker_keeps_its_traceback() -> None:
    _, error = rendered(chunks("a", "bug"))
    assert isinstance(error, LookupError)
    assert 'raise LookupError("a bug")' in error.__notes__[0]


def test_no_more_is_read_than_workers_need() -> None:
    read: list[Chunk] = []

    def endless() -> Iterator[Chunk]:
        for number in itertools.count():
            read.append(Chunk(number, [Line("a")]))
            yield read[-1]

    results = render_all(Whim(), endless(), 2)  # type: ignore[arg-type]
    for given in range(1, 30):
        next(results)
        assert len(read) <= given + 2 * AHEAD
    results.close()


def test_a_single_chunk_is_translated_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.translation.workers._Worker", None)
    assert rendered(chunks("a"), workers=8) == ([Rendered(["a", ""], ["0"])], None)
    assert rendered(chunks(), workers=8) == ([], None)


def translate(model: str, *arguments: str) -> int:
    return main(["translate", model, "--device", "cpu", *arguments])


@pytest.mark.parametrize("extras", [[], ["--n-best", "2"]], ids=str)
def test_workers_change_no_byte(
    extras: list[str], model: str, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for workers in ("1", "2"):
        output = ["-o", str(tmp_path / workers), "--workers", workers]
        assert translate(model, "--precision", "fp32", "-i", str(text), *extras, *output) == 0
        said.append(capsys.readouterr().err.splitlines())
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert extras or (tmp_path / "1").read_bytes().count(b"\n") == 2 * CHUNK_LINES + 50
    assert sorted(said[0]) == sorted(said[1])
    segmented = [
        [int(line.split(":")[2]) for line in lines if "segments" in line] for lines in said
    ]
    assert segmented[0] == segmented[1] == list(range(8, 2 * CHUNK_LINES + 50, 400))


def test_workers_change_no_json_line(model: str, tmp_path: Path) -> None:
    records = [
        {"id": number, "text": "de kat " * (number % 3)} for number in range(CHUNK_LINES + 20)
    ]
    (tmp_path / "in").write_text(
        "".join(json.dumps(record) + "\n" for record in records) + "\n", encoding="utf-8"
    )
    for workers in ("1", "2"):
        output = ["-o", str(tmp_path / workers), "--workers", workers]
        assert (
            translate(
                model,
                "--precision",
                "fp32",
                "--format",
                "jsonl",
                "-i",
                str(tmp_path / "in"),
                *output,
            )
            == 0
        )
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    written = [
        json.loads(line)
        for line in (tmp_path / "2").read_text(encoding="utf-8").splitlines()
        if line
    ]
    assert [record["id"] for record in written] == [record["id"] for record in records]


def test_the_probe_chooses_once_for_all(
    model: str, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def record(task: object, limit: int) -> None:
        given.append(task)
        raise NmtError("enough")

    monkeypatch.setattr("nmt.translation.workers._Workers", record)
    kernels = SimpleNamespace(precision="int8", name="the ones of this machine")
    monkeypatch.setattr(
        "nmt.translation.translator.Translator.load",
        lambda *_, **__: SimpleNamespace(
            network=SimpleNamespace(pinned_precision=kernels, independent=False, note="", **ON_CPU),
            settings=lambda options, n_best: SimpleNamespace(beam=5),
            paths=(),
        ),
    )
    assert translate(model, "-i", str(text), "--workers", "2") == 1
    assert given[0].precision is kernels


ON_CPU = {"precision": "int8", "device": SimpleNamespace(type="cpu")}


def test_each_core_has_its_worker_unless_torchrun_started_several(
    model: str, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = []

    def record(job: object, chunks: object, workers: int) -> Iterator[Rendered]:
        wanted.append(workers)
        yield from ()

    monkeypatch.setattr("nmt.commands.translate.usable_cores", lambda: 12)
    monkeypatch.setattr("nmt.translation.workers.render_all", record)
    output = ["-o", str(tmp_path / "out")]
    assert translate(model, "-i", str(text), *output) == 0
    assert translate(model, "-i", str(text), *output, "--workers", "3") == 0
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert translate(model, "-i", str(text), *output) == 0
    assert wanted == [12, 3]  # under torchrun nobody is asked: each process translates alone


def test_workers_on_a_gpu_are_refused(
    model: str, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(SystemExit) as exit_info:
        main(["translate", model, "-i", str(text), "--workers", "2"])
    assert exit_info.value.code == 2
    assert (
        "--workers is for processors: a GPU is kept busy by one process" in capsys.readouterr().err
    )


def test_a_typed_line_is_translated_at_once(model: str) -> None:
    ours, terminal = os.openpty()
    command = [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        model,
        "--precision",
        "fp32",
        "--device",
        "cpu",
        "--workers",
        "2",
    ]
    with subprocess.Popen(
        command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        os.close(terminal)
        assert process.stdout
        for _ in range(2):
            os.write(ours, b"de kat\n")
            assert process.stdout.readline().endswith(b"\n")
        assert workers_of(process.pid) == []
        os.write(ours, b"\x04")  # the end of the text, as typed
        assert process.communicate(timeout=60) == (b"", b"")
        assert process.returncode == 0
    os.close(ours)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def workers_of(pid: int) -> list[int]:
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [
        child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.fixture
def running(
    model: str, long_text: Path, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A translation with two workers that has written something, and the workers."""
    command = [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        model,
        "-i",
        str(long_text),
        "-o",
        str(tmp_path / "out"),
    ]
    options = ["--precision", "fp32", "--device", "cpu", "--workers", "2"]
    with subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True
    ) as process:
        partial = tmp_path / "out.partial"
        wait_for(
            lambda: process.poll() is not None or (partial.exists() and partial.stat().st_size)
        )
        assert process.poll() is None
        workers = workers_of(process.pid)
        assert len(workers) == 2
        yield process, workers
        process.kill()
    wait_for(lambda: not any(alive(worker) for worker in workers))


def whole_lines(path: Path) -> int:
    content = path.read_bytes()
    assert content.endswith(b"\n")
    lines = content.splitlines()
    assert len(set(lines)) == 1
    return len(lines)


def test_a_killed_worker_ends_the_run_and_loses_nothing_before_it(
    running: tuple[subprocess.Popen[bytes], list[int]], long_text: Path, tmp_path: Path
) -> None:
    process, workers = running
    os.kill(workers[1], signal.SIGKILL)
    err = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 1
    found = re.fullmatch(
        rf"nmt: error: {long_text}: the worker that translated lines ([\d,]+) to ([\d,]+) died"
        r" \(exit status -9\);.*\n",
        err,
    )
    assert found, err
    first, last = (int(number.replace(",", "")) for number in found.groups())
    assert last - first + 1 == CHUNK_LINES
    assert whole_lines(tmp_path / "out.partial") == first - 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("number", "group", "status"),
    [(signal.SIGINT, True, 130), (signal.SIGTERM, True, 143), (signal.SIGTERM, False, 143)],
)
def test_signals_leave_whole_lines_and_no_process(
    number: signal.Signals,
    group: bool,
    status: int,
    running: tuple[subprocess.Popen[bytes], list[int]],
    tmp_path: Path,
) -> None:
    process, workers = running
    (os.killpg if group else os.kill)(
        process.pid, number
    )  # a terminal's Ctrl-C goes to the group, `kill` to the process
    err = process.communicate(timeout=120)[1]
    assert process.returncode == status
    assert b"Traceback" not in err
    assert b"error" not in err
    assert whole_lines(tmp_path / "out.partial") % CHUNK_LINES == 0
    wait_for(lambda: not any(alive(worker) for worker in workers))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_workers_are_gone_within_a_second_of_their_run(
    number: signal.Signals, running: tuple[subprocess.Popen[bytes], list[int]]
) -> None:
    process, workers = running
    process.send_signal(number)
    process.wait()
    time.sleep(1)
    assert not any(alive(worker) for worker in workers)
    assert b"Traceback" not in process.communicate()[1]


def test_ctrl_c_while_workers_start_is_quiet(model: str, long_text: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        model,
        "-i",
        str(long_text),
        "--precision",
        "fp32",
        "--workers",
        "2",
    ]
    options = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.PIPE,
        "cwd": ROOT,
        "start_new_session": True,
    }
    with subprocess.Popen([*command, "--device", "cpu"], **options) as process:  # type: ignore[call-overload]
        wait_for(lambda: process.poll() is not None or workers_of(process.pid))
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate(timeout=120)[1] == b"nmt: interrupted\n"
        assert process.returncode == 130


def test_a_reader_that_leaves_ends_the_workers(model: str, long_text: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        model,
        "-i",
        str(long_text),
        "--precision",
        "fp32",
        "--workers",
        "2",
    ]
    with subprocess.Popen(
        [*command, "--device", "cpu"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
        assert process.wait(timeout=120) == 141
