"""What a run was begun with is compared by content: names may change and folders may move."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import recipe_in, write_corpus
from training_runs import assert_same_run, stop_after, with_training

from nmt.commands.main import main
from nmt.errors import NmtError
from nmt.recipe import load_recipe
from nmt.report.records import read_run
from nmt.report.sentences import read_sentences
from nmt.text.places import located, run_folders
from nmt.training.begun import refuse_changes
from nmt.training.events import Note
from nmt.training.run import train


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The recipe, a finished run of it and one stopped after its first validation; a folder with
    all three."""
    folder = tmp_path_factory.mktemp("begun")
    recipe = recipe_in(folder)
    list(train(recipe, folder / "whole"))
    list(train(recipe, folder / "half", stop=stop_after(9)))
    return recipe, folder


@pytest.fixture
def half(tmp_path, begun):
    """A copy of the stopped run, away from the others."""
    shutil.copytree(begun[1] / "half", tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def with_names(recipe, train_name, dev_name):
    return replace(recipe, data=replace(recipe.data, train=(train_name,), dev=dev_name))


def test_a_corpus_may_be_named_otherwise_and_lie_elsewhere(tmp_path, begun, half, monkeypatch):
    recipe, folder = begun
    monkeypatch.chdir(folder)
    list(train(with_names(recipe, "train", "./dev"), half, stop=stop_after(1)))
    for name in ("train", "dev"):
        for side in ("nl", "en"):
            shutil.copy(folder / f"{name}.{side}", tmp_path / f"moved-{name}.txt.{side}")
    moved = with_names(
        recipe,
        f"{tmp_path}/moved-train.txt",
        f"{tmp_path}/moved-dev.txt.nl|{tmp_path}/moved-dev.txt.en",
    )
    *_, ended = train(moved, half)
    assert ended.finished
    assert_same_run(folder / "whole", half)


def test_a_moved_run_goes_on_without_its_corpora(begun, half):
    recipe, folder = begun
    gone = with_names(recipe, "/nowhere/train", "/nowhere/dev")
    events = list(train(gone, half))
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any(
        note.startswith("going on with the run's own copy of the training text (") for note in notes
    )
    assert any(
        note.startswith("going on with the run's own copy of the dev set (") for note in notes
    )
    assert_same_run(folder / "whole", half)


def test_changed_text_is_refused_although_the_store_is_there_or_was_deleted(tmp_path, begun, half):
    recipe, _ = begun
    other = with_names(recipe, write_corpus(tmp_path / "train", 119), recipe.data.dev)
    for _ in range(2):
        with pytest.raises(
            NmtError,
            match=(
                "the training data have changed since this run began; put them back or choose"
                " another --run"
            ),
        ):
            list(train(other, half))
        shutil.rmtree(half / "data", ignore_errors=True)


def test_a_changed_dev_set_is_refused(tmp_path, begun, half):
    recipe, _ = begun
    other = with_names(recipe, recipe.data.train[0], write_corpus(tmp_path / "dev", 9, seed=2))
    with pytest.raises(
        NmtError,
        match=(
            r"the dev set has changed since this run began \(10 lines then, 9 now, the first"
            r" difference in"
        ),
    ):
        list(train(other, half))


def test_changed_subwords_are_refused(begun, half, tmp_path):
    recipe, _ = begun
    other = replace(recipe, subwords=replace(recipe.subwords, vocab_size=320))
    list(train(other, tmp_path / "other", stop=lambda: True))
    shutil.copy(tmp_path / "other" / "subwords.model", half)
    with pytest.raises(
        NmtError, match="the subwords have changed since this run began; put them back"
    ):
        list(train(recipe, half))


def test_a_recipe_that_was_changed_in_the_run_folder_is_refused(begun, half):
    recipe, _ = begun
    path = half / "recipe.toml"
    path.write_text(path.read_text().replace("label_smoothing = 0.1", "label_smoothing = 0.2"))
    changed = with_training(recipe, label_smoothing=0.2)
    with pytest.raises(
        NmtError,
        match=(
            r"another recipe \(training.label_smoothing is 0.1 there, 0.2 here\); choose another"
            r" --run"
        ),
    ):
        list(train(changed, half))


@pytest.mark.parametrize(
    ("before", "now", "refused"),
    [
        (["a", "1"], ["a", "2"], False),  # it trains on: nothing is read of it any more
        (["a", "1"], ["./a", "1"], False),
        (["a", "1"], ["b", "2"], True),
        (["", ""], ["b", "2"], True),
        (["a", "1"], ["", ""], True),
    ],
)
def test_another_model_to_start_from_is_refused(half, before, now, refused):
    values = json.loads((half / "begun.json").read_text())
    (half / "begun.json").write_text(json.dumps({**values, "start_from": before}))
    if not refused:
        refuse_changes(half, {**values, "start_from": now})
        return
    with pytest.raises(
        NmtError,
        match=(
            rf"training.start_from is '{now[0]}', but the run began with '{before[0]}'; choose"
            r" another --run"
        ),
    ):
        refuse_changes(half, {**values, "start_from": now})


def test_a_damaged_record_is_named(begun, half):
    (half / "begun.json").write_text("{")
    with pytest.raises(
        NmtError, match=r"begun.json: damaged \(.*\); delete it, or choose another --run"
    ):
        list(train(begun[0], half))


def test_a_run_can_be_continued_and_looked_at_from_any_folder(tmp_path, begun, monkeypatch, capsys):
    recipe, folder = begun
    monkeypatch.chdir(folder)
    run = tmp_path / "run"
    list(train(with_names(recipe, "train", "dev"), run, stop=stop_after(2)))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    recipe = located(load_recipe(run / "recipe.toml"), run_folders(run / "recipe.toml"))
    assert recipe.data.train == (str(folder / "train"),)
    assert main(["train", "../run"]) == 0
    assert "continuing after update 2" in capsys.readouterr().err
    shutil.copytree(run, elsewhere / "copy", symlinks=True)
    (elsewhere / "copy" / "begun.json").unlink()
    sentences = read_sentences(read_run(elsewhere / "copy"), None, 5)
    assert (len(sentences.sources), sentences.total) == (5, 10)


def test_a_recipe_finds_its_corpora_from_its_own_folder_too(tmp_path, begun, monkeypatch):
    folder = begun[1]
    text = '[data]\ntrain = "train"\ndev = "dev"\nsource = "nl"\ntarget = "en"\n'
    (tmp_path / "r.toml").write_text(text)
    monkeypatch.chdir(folder)
    recipe = load_recipe(tmp_path / "r.toml")
    assert located(recipe, run_folders(tmp_path / "r.toml")) == recipe  # found from here
    shutil.copy(tmp_path / "r.toml", folder / "r.toml")
    monkeypatch.chdir(tmp_path)
    data = located(recipe, run_folders(Path(folder / "r.toml"))).data
    assert (data.train, data.dev) == ((f"{folder}/train",), f"{folder}/dev")
    assert (
        located(recipe, run_folders(tmp_path / "r.toml")) == recipe
    )  # nowhere: the name stays, and is what the error says
