"""`python -m evaluation curves`, and that the committed recipes are recipes."""

import json
from pathlib import Path

import pytest
from training_runs import metrics, with_training

from evaluation.__main__ import main
from nmt.recipe import TABLES, load_recipe
from nmt.training.run import train

RECIPES = sorted((Path(__file__).parent.parent / "evaluation" / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_committed_recipe_is_accepted(path: Path) -> None:
    assert load_recipe(path).data.train


TOOLS = (
    "training.r_drop", "model.word_dropout", "model.weight_drop", "subwords.sampling", "training.accumulate", "training.schedule",  # noqa: E501
    "training.select", "training.patience", "training.start_from",
)  # fmt: skip


@pytest.mark.parametrize("key", TOOLS)
def test_every_tool_that_is_off_by_default_has_a_recipe_that_uses_it(key: str) -> None:
    table, _, name = key.partition(".")
    off = TABLES[table].__dataclass_fields__[name].default  # type: ignore[attr-defined]
    assert any(getattr(getattr(load_recipe(path), table), name) != off for path in RECIPES)


def test_a_curve_has_a_point_for_each_validation_and_results_the_scores_of_each_run(
    tiny_recipe, tmp_path: Path, capsys
) -> None:
    names = ("first", "second")
    for seed, name in enumerate(names):
        list(train(with_training(tiny_recipe, seed=seed), tmp_path / name))
    runs = [str(tmp_path / name) for name in names]
    assert (
        main(
            [
                "curves",
                tiny_recipe.data.dev,
                *runs,
                "--out",
                str(tmp_path),
                "--as",
                "both",
                "--trained-at",
                "abc",
            ]
        )
        == 0
    )
    found = json.loads((tmp_path / "results.json").read_text())
    assert (found["run"], found["trained_at"], found["seed"]) == (
        "both",
        "abc",
        {"first": 0, "second": 1},
    )
    assert {
        f"{name}, beam {beam}: {metric}"
        for name in names
        for beam in (1, 5)
        for metric in ("BLEU", "chrF2")
    } == set(found["measures"])
    assert "new        first, beam 5: BLEU: " in capsys.readouterr().out
    for name in names:
        rows = [row for row in metrics(tmp_path / name) if row["kind"] == "validation"]
        points = found["curves, dev"][name]
        assert [point["update"] for point in points] == [row["update"] for row in rows]
        assert [point["BLEU"] for point in points] == [
            round(row["scores"][0]["value"], 1) for row in rows
        ]
        assert found["recipes"][name] == (tmp_path / name / "recipe.toml").read_text()


def test_runs_without_validations_or_of_one_name_are_refused(tmp_path: Path, capsys) -> None:
    out = ["--out", str(tmp_path)]
    assert main(["curves", "test", str(tmp_path / "a"), *out]) == 1
    assert "a/metrics.jsonl: no validation in it; let `nmt train` reach" in capsys.readouterr().err
    assert main(["curves", "test", str(tmp_path / "a"), str(tmp_path / "b" / "a"), *out]) == 1
    assert "two runs have the same folder name; rename one" in capsys.readouterr().err
