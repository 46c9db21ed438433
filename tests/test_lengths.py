"""What training saw is recorded with the model, and decides which lines are too long for it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import untrained_run

from nmt.engines.export import export_model
from nmt.errors import NmtError
from nmt.folders import open_folder
from nmt.recipe import Recipe
from nmt.run_folder import LENGTHS
from nmt.text.segments import Lengths, longest_of, shortest_of
from nmt.training.prepare import Materials, prepare
from nmt.training.run import train
from nmt.translation.translator import Translator


def prepared(recipe: Recipe, run: Path) -> Materials:
    run.mkdir(exist_ok=True)
    *_, materials = prepare(recipe, run)
    assert isinstance(materials, Materials)
    return materials


def test_training_records_the_longest_lines_of_its_data(
    tiny_recipe: Recipe, tmp_path: Path
) -> None:
    store = prepared(tiny_recipe, tmp_path / "run").store
    longest = Lengths(max(store.source_lengths), max(store.target_lengths))
    assert Lengths.load(tmp_path / "run") == longest
    (tmp_path / "run" / LENGTHS).unlink()  # of a run from before lengths were recorded
    prepared(tiny_recipe, tmp_path / "run")
    assert Lengths.load(tmp_path / "run") == longest


def test_a_run_that_starts_from_a_model_has_seen_what_that_model_saw(
    tiny_recipe: Recipe, tmp_path: Path
) -> None:
    list(train(tiny_recipe, tmp_path / "first", stop=lambda: True))
    (tmp_path / "first" / LENGTHS).write_text('{"source": 150, "target": 1}')
    training = replace(tiny_recipe.training, start_from=str(tmp_path / "first"))
    store = prepared(replace(tiny_recipe, training=training), tmp_path / "second").store
    assert Lengths.load(tmp_path / "second") == Lengths(150, max(store.target_lengths))


def test_the_record_goes_with_an_exported_model(tmp_path: Path) -> None:
    run = Path(untrained_run(tmp_path))
    (run / LENGTHS).write_text('{"source": 7, "target": 9}')
    export_model(run, tmp_path / "model")
    assert open_folder(tmp_path / "model").lengths == Lengths(7, 9)
    assert LENGTHS in json.loads((tmp_path / "model" / "model.json").read_text())["sha256"]


def test_lines_are_long_when_training_saw_none_as_long(tmp_path: Path) -> None:
    run = Path(untrained_run(tmp_path))
    before = Translator.load(run, device="cpu", precision="fp32")
    (run / LENGTHS).write_text('{"source": 4, "target": 6}')
    after = Translator.load(run, device="cpu", precision="fp32")
    sources = ["kat", "de kat"]  # subwords are characters: 4 and 7 pieces with their word starts
    assert [len(ids) for ids in after.subwords.source.encode(sources)] == [4, 7]
    assert [best.segments for (best,) in after.nbest(sources, 1)] == [1, 2]
    assert [
        score.is_long for score in after.score(["kat", "de kat", "kat"], ["cat", "cat", "cats cat"])
    ] == [False, True, True]
    assert (before.lengths, [best.segments for (best,) in before.nbest(sources, 1)]) == (
        Lengths(200, 200),
        [1, 1],
    )


def test_an_ensemble_has_seen_what_each_of_its_models_saw(tmp_path: Path) -> None:
    runs = []
    for number, text in enumerate(['{"source": 7, "target": 9}', '{"source": 8, "target": 6}']):
        (tmp_path / str(number)).mkdir()
        runs.append(Path(untrained_run(tmp_path / str(number))))
        (runs[-1] / LENGTHS).write_text(text)
    assert Translator.load(
        runs[0], device="cpu", precision="fp32", ensemble=runs[1:]
    ).lengths == Lengths(7, 6)
    assert shortest_of([Lengths(7, 9), Lengths(8, 6)]) == Lengths(7, 6)
    assert longest_of([Lengths(7, 9), Lengths(8, 6)]) == Lengths(8, 9)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"source": 5}',
        '{"source": 0, "target": 3}',
        '{"source": true, "target": 3}',
        '{"source": 1e3, "target": 3}',
    ],
)
def test_a_damaged_record_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / LENGTHS).write_text(text)
    with pytest.raises(
        NmtError,
        match=(
            r"lengths.json: not the longest lines of training \(.*\); copy it again, or delete it"
        ),
    ):
        Lengths.load(tmp_path)
