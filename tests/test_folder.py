import json
from dataclasses import replace

import datasets
import pytest
import torch

from nmt.data import store
from nmt.engines import lexicon
from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.text import records, subwords
from nmt.text.corpus import read_pairs
from nmt.training import prepare as folder_module
from nmt.training.prepare import prepare
from nmt.training.run import train

NOTE = "made the lexical shortlist"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def test_a_run_gets_its_shortlist_once(run, tiny_recipe):
    file = run / "shortlist.safetensors"
    *notes, materials = prepare(tiny_recipe, run)
    assert NOTE in notes
    made = file.read_bytes()
    size = materials.subwords.source.size
    assert len(Shortlist.load(file, size, size).frequent_V) == size
    assert file.stat().st_mode == (run / "recipe.toml").stat().st_mode
    *notes, _ = prepare(tiny_recipe, run)
    assert NOTE not in notes
    file.unlink()
    *notes, _ = prepare(tiny_recipe, run)
    assert NOTE in notes
    assert file.read_bytes() == made


def test_what_the_corpus_size_decides_is_told_once(run, tiny_recipe):
    asked = replace(tiny_recipe, training=replace(tiny_recipe.training, epochs=0))
    line = "chosen for 120 pairs: training.epochs = 20"
    *notes, materials = prepare(asked, run)
    assert line in notes
    assert materials.recipe.training.epochs == 20
    *notes, _ = prepare(asked, run)
    assert line not in notes


def test_what_is_learnt_from_a_sample_says_so(run, tiny_recipe, monkeypatch):
    for module in (folder_module, subwords):
        monkeypatch.setattr(module, "SAMPLE_PAIRS", 50)
    monkeypatch.setattr(lexicon, "ROWS", 60)  # every second of 120 pairs
    *notes, _ = prepare(
        replace(tiny_recipe, subwords=replace(tiny_recipe.subwords, vocab_size=310)), run
    )
    assert "learnt 310 subword pieces, from a sample of 50 of the 120 pairs" in notes
    assert f"{NOTE}, from a sample of 60 of the 120 pairs" in notes


def test_a_run_that_is_continued_gets_the_shortlist_it_lacks(run, tiny_recipe):
    list(train(tiny_recipe, run, stop=lambda: True))
    (run / "shortlist.safetensors").unlink()
    list(train(tiny_recipe, run, stop=lambda: True))
    assert (run / "shortlist.safetensors").exists()


def test_a_shortlist_that_was_cut_off_does_not_appear(run, tiny_recipe, monkeypatch):
    def interrupted(shortlist, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Shortlist, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(prepare(tiny_recipe, run))
    assert not (run / "shortlist.safetensors").exists()
    assert NOTE in list(prepare(tiny_recipe, run))
    assert not list(run.glob(".shortlist*"))


@pytest.mark.parametrize("change", ["recipe", "data"])
def test_a_shortlist_goes_with_the_subwords_and_data_it_was_made_of(run, tiny_recipe, change):
    list(prepare(tiny_recipe, run))
    recipe = tiny_recipe
    if change == "recipe":
        recipe = replace(recipe, subwords=replace(recipe.subwords, vocab_size=320))
    else:
        for side in ("nl", "en"):
            with open(f"{recipe.data.train[0]}.{side}", "a") as out:
                out.write("nieuw\n")
    *notes, materials = prepare(recipe, run)
    assert NOTE in notes
    fresh = folder_module.learn_shortlist(materials.store, materials.subwords)
    size = materials.subwords.source.size
    assert torch.equal(
        Shortlist.load(run / "shortlist.safetensors", size, size).best_VX, fresh.best_VX
    )


STORED = ("pairs.arrow", "source_lengths.npy", "target_lengths.npy", "store.json")


@pytest.fixture
def streamed(tmp_path, tiny_recipe, monkeypatch):
    """The tiny recipe with a data set of two files, read ten records at a time, in place of its
    corpus; their folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(records, "ROWS", 10)
    monkeypatch.setattr(store, "ROWS", 10)
    lines = [
        json.dumps({"nl": pair.source, "en": pair.target}) + "\n"
        for pair in read_pairs(tiny_recipe.data.train[0], "nl", "en")
    ]
    files = tmp_path / "files"
    files.mkdir()
    for number, part in enumerate((lines[:60], lines[60:])):
        (files / f"train-{number}.jsonl").write_text("".join(part))
    return replace(tiny_recipe, data=replace(tiny_recipe.data, train=(f"hf://{files}",))), files


def test_a_stream_that_breaks_off_leaves_no_store_and_the_same_command_makes_the_whole_one(
    run, streamed
):
    recipe, files = streamed
    list(prepare(recipe, run))
    whole = [(run / "data" / name).read_bytes() for name in STORED]
    (run / "data").rename(run / "before")  # subwords are there, the store is to be made
    last = files / "train-1.jsonl"
    text = last.read_text()
    last.write_text(text[: len(text) // 2] + "{half a l")
    with pytest.raises(NmtError, match=r"files: cannot be read to its end \(.*\); check its files"):
        list(prepare(recipe, run))
    assert (run / "data.partial" / "pairs.arrow").stat().st_size > 1000
    assert not (run / "data").exists()
    last.write_text(text)
    list(prepare(recipe, run))
    assert [(run / "data" / name).read_bytes() for name in STORED] == whole


def test_a_run_that_is_continued_reads_its_training_stream_no_more(run, streamed):
    recipe, files = streamed
    list(prepare(recipe, run))
    files.rename(files.with_name("gone"))
    *_, materials = prepare(recipe, run)
    assert len(materials.store) == 120
