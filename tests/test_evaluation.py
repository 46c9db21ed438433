"""`python -m evaluation`: finding runs, comparing their results, and the robustness run on a model that knows the answers."""

import json
from pathlib import Path

import pytest

from evaluation import __main__ as command
from evaluation.compare import compare, refuse_misfits
from evaluation.robustness import measures_of
from evaluation.speed.frontier import points_of
from evaluation.speed.picture import Point, scatter
from nmt.errors import NmtError


def measure(value: float, noise: float = 0.0) -> dict[str, object]:
    return {"value": value, "noise": noise, "unit": "points"}


def test_runs_are_modules_that_define_run() -> None:
    found = command.find_runs()
    assert found["robustness"].startswith("Robustness of the quickstart model")
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
        ["as", "before", "a"], ["CHANGED", "b"], ["as", "before", "c"], ["gone", "gone"], ["new", "new"],
    ]  # fmt: skip
    assert "15.1 ± 4 points (+5.1)" in list(compare(before, now))[1]


@pytest.mark.parametrize("wrong", [{"value": 1, "noise": 0}, measure(float("nan")), measure(1, -1), {"noise": 0, "unit": "x"}])
def test_a_measure_without_value_noise_or_unit_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(NmtError, match="the measure 'x' needs value, noise and unit"):
        refuse_misfits("r", {"x": wrong})


def test_a_run_is_compared_with_its_committed_results_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    monkeypatch.setattr("evaluation.robustness.run", lambda out: {"x": measure(1)})
    assert command.main(["robustness", "--out", str(tmp_path), "--save"]) == 0
    assert capsys.readouterr().out == "new        x: 1 points\n"
    saved = json.loads((tmp_path / "results/robustness.json").read_text())
    assert saved["measures"] == {"x": measure(1)}
    assert {"commit", "machine", "torch", "date"} <= saved.keys()
    assert command.main(["robustness", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "as before  x: 1 points -> 1 points (+0)\n"


def test_a_failing_run_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("evaluation.robustness.run", lambda out: {"x": {}})
    assert command.main(["robustness", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("evaluation: error: evaluation.robustness: the measure 'x'")


def test_robustness_measures_bleu_length_and_shares_of_each_condition() -> None:
    lines = [f"sentence number {number} of all these." for number in range(8)]
    found = measures_of(lambda texts: texts, lines, lines)
    refuse_misfits("robustness", found)
    assert len(found) == 8 * 4
    assert found["as it is: BLEU"]["value"] == 100
    assert found["typos: BLEU"]["value"] < 100
    assert "bs:1000" in found["as it is: BLEU"]["unit"]


def test_the_processor_is_named_where_the_system_tells(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name : A Chip\n")
    assert command.processor(tmp_path / "cpuinfo") == "A Chip"
    assert command.processor(tmp_path / "none")


def test_a_frontier_draws_every_speed_at_its_score_and_the_peer_as_a_line() -> None:
    measures = {"greedy, a & b: BLEU": {"value": 30.5}, "greedy, a & b: speed": {"value": 900}, "beam 5, peer, x: speed": {"value": 500}}
    points = points_of(measures)
    assert points == [Point("a & b", "greedy", 900, 30.5), Point("peer, x", "beam 5", 500, None)]
    picture = scatter(points)
    assert picture.count("a &amp; b") == 1
    assert picture.count("stroke-dasharray") == 1
