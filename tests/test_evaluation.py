"""`python -m evaluation`: finding runs, comparing their results, and the robustness run on a
model that knows the answers."""

import argparse
import importlib
import json
import math
import subprocess
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation import __main__ as command
from evaluation import machine, results
from evaluation.compare import PEAK, compare, is_timed, refuse_misfits, slowdowns
from evaluation.speed.frontier import points_of
from evaluation.speed.picture import Point, scatter
from nmt.errors import NmtError
from nmt.recipe import load_recipe


def measure(value: float, noise: float = 0.0) -> dict[str, object]:
    return {"value": value, "noise": noise, "unit": "points"}


def test_runs_are_modules_that_define_run() -> None:
    found = command.find_runs()
    assert found["robustness"].startswith("Robustness of a model")
    assert "compare" not in found
    assert all(found.values())


def test_runs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    assert capsys.readouterr().out.count("\n") == len(command.find_runs())


def test_an_unknown_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["nothing"])
    assert "there is no run 'nothing'; the runs are" in capsys.readouterr().err


def test_a_difference_counts_beyond_both_noises_together() -> None:
    before = {"a": measure(10, 3), "b": measure(10, 3), "c": measure(1), "gone": measure(1)}
    now = {"a": measure(15, 4), "b": measure(15.1, 4), "c": measure(1), "new": measure(2)}
    assert [line.split(":")[0].split() for line in compare(before, now)] == [
        ["as", "before", "a"], ["CHANGED", "b"], ["as", "before", "c"], ["gone", "gone"], ["new", "new"],  # noqa: E501
    ]  # fmt: skip
    assert "15.1 ± 4 points (+5.1)" in list(compare(before, now))[1]


@pytest.mark.parametrize(
    "wrong",
    [{"value": 1, "noise": 0}, measure(float("nan")), measure(1, -1), {"noise": 0, "unit": "x"}],
)
def test_a_measure_without_value_noise_or_unit_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(NmtError, match="the measure 'x' needs value, noise and unit"):
        refuse_misfits("r", {"x": wrong})


def test_a_run_is_compared_with_its_committed_results_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(command, "refuse_changes", lambda: None)
    monkeypatch.setattr("evaluation.robustness.run", lambda *_: {"measures": {"x": measure(1)}})
    assert command.main(["robustness", "--out", str(tmp_path), "--save"]) == 0
    assert capsys.readouterr().out == "new        x: 1 points\n"
    saved = json.loads((tmp_path / "results/robustness.json").read_text())
    assert saved["measures"] == {"x": measure(1)}
    assert {"commit", "machine", "processor", "torch", "date"} <= saved.keys()
    assert command.main(["robustness", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "as before  x: 1 points -> 1 points (+0)\n"


def test_a_failing_run_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evaluation.robustness.run", lambda *_: {"measures": {"x": {}}})
    assert command.main(["robustness", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(
        "evaluation: error: evaluation.robustness: the measure 'x'"
    )


@pytest.mark.parametrize("name", list(command.find_runs()))
def test_every_run_tells_its_arguments(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"evaluation.{name}")
    with pytest.raises(SystemExit) as ended:
        command.run_parser(name, module).parse_args(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert (module.__doc__ or "?").partition("\n")[0] in said
    assert f"usage: python -m evaluation {name}" in said


def test_no_run_takes_its_arguments_from_the_environment() -> None:
    """`os.environ` only goes on to the processes that a run starts, and names the compiler as
    everywhere."""
    for path in command.FOLDER.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count("os.environ") == text.count("**os.environ") + text.count(
            'os.environ.get("CXX", "c++")'
        ), path


def test_a_mistaken_argument_is_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        command.main(["speed.training"])
    assert "the following arguments are required: DIR" in capsys.readouterr().err


def test_a_frontier_draws_every_speed_at_its_score_and_the_peer_as_a_line() -> None:
    measures = {
        "greedy, a & b: BLEU": {"value": 30.5},
        "greedy, a & b: speed": {"value": 900},
        "beam 5, peer, x: speed": {"value": 500},
    }
    points = points_of(measures)
    assert points == [Point("a & b", "greedy", 900, 30.5), Point("peer, x", "beam 5", 500, None)]
    picture = scatter(points)
    assert picture.count("a &amp; b") == 1
    assert picture.count("stroke-dasharray") == 1


ZEN_3 = (
    "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nstepping\t:"
    " 1\nflags\t\t: fpu avx2 fma\n\n"
)
ZEN_4 = ZEN_3.replace("model\t\t: 1", "model\t\t: 17").replace(
    "avx2", "avx2 avx512f avx512_vnni avx512_bf16"
)


@pytest.mark.parametrize(
    ("cpuinfo", "described"),
    [
        (ZEN_3 + ZEN_4, "AMD EPYC (family 25, model 1, stepping 1: AVX2, no AVX512)"),
        (ZEN_4, "AMD EPYC (family 25, model 17, stepping 1: AVX2, AVX512-VNNI, AVX512-BF16)"),
        ("model name : A Chip\n", "A Chip"),
    ],
)
def test_processors_of_one_name_are_told_apart(
    cpuinfo: str, described: str, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert machine.read_processor(tmp_path / "cpuinfo").describe() == described
    assert machine.read_processor(tmp_path / "none").describe()


def timed(value: float, noise: float = 0.0) -> dict[str, object]:
    return {"value": value, "noise": noise, "unit": "GMAC/s"}


def share(value: float) -> dict[str, object]:
    return {"value": value, "noise": 0.0, "unit": PEAK}


def test_what_is_timed_on_another_processor_is_shown_and_not_compared() -> None:
    before, now = (
        {"speed": timed(10), "score": measure(1)},
        {"speed": timed(90), "score": measure(2)},
    )
    lines = list(compare(before, now, "Another (family 1)"))
    assert (
        lines[0]
        == "the committed results are of another processor, Another (family 1): what is timed is"
        " shown beside them, not compared"
    )
    assert [line.split("  ")[0] for line in lines[1:]] == ["elsewhere", "CHANGED"]
    assert (
        len(list(compare({"score": measure(1)}, {"score": measure(1)}, "Another (family 1)"))) == 1
    )


def test_units_of_the_committed_results_say_what_is_timed() -> None:
    times = {
        "s",
        "GMAC/s",
        "of the time",
        "of the peak",
        "times its speed",
        "s of processor time a million pairs",
        "of the wall time",
    }
    others = {
        "MB",
        "bytes a pair",
        "BLEU nrefs:1|bs:1000",
        "chrF2 nrefs:1",
        "words per word",
        "share of lines",
        "updates",
        "target pieces",
    }
    assert {unit for unit in times | others if is_timed({"unit": unit})} == times


def test_only_a_share_that_fell_by_more_than_the_bound_is_a_slowdown() -> None:
    before = {
        "a": share(0.80),
        "b": share(0.80),
        "c": share(0.80),
        "d": timed(100),
        "gone": share(1),
    }
    now = {"a": share(0.61), "b": share(0.59), "c": share(0.99), "d": timed(1), "new": share(1)}
    assert list(slowdowns(before, now, 0.25)) == [
        "b: 0.8 of the peak -> 0.59 of the peak, 26% slower"
    ]


def test_results_without_a_processor_are_nobodys(tmp_path: Path) -> None:
    old = {"machine": "x86_64, 2 processors, AMD EPYC"}
    assert results.processor_of(old) == "AMD EPYC (which model was not recorded)"
    assert results.processor_of({**old, "processor": "P"}) == "P"


def test_a_file_keeps_the_results_of_each_processor(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    for processor, value in (("A", 1), ("B", 2), ("A", 3)):
        path.write_text(
            results.to_text(
                {"run": "speed", "processor": processor, "measures": value},
                path,
                each_processor=True,
            )
        )
    assert [results.committed(path, processor)["measures"] for processor in ("A", "B", "C")] == [
        3,
        2,
        3,
    ]
    assert results.committed(tmp_path / "none.json", "A") == {}
    path.write_text("{")
    with pytest.raises(NmtError, match=r"speed.json: cannot read these results"):
        results.committed(path, "A")


def slow_run(value: float) -> object:
    """A made-up module whose run is one that is kept for each processor."""
    return argparse.Namespace(SLOWDOWN=0.25, run=lambda *_: {"measures": {"product": share(value)}})


def test_a_slowdown_gives_status_one_where_the_processor_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(command, "refuse_changes", lambda: None)
    arguments = argparse.Namespace(name="speed.made_up", out=tmp_path, save=True)
    here = {"commit": "abc", "date": "today", "processor": "Here"}
    monkeypatch.setattr(command, "provenance", lambda: here)
    assert command.run_one("speed.made_up", slow_run(0.8), arguments) == 0  # type: ignore[arg-type]
    arguments.save = False
    assert command.run_one("speed.made_up", slow_run(0.7), arguments) == 0  # type: ignore[arg-type]
    capsys.readouterr()
    assert command.run_one("speed.made_up", slow_run(0.5), arguments) == 1  # type: ignore[arg-type]
    assert (
        "evaluation: slower than at abc: product: 0.8 of the peak -> 0.5 of the peak, 38% slower\n"
        in capsys.readouterr().err
    )
    monkeypatch.setattr(command, "provenance", lambda: {**here, "processor": "There"})
    assert command.run_one("speed.made_up", slow_run(0.5), arguments) == 0  # type: ignore[arg-type]
    assert capsys.readouterr().out.startswith(
        "the committed results are of another processor, Here"
    )


def repository(folder: Path) -> Path:
    """One with a commit of one file of nmt."""
    (folder / "nmt").mkdir(parents=True)
    (folder / "nmt/a.py").write_text("")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *arguments], check=True)
    return folder


def test_results_of_no_commit_are_marked_and_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "ROOT", repository(tmp_path))
    assert "dirty" not in machine.commit()
    (tmp_path / "evaluation/results").mkdir(parents=True)
    (tmp_path / "evaluation/results/a.json").write_text("")
    (tmp_path / "notes.txt").write_text("")
    machine.refuse_changes()
    (tmp_path / "nmt/b.py").write_text("")
    assert machine.commit().endswith("-dirty")
    with pytest.raises(
        NmtError, match=r"no commit holds what would be measured: nmt/b.py changed; commit first"
    ):
        machine.refuse_changes()


def test_every_committed_result_names_its_commit_and_processor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = list(results.table())
    assert {row[0] for row in rows} == {path.name for path in results.RESULTS.glob("*.json")}
    assert all(all(row) for row in rows)
    assert command.main(["--results"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(rows)


def test_a_language_model_is_measured_on_the_last_tenth_of_the_text(tmp_path, monkeypatch) -> None:
    from evaluation import language_model

    text = "".join(f"the {word} sat on the mat .\n" for word in ("cat", "dog", "cow") * 40)
    (tmp_path / "text.txt").write_text(text)
    recipe = load_recipe(language_model.ROOT / "evaluation" / "recipes" / "tinyshakespeare.toml")
    small = replace(
        recipe,
        model=replace(recipe.model, hidden_size=16, embedding_size=8),
        training=replace(recipe.training, updates=4, validate_every=2, batch_pieces=200),
    )
    monkeypatch.setattr(language_model, "load_recipe", lambda path: small)
    (tmp_path / "out").mkdir()
    wishes = Namespace(text=tmp_path / "text.txt", recipe="tinyshakespeare")
    found = language_model.run(tmp_path / "out", wishes)
    assert found["characters"] == {"train": int(0.9 * len(text)), "dev": len(text) // 10}
    assert found["updates"] == 4
    nats, bits = (found["measures"][name]["value"] for name in ("validation", "validation, bits"))
    assert bits == pytest.approx(nats / math.log(2), abs=1e-3)
    (score,) = (each for each in found["dev"]["scores"] if each["metric"] == "bits per character")
    assert bits == pytest.approx(score["value"], abs=0.05)  # cut into stretches there, bf16 maybe


def test_the_documents_quote_the_result_of_the_language_model() -> None:
    path = results.RESULTS / "language_model.tinyshakespeare.json"
    found = results.read_results(path)
    text = (machine.ROOT / "docs" / "language-models.md").read_text(encoding="utf-8")
    nats, bits, seconds = (
        found["measures"][name]["value"] for name in ("validation", "validation, bits", "training")
    )
    quoted = f"**{nats:.3f} nats a character** ({bits:.3f} bits) after {seconds:.0f} seconds"
    assert quoted in text.replace("\n", " ")
    assert f"{found['characters']['dev']:,} characters" in text
    assert found["sample"].splitlines()[2] in text
