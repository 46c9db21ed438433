from dataclasses import replace

import pytest
import torch

from nmt.inference.shortlist import Shortlist
from nmt.training import folder as folder_module
from nmt.training.folder import default_batch_pieces, default_epochs, prepare
from nmt.training.run import train


@pytest.mark.parametrize(("pairs", "epochs"), [(100, 20), (30_000, 14), (120_000, 7), (100_000_000, 3)])
def test_larger_corpora_are_read_fewer_times(pairs, epochs):
    assert default_epochs(pairs) == epochs


@pytest.mark.parametrize(("pairs", "pieces"), [(100, 2048), (99_999, 2048), (100_000, 4096), (1_000_000, 8192)])
def test_larger_corpora_have_larger_batches(pairs, pieces):
    assert default_batch_pieces(pairs) == pieces


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
    assert torch.equal(Shortlist.load(run / "shortlist.safetensors", size, size).best_VX, fresh.best_VX)
