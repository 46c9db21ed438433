"""A disk that is full, or a name that is taken, anywhere in a run folder: one line, nothing lost,
and the same command continues.

A limit on the size of files stands in for a small disk: the first file that grows beyond it is cut
off in the middle, as there.
"""

import errno
import json
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import write_corpus

from nmt.commands.main import main
from nmt.errors import NmtError, explained
from nmt.files import write_atomically, writing
from nmt.recipe import SubwordsConfig
from nmt.run_folder import MetricsWriter, RunFolder
from nmt.text.lines import open_bytes
from nmt.text.subwords import SubwordPair, train_subwords
from nmt.training.checkpoint import is_whole
from nmt.translation.job import TranslationTask
from nmt.translation.workers import _Worker

SETTINGS = [
    *(
        "model.embedding_size=16",
        "model.hidden_size=16",
        "model.encoder_layers=1",
        "model.decoder_layers=1",
    ),
    *(
        "subwords.kind=char",
        "subwords.byte_fallback=false",
        "search.beam=1",
        "training.threads=1",
        "training.precision=fp32",
    ),
    *(
        "training.report_every=1",
        "training.epochs=6",
        "training.batch_pieces=60",
        "training.save_minutes=0.000001",
    ),
]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes; Python has the signal ignored, so
    that writing fails with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    train, dev = write_corpus(tmp_path / "train", 40), write_corpus(tmp_path / "dev", 4, seed=2)
    data = ["--train", train, "--dev", dev, "--source", "nl", "--target", "en"]
    return ["train", *data, *(part for setting in SETTINGS for part in ("--set", setting))]


def rows(run: Path) -> list[dict[str, object]]:
    """metrics.jsonl without the speeds."""
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in row.items() if key != "pieces_per_second"} for row in found
    ]


def test_a_full_disk_at_any_file_is_one_line_and_the_same_command_continues(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--run", str(tmp_path / "whole")]) == 0
    run, named = tmp_path / "run", []
    files = [
        file
        for file in (tmp_path / "whole").rglob("*")
        if file.stat().st_size and not file.is_dir()
    ]
    limits = [
        file.stat().st_size - (500 if file.name == "metrics.jsonl" else 1) for file in files
    ]  # the digits of speeds are not always as many
    for limit in sorted(set(limits)):  # each time at least one file more is written whole
        capsys.readouterr()
        with largest_file(limit):
            status = main([*command, "--run", str(run)])
        error = capsys.readouterr().err.splitlines()[-1]
        if status == 0:
            break
        assert status == 1
        assert error.startswith(f"nmt: error: {run}")
        assert error.endswith(
            "make sure that there is space and that you may write there, then run the same command"
            " again"
        )
        named.append(
            Path(error.removeprefix("nmt: error: ").partition(":")[0]).relative_to(run).parts
        )
        assert all(is_whole(folder) for folder in RunFolder(run).checkpoints())
        if (run / "metrics.jsonl").exists():
            rows(run)  # no half row
    assert {parts[0] for parts in named} == {
        "recipe.toml",
        "data",
        "shortlist.safetensors",
        "checkpoints",
        "metrics.jsonl",
    }
    assert main([*command, "--run", str(run)]) == 0
    for name in (
        "last/model.safetensors",
        "last/averaged.safetensors",
        "last/optimizer.safetensors",
    ):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert rows(run) == rows(tmp_path / "whole")


def test_a_row_that_does_not_fit_leaves_none_of_it(tmp_path: Path) -> None:
    metrics = MetricsWriter(tmp_path, 0)
    size = metrics.write({"update": 1})
    with (
        largest_file(size + 3),
        pytest.raises(
            NmtError, match=r"metrics.jsonl: cannot write it \(File too large\); make sure"
        ),
    ):
        metrics.write({"update": 2})
    assert metrics.path.read_text() == '{"update": 1}\n'
    assert metrics.write({"update": 2}) == 2 * size


def test_metrics_that_were_cut_short_lose_whole_rows_only(tmp_path: Path) -> None:
    metrics = MetricsWriter(tmp_path, 0)
    metrics.write({"update": 1})
    size = metrics.write({"update": 2})
    metrics.path.write_bytes(metrics.path.read_bytes()[:-3])
    again = MetricsWriter(tmp_path, size)
    assert again.lost == 3
    assert again.path.read_text() == '{"update": 1}\n'
    again.path.unlink()
    assert MetricsWriter(tmp_path, size).lost == size
    assert again.path.read_text() == ""


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with (
        largest_file(2),
        pytest.raises(NmtError, match=r"file: cannot write it \(File too large\)"),
    ):
        write_atomically(path, "new text")
    assert path.read_text() == "old"


def test_the_reason_is_the_systems_word(tmp_path: Path) -> None:
    with (
        pytest.raises(
            NmtError, match=r"run: cannot write it \(No space left on device\); make sure that"
        ),
        writing(tmp_path / "run"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(NmtError, match=r"run: cannot write it \(5 requested and 2 written\)"),
        writing(tmp_path / "run"),
    ):
        raise OSError("5 requested and 2 written")  # as NumPy says it


@pytest.mark.parametrize(
    "name", ["", ".lock", "data", "metrics.jsonl", "checkpoints", "best", ".subwords.writing/"]
)
def test_a_name_that_something_else_has_is_one_line_and_stays(
    command: list[str], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "run" / name
    if name in ("", "data", "checkpoints"):
        taken.parent.mkdir(exist_ok=True)
        taken.write_text("mine")
    else:
        (taken / "inside").mkdir(parents=True)
    status = main([*command, "--run", str(tmp_path / "run")])
    error = capsys.readouterr().err
    assert "Traceback" not in error
    if name.startswith(".subwords"):  # half written by a process that was killed
        assert status == 0
        return
    assert status == 1
    assert error.splitlines()[-1].startswith(
        f"nmt: error: {tmp_path / 'run' / name}".removesuffix("/.lock")
    )
    assert taken.read_text() == "mine" if taken.is_file() else (taken / "inside").is_dir()


@pytest.mark.parametrize("content", ["[model]\nmood = 1\n", "", "[model", None])
def test_a_run_folder_with_a_strange_recipe_is_refused_and_stays(
    command: list[str], tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run" / "recipe.toml"
    path.parent.mkdir()
    path.write_text(content) if content is not None else path.mkdir()
    assert main([*command, "--run", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"nmt: error: {path}: ")
    assert error.endswith(
        "; is the folder another version's? choose another --run, or put the recipe back"
    )
    assert path.is_dir() if content is None else path.read_text() == content
    assert {file.name for file in path.parent.iterdir()} == {"recipe.toml", ".lock"}


def test_checkpoints_without_a_recipe_are_refused(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / "checkpoints" / "update-000001").mkdir(parents=True)
    assert main([*command, "--run", str(tmp_path / "run")]) == 1
    assert (
        "recipe.toml: missing, though the folder holds checkpoints; put it back or choose another"
        " --run" in capsys.readouterr().err
    )
    assert not (tmp_path / "run" / "recipe.toml").exists()


def test_subwords_that_were_half_written_are_made_again(tmp_path: Path) -> None:
    from nmt.training.prepare import save_subwords

    characters = train_subwords(["abc"], SubwordsConfig(variety=0.0, kind="char"), 300, seed=1)
    (tmp_path / ".subwords.writing").mkdir()
    (tmp_path / ".subwords.writing" / "subwords.source.model").write_bytes(b"half")
    with (
        largest_file(10),
        pytest.raises(NmtError, match=r"cannot write the subwords \(File too large\)"),
    ):
        save_subwords(SubwordPair(characters, characters), tmp_path)
    assert not list(tmp_path.glob("*.model"))
    save_subwords(SubwordPair(characters, characters), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["subwords.model"]


def test_an_export_that_does_not_fit_is_one_line_and_leaves_nothing(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "exported"
    whole = tmp_path / "whole"
    assert main(["export", model, str(whole)]) == 0
    capsys.readouterr()
    for limit in {file.stat().st_size - 1 for file in whole.iterdir()}:
        with largest_file(limit):
            assert main(["export", model, str(output)]) == 1
        error = capsys.readouterr().err
        assert re.fullmatch(
            rf"nmt: error: {output}: cannot write the model \(.*File too large.*\); make sure that"
            r" there is space .*\n",
            error,
        )
        assert {file.name for file in tmp_path.iterdir()} == {"whole"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file/new", r"Not a directory\); a part of this path is a file where a folder is needed"),
        ("loop/new", r"Too many levels of symbolic links\); its symbolic links lead in a circle"),
        ("n" * 250, r"File name too long\); choose a shorter name"),
    ],
)
def test_a_name_that_cannot_be_is_advised_on(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(NmtError, match=rf": cannot write it \({reason}"):
        write_atomically(tmp_path / name, "text")


def test_too_many_open_files_are_one_line(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)  # the first free number, which the limit leaves no room for
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limit[1]))
    try:
        with pytest.raises(
            NmtError,
            match=(
                r"in: cannot be opened \(Too many open files\); raise the limit on open files"
                r" \(ulimit -n\)"
            ),
        ):
            open_bytes(tmp_path / "in")
        with pytest.raises(
            NmtError,
            match=(
                r"^a worker cannot be started \(Too many open files\); raise the limit .* fewer"
                r" --workers"
            ),
        ):
            _Worker(
                TranslationTask(
                    model=tmp_path,
                    device="cpu",
                    precision="fp32",
                    shortlist=False,
                    name="in",
                    form="text",
                )
            )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "out"),
            "out: No space left on device; make space on that disk",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", b"out\xff"),
            "out\\xff: Read-only file system; the disk is read-only",
        ),
        (
            OSError(errno.EMFILE, "Too many open files"),
            "Too many open files; raise the limit on open files (ulimit -n)",
        ),
        (
            OSError(errno.ENOENT, "No such file or directory", "x"),
            "x: No such file or directory; check the path",
        ),
        (
            OSError(errno.ECHILD, "No child processes"),
            "No child processes; run the same command again",
        ),
        (OSError("in a library's words"), "in a library's words"),
    ],
)
def test_an_error_of_the_system_names_its_file_and_says_what_to_do(
    error: OSError, line: str
) -> None:
    assert explained(error).startswith(line)
