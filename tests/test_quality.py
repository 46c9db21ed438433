"""`python -m evaluation quality`: plans of experiments, and what is done and left of them."""

import json
from pathlib import Path

import pytest
from conftest import write_corpus

from evaluation import __main__ as command
from evaluation.quality import status
from evaluation.quality.curves import curves
from evaluation.quality.plan import load_plan
from evaluation.quality.summary import markdown, unfinished
from evaluation.quality.trials import (
    Place,
    Program,
    Way,
    choose,
    lines_of,
    place_of,
    train_command,
    ways,
)
from nmt.errors import NmtError
from nmt.recipe import load_recipe

PLANS = sorted((Path(__file__).parent.parent / "evaluation" / "plans").glob("*.toml"))

ROOT = Path(__file__).parent.parent
PLAN = """
seeds = [1, 2]
beams = [1, 4]
length_alphas = [0.5, 1]
[corpora.toy]
train = ["toy/train"]
dev = "toy/dev"
test = ["toy/test"]
source = "nl"
target = "en"
[rungs.small]
set = ["model.dropout=0.1", "model.hidden_size=16"]
[rungs.wider]
extends = "small"
set = ["model.hidden_size=32"]
"""


def plan_of(folder: Path, text: str = PLAN) -> Path:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def write_dev(folder: Path, source: str, target: str) -> None:
    (folder / "toy").mkdir()
    (folder / "toy/dev.nl").write_text(source, encoding="utf-8")
    (folder / "toy/dev.en").write_text(target, encoding="utf-8")


def test_a_plan_has_each_seed_of_each_rung_the_first_seeds_first(tmp_path: Path) -> None:
    plan = load_plan(plan_of(tmp_path))
    assert [trial.name for trial in plan.trials()] == [
        "toy/small/seed-1", "toy/wider/seed-1", "toy/small/seed-2", "toy/wider/seed-2",
    ]  # fmt: skip


@pytest.mark.parametrize("plan", PLANS, ids=lambda path: path.stem)
def test_the_committed_plans_name_recipes_that_exist(plan: Path) -> None:
    rungs = load_plan(plan, Path("data")).rungs
    assert rungs
    for rung in rungs:
        assert rung.base is None or load_recipe(rung.base)


def test_a_rung_applies_its_own_settings_after_those_it_extends(tmp_path: Path) -> None:
    trial = list(load_plan(plan_of(tmp_path), tmp_path).trials())[3]
    assert train_command(trial, Path("run")) == [
        "train", "--train", f"{tmp_path}/toy/train", "--dev", f"{tmp_path}/toy/dev",
        "--source", "nl", "--target", "en", "--set", "model.dropout=0.1",
        "--set", "model.hidden_size=16", "--set", "model.hidden_size=32",
        "--set", "training.seed=2", "--run", "run",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds", "sedes", "unknown key sedes; the keys are beams"),
        ("seeds = [1, 2]", "seeds = [true]", "seeds must be a list of whole numbers, got \\[True"),
        ('extends = "small"', 'extends = "wider"', "rungs.wider extends itself"),
        ('extends = "small"', 'extends = "huge"', "rungs.wider extends 'huge', which is not"),
        ('train = ["toy/train"]', "train = []", "corpora.toy.train is missing"),
        ('dev = "toy/dev"', "", "corpora.toy.dev must be a string, got None"),
        ("[rungs.small]", '[rungs."../x"]', "the name becomes a folder"),
    ],
)
def test_a_wrong_plan_is_refused_by_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(NmtError, match=message):
        load_plan(plan_of(tmp_path, PLAN.replace(old, new)))


def test_dev_chooses_the_way_of_search(tmp_path: Path) -> None:
    write_dev(tmp_path, "a b c d e\n", "one two three four five\n")
    plan = load_plan(plan_of(tmp_path), tmp_path)
    trial = next(plan.trials())
    place = place_of(tmp_path, trial)
    place.folder.mkdir(parents=True)
    for way in ways(plan):
        right = way == Way(4, 0.5)
        place.dev(way).write_text("one two three four five\n" if right else "no\n")
    chosen, found = choose(plan, trial, place)
    assert chosen == Way(4, 0.5)
    assert found["beam-4.alpha-0.5"] == 100
    assert sorted(found) == sorted(way.name for way in ways(plan))


def test_the_status_says_what_is_left_step_by_step(tmp_path: Path) -> None:
    write_dev(tmp_path, "a b c d\n", "one two three four\n")
    plan = load_plan(plan_of(tmp_path), tmp_path)
    trials = list(plan.trials())

    def line() -> str:
        return next(status(plan, tmp_path)).partition("  ")[2]

    place = place_of(tmp_path, trials[0])
    assert line() == "left: training, not begun"
    place.folder.mkdir(parents=True)
    place.done.write_text("{}")
    assert line() == "left: dev by 4 of 4 ways of search"
    for way in ways(plan):
        place.dev(way).write_text("one two three four\n")
    assert line() == "left: 1 test sets"
    place.test(f"{tmp_path}/toy/test", ways(plan)[0]).write_text("one\n")
    assert line() == "done"
    assert list(status(plan, tmp_path))[-1] == "1 of 4 trials done"


def test_a_begun_training_is_reported_with_its_curve(tmp_path: Path) -> None:
    plan = load_plan(plan_of(tmp_path), tmp_path)
    run = place_of(tmp_path, next(plan.trials())).run
    run.mkdir(parents=True)
    row = {
        "kind": "validation", "update": 7, "epoch": 1, "cross_entropy": 3.25, "best": True,
        "scores": [{"metric": "BLEU", "value": 2.5, "signature": "s"}],
    }  # fmt: skip
    (run / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    assert unfinished(plan, tmp_path) == {
        "toy/small/seed-1": {
            "about": "",
            "left": "training, at update 7, best dev score 2.50",
            "minutes so far": 0,
            "curve, dev": [{"epoch": 1, "update": 7, "loss": 3.25, "BLEU": 2.5}],
        }
    }


def test_a_failing_command_is_named_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(NmtError, match=r"nmt train ended with status 2 .*; see .*log"):
        Program(ROOT).call(Place(tmp_path).log, "train", "--no-such-option")


def test_lines_end_only_at_line_feeds(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes("a\u2028b\r\nc\n\n".encode())
    assert lines_of(tmp_path / "text") == ["a\u2028b", "c", ""]


def test_tables_and_curves_show_every_trial_best_first() -> None:
    def about(bleu: float) -> dict[str, object]:
        scores = [{"value": bleu, "interval": 1.0}, {"value": 30.0, "interval": 1.0}]
        return {
            "parameters": 2_900_000, "training minutes": 3.2, "scores": {"dev": scores},
            "search": {"beam": 4, "length_alpha": 1.0},
            "curve, dev": [{"epoch": 1, "BLEU": 1.0}, {"epoch": 2, "BLEU": bleu}],
        }  # fmt: skip

    begun = {"left": "training, at update 7", "curve, dev": [{"epoch": 1, "BLEU": 2.5}]}
    results = {
        "trials": {"a/<low>/1": about(5.0), "a/high/1": about(9.0)},
        "unfinished": {"a/begun/1": begun},
    }
    rows = markdown(results).splitlines()[2:]
    assert rows[0].startswith("| a/high/1 | 2.9M | 3 | 4, 1 | 9.00 ± 1.00 | 30.00 ± 1.00 |")
    assert "a/<low>/1" in rows[1]
    assert curves(results).count("<polyline") == 3
    assert markdown(results).endswith("Unfinished:\n\n- a/begun/1: training, at update 7\n")
    assert "a/&lt;low&gt;/1 5.0" in curves(results)


@pytest.mark.slow
def test_an_experiment_ends_with_results_and_repeats_nothing(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    for name, pairs, seed in (("train", 60, 1), ("dev", 6, 2), ("test", 6, 3)):
        write_corpus(tmp_path / "toy" / name, pairs, seed)
    common = 'set = ["model.embedding_size=8", "training.epochs=2", "training.device=cpu", '
    text = PLAN.replace("[1, 2]", "[1]", 1).replace("[0.5, 1]", "[1]").replace("set = [", common, 1)
    arguments = ["quality", str(plan_of(tmp_path, text)), "--data", str(tmp_path)]
    out = tmp_path / "out"
    assert command.main([*arguments, "--out", str(out)]) == 0
    results = json.loads((out / "results.json").read_text())
    assert set(results["trials"]) == {"toy/small/seed-1", "toy/wider/seed-1"}
    wider = results["trials"]["toy/wider/seed-1"]
    assert [test["metric"] for test in wider["against the baseline"]["test"]] == ["BLEU", "chrF2"]
    assert len(wider["curve, dev"]) == 2
    assert "hidden_size = 32" in wider["recipe"]
    assert 'dev = "toy/dev"' in wider["recipe"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.txt")}
    assert len(before) == 2 * (2 + 1)  # two ways on dev, one on test
    assert command.main([*arguments, "--out", str(out)]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.txt")} == before
