"""Standard streams that are closed, full or left: one line where results are lost, nothing where
only messages are."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_corpus

from nmt.commands.main import main
from nmt.text.lines import open_writer

ROOT = Path(__file__).parent.parent
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def shell(
    arguments: list[str], redirections: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """What `nmt ARGUMENTS REDIRECTIONS` does in a shell."""
    line = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "nmt", *arguments]
    return subprocess.run(
        line,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        encoding="utf-8",
        input="",
        timeout=120,
    )


@pytest.fixture
def evaluation(tmp_path: Path) -> list[str]:
    """A command that prints a score."""
    (tmp_path / "reference").write_text("dit is één zin\n", encoding="utf-8")
    (tmp_path / "hypothesis").write_text("dat is één zin\n", encoding="utf-8")
    return [
        "evaluate",
        "--reference",
        str(tmp_path / "reference"),
        str(tmp_path / "hypothesis"),
        "--metrics",
        "chrf",
    ]


@pytest.mark.parametrize("arguments", [["--help"], None], ids=["help", "evaluate"])
@pytest.mark.parametrize(
    ("redirection", "reason"),
    [
        (">&-", "it is closed; leave out the <&- or >&- that closed it"),
        pytest.param(
            ">/dev/full",
            "No space left on device; make space on that disk, or choose a place on another one",
            marks=needs_full,
        ),
    ],
)
def test_results_without_a_place_are_one_line(
    evaluation: list[str], arguments: list[str] | None, redirection: str, reason: str
) -> None:
    done = shell(arguments or evaluation, redirection)
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"nmt: error: standard output: {reason}\n",
    )


def printing(model: str, folder: Path) -> dict[str, list[str]]:
    """Commands that print a result, by their name."""
    corpus = write_corpus(folder / "train", 20)
    text = ["--train", corpus, "--dev", corpus, "--source", "nl", "--target", "en"]
    sides = ["--source", f"{corpus}.nl", "--target", f"{corpus}.en"]
    return {
        "info": ["info", model],
        "recipe": ["recipe", *text],
        "check": ["check", *text],
        "score": ["score", model, *sides],
    }


@pytest.mark.parametrize("command", ["info", "recipe", "check", "score"])
def test_every_command_names_the_output_that_it_cannot_write(
    model: str, tmp_path: Path, command: str
) -> None:
    done = shell(printing(model, tmp_path)[command], ">&-")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "nmt: error: standard output: it is closed; leave out the <&- or >&- that closed it\n"
    )


@pytest.mark.parametrize("command", ["info", "recipe"])
def test_every_command_prints_its_result_without_the_other_streams(
    model: str, tmp_path: Path, command: str
) -> None:
    done = shell(printing(model, tmp_path)[command], "<&- 2>&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(
    ("command", "written"), [("export", "model.json"), ("report", "page"), ("average", "")]
)
def test_commands_that_write_files_need_no_stream(
    model: str, tmp_path: Path, command: str, written: str
) -> None:
    """This run has no checkpoints to average: its failure is a status of 1 without a word."""
    out = tmp_path / "out"
    arguments = {
        "export": ["export", model, str(out)],
        "report": ["report", model, "-o", str(out / "page")],
        "average": ["average", model, "--last", "1"],
    }[command]
    if command == "report":
        out.mkdir()
    done = shell(arguments, "<&- >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0 if written else 1, "", "")
    assert not written or (out / written).stat().st_size > 100


@needs_full
def test_a_full_device_is_named() -> None:
    with (
        pytest.raises(OSError, match="No space left on device") as raised,
        open_writer(FULL) as writer,
    ):
        writer.write(["een"])
    assert raised.value.filename == str(FULL)


@pytest.mark.parametrize(
    "redirection", ["<&-", "2>&-", "<&- 2>&-", pytest.param("2>/dev/full", marks=needs_full)]
)
def test_results_need_no_other_stream(evaluation: list[str], redirection: str) -> None:
    done = shell(evaluation, redirection)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("chrF2 = ")


@pytest.mark.parametrize(
    "redirection", ["2>&-", ">&- 2>&-", pytest.param("2>/dev/full", marks=needs_full)]
)
@pytest.mark.parametrize(
    ("arguments", "status"), [(["evaluate"], 2), (["evaluate", "none", "--reference", "none"], 1)]
)
def test_a_message_that_nobody_reads_changes_no_status(
    arguments: list[str], status: int, redirection: str
) -> None:
    done = shell(arguments, redirection)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_a_reader_who_leaves_ends_a_command_quietly(evaluation: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "nmt", *evaluation], stdout=write, stderr=subprocess.PIPE, cwd=ROOT
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_closed_input_is_named() -> None:
    load = (
        "import sys; from nmt.commands.streams import open_streams; from nmt.text.lines import"
        " split_lines"
    )
    read = f"{load}; open_streams(); list(split_lines(sys.stdin.buffer, 'stdin'))"
    done = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", sys.executable, "-c", read],
        capture_output=True,
        cwd=ROOT,
        encoding="utf-8",
    )
    reason = (
        "nmt.errors.NmtError: stdin: cannot be read to its end (Bad file descriptor); leave out the"
        " <&- or >&- that closed it"
    )
    assert done.stderr.splitlines()[-1] == reason


def test_messages_never_land_in_the_output(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_bytes(b"de kat\n\xff\n\n")
    arguments = ["translate", model, "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    assert shell(arguments, "<&- >&- 2>&-").returncode == 0
    silent = (tmp_path / "out").read_bytes()
    assert main(arguments) == 0
    assert "invalid UTF-8" in capsys.readouterr().err
    assert (tmp_path / "out").read_bytes() == silent
    assert silent.count(b"\n") == 3


def test_training_needs_no_stream(tmp_path: Path) -> None:
    settings = [
        "training.threads=1",
        "model.embedding_size=8",
        "model.hidden_size=8",
        "subwords.kind=char",
        "search.beam=1",
        "training.epochs=1",
    ]
    corpus = write_corpus(tmp_path / "train", 16)
    done = shell(
        [
            "train",
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
        + [part for setting in settings for part in ("--set", setting)],
        "<&- >&- 2>&-",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "run" / "best" / "model.safetensors").exists()


def test_results_are_utf8_in_every_locale(evaluation: list[str], tmp_path: Path) -> None:
    (tmp_path / "日本").write_text("er is één zin\n", encoding="utf-8")
    arguments = [*evaluation[:4], str(tmp_path / "日本"), *evaluation[4:]]
    done = shell(arguments, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == shell(arguments).stdout
    assert "日本" in done.stdout


def write(path: Path, *chunks: list[str]) -> None:
    with open_writer(path) as writer:
        for chunk in chunks:
            writer.write(chunk)


def test_what_broke_off_on_a_full_disk_is_whole_lines(tmp_path: Path) -> None:
    """A limit on the size of files stands in for a small disk: the second write fits in part."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as failed:
            write(tmp_path / "out", ["one"], ["two", "three"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert failed.value.filename == str(tmp_path / "out.partial")
    assert (tmp_path / "out.partial").read_text() == "one\n"
