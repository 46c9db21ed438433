"""Where translations go: one writer a file, fields that stay apart, a bar where somebody
watches."""

import json
import os
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from conftest import untrained_run

from nmt.commands.main import main
from nmt.errors import NmtError
from nmt.text.lines import Line, open_writer
from nmt.translation.job import ESCAPED, Chunk, Rendered, TranslationTask, nbest_lines, text_line
from nmt.translation.result import Translation
from nmt.translation.translator import Translator
from nmt.translation.workers import render_all

ROOT = Path(__file__).parent.parent
BARS = Translation(
    "a ||| b|||c", -1.0, -0.5, ("▁a", "▁b"), piece_log_probs=(-1.0,), alignment=((0, 0),)
)


def test_two_writers_of_one_file_are_refused(tmp_path: Path) -> None:
    with open_writer(tmp_path / "out") as first:
        first.write(["a"])
        with (
            pytest.raises(
                NmtError,
                match=r"out.partial: another process is writing it; wait until it has finished",
            ),
            open_writer(tmp_path / "out"),
        ):
            pass
        first.write(["b"])
    assert (tmp_path / "out").read_text() == "a\nb\n"
    with open_writer(tmp_path / "out") as second:
        second.write(["c"])
    assert (tmp_path / "out").read_text() == "c\n"


def test_what_a_broken_run_left_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "out.partial").write_text("much that is longer")
    with open_writer(tmp_path / "out") as writer:
        writer.write(["c"])
    assert (tmp_path / "out").read_text() == "c\n"


def test_no_link_in_place_of_the_partial_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "out.partial").symlink_to("precious")
    with pytest.raises(OSError, match=r"out\.partial"), open_writer(tmp_path / "out"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_dash_is_a_standard_stream(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_text("de kat\n")
    command = [
        "translate",
        model,
        "-i",
        str(tmp_path / "in"),
        "--precision",
        "fp32",
        "--device",
        "cpu",
    ]
    assert main(command) == 0
    expected = capsys.readouterr().out
    assert main([*command, "-o", "-"]) == 0
    assert capsys.readouterr().out == expected
    assert not Path("-").exists()


def test_the_number_of_fields_does_not_depend_on_the_text() -> None:
    (line,) = nbest_lines(3, [BARS], True, True)
    assert len(line.split(" ||| ")) == line.count("|||") + 1 == 6
    assert line.split(" ||| ")[1] == "a &#124;&#124;&#124; b&#124;&#124;&#124;c"
    assert text_line(BARS, True, False) == "a &#124;&#124;&#124; b&#124;&#124;&#124;c ||| 0-0"
    assert text_line(BARS, False, False) == BARS.text


@pytest.mark.parametrize(("form", "told"), [("nbest", True), ("text", False), ("jsonl", False)])
def test_a_text_that_is_written_otherwise_is_told(
    form: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conftest import untrained_translator

    translator = untrained_translator()
    monkeypatch.setattr(translator, "nbest_of", lambda *arguments, **options: [[BARS]])
    task = TranslationTask(
        model=Path("m"),
        device="cpu",
        precision="fp32",
        shortlist=False,
        name="in",
        form=form,
        n_best=1,
    )
    (line,), notes, read = task.of(translator).render(Chunk(4, [Line("a", {"text": "a"})]))
    assert notes == ([f"in:5: {ESCAPED}"] if told else [])
    assert read == 1
    if form == "jsonl":
        assert json.loads(line)["translation"] == BARS.text


def test_workers_translate_with_the_checkpoint_that_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = []
    for name in ("run", "other"):
        (tmp_path / name).mkdir()
        run = Path(untrained_run(tmp_path / name))
        (run / "checkpoints").mkdir()
        checkpoints.append((run / "last").rename(run / "checkpoints" / "update-000001"))
        (run / "best").symlink_to("checkpoints/update-000001")
    run, other = tmp_path / "run", tmp_path / "other"
    task = TranslationTask(
        model=run,
        device="cpu",
        precision="fp32",
        shortlist=False,
        name="in",
        form="text",
        ensemble=(other,),
    )
    translator = Translator.load(run, "cpu", "fp32", [other])
    given: list[TranslationTask] = []

    class Crew:
        def __init__(self, task: TranslationTask, limit: int) -> None:
            given.append(task)

        def __enter__(self) -> "Crew":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def render(self, chunks: object, here: object) -> list[Rendered]:
            return []

    monkeypatch.setattr("nmt.translation.workers._Workers", Crew)
    list(render_all(task.of(translator), [Chunk(0, [Line("a")]), Chunk(1, [Line("b")])], 2))
    assert (given[0].model, given[0].ensemble) == (checkpoints[0], (checkpoints[1],))


@pytest.mark.parametrize("watched", [True, False])
def test_a_bar_shows_where_somebody_watches(watched: bool, model: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("de kat\n" * 3)
    command = [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        model,
        "-i",
        str(tmp_path / "in"),
        "-o",
        str(tmp_path / "out"),
    ]
    ours, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    stderr = terminal if watched else subprocess.PIPE
    done = subprocess.run(
        [*command, "--precision", "fp32", "--device", "cpu"], stderr=stderr, cwd=ROOT, check=True
    )
    os.write(terminal, b"END\n")
    shown = ""
    while "END" not in shown:
        shown += os.read(ours, 1 << 16).decode()
    assert ("3/3" in shown and " lines" in shown) == watched
    assert watched or done.stderr == b""
    assert len((tmp_path / "out").read_text().splitlines()) == 3
    os.close(ours)
    os.close(terminal)
