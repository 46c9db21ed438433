"""Run and corpus folders of an attacker: one line, no wait, no file outside touched."""

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hostile import DEEP
from safetensors.torch import save_file
from training_runs import stop_after

from nmt.errors import NmtError
from nmt.files import file_hash
from nmt.text.corpus import read_pairs
from nmt.training.run import train


@pytest.fixture
def precious(tmp_path):
    """A user's file and folder outside of the run."""
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "mine" / "update-000001").mkdir(parents=True)
    yield tmp_path / "precious"
    assert (tmp_path / "precious").read_text() == "kept"
    assert (tmp_path / "mine" / "update-000001").is_dir()


@pytest.mark.parametrize(
    "name",
    [
        ".lock", ".recipe.toml.writing", "recipe.toml", "metrics.jsonl", "checkpoints", "data", "data.partial", "shortlist.safetensors",  # noqa: E501
        ".shortlist.safetensors.writing", ".subwords.writing", "best", "last", "tensorboard", "begun.json", "data/store.json",  # noqa: E501
    ],
)  # fmt: skip
def test_training_follows_no_link_out_of_its_run(tmp_path, tiny_recipe, precious, name):
    run = tmp_path / "run"
    (run / name).parent.mkdir(parents=True)
    (run / name).symlink_to(
        tmp_path / "mine"
        if name in ("checkpoints", "data", "best", "last", "tensorboard")
        else precious
    )
    with pytest.raises(
        NmtError,
        match=(
            f"run/{name}: a link to .*; put what it leads to in its place, or choose another folder"
        ),
    ):
        list(train(tiny_recipe, run, stop=stop_after(1)))


def test_training_waits_for_no_pipe(tmp_path, tiny_recipe):
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "metrics.jsonl")
    with pytest.raises(
        NmtError, match=r"run/metrics.jsonl: neither a file nor a folder; delete it"
    ):
        list(train(tiny_recipe, tmp_path / "run", stop=stop_after(1)))


def with_state(checkpoint, change):
    saved = json.loads((checkpoint / "state.json").read_text())
    hashes = saved.pop("sha256")
    change(saved)
    hashes["state.json"] = sha256(json.dumps(saved).encode()).hexdigest()
    (checkpoint / "state.json").write_text(json.dumps({**saved, "sha256": hashes}))


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: saved["state"].update(update="many"),
        lambda saved: saved["state"].update(update=10**30),
        lambda saved: saved["state"].update(epoch=[1]),
        lambda saved: saved["state"].update(metrics_bytes=1.5),
        lambda saved: saved["state"].update(precision=None),
        lambda saved: saved["state"]["window"].update(pieces="x"),
        lambda saved: saved["state"].update(sessions=[{"a": 1}]),
        lambda saved: saved.update(average_updates={}),
    ],
)
def test_a_state_of_other_types_is_a_damaged_checkpoint(begun_run, tmp_path, change):
    recipe, whole = begun_run
    run = Path(shutil.copytree(whole, tmp_path / "run", symlinks=True))
    for checkpoint in (run / "checkpoints").iterdir():
        with_state(checkpoint, change)
    with pytest.raises(NmtError, match="every checkpoint is damaged"):
        list(train(recipe, run, stop=stop_after(1)))


@pytest.fixture
def begun_run(tmp_path, tiny_recipe):
    list(train(tiny_recipe, tmp_path / "begun", stop=stop_after(2)))
    return tiny_recipe, tmp_path / "begun"


def test_an_optimizer_of_another_network_is_named(begun_run):
    recipe, run = begun_run
    checkpoint = (run / "last").resolve()
    save_file({"exp_avg.nothing": torch.zeros(1)}, checkpoint / "optimizer.safetensors")
    saved = json.loads((checkpoint / "state.json").read_text())
    saved["sha256"]["optimizer.safetensors"] = file_hash(checkpoint / "optimizer.safetensors")
    (checkpoint / "state.json").write_text(json.dumps(saved))
    with pytest.raises(NmtError, match=r"optimizer.safetensors: of another network"):
        list(train(recipe, run, stop=stop_after(1)))


@pytest.mark.parametrize(
    "part", ["../train", "/etc/passwd", "hf:///home", "hf://../x", "a/../../b", "link/train"]
)
def test_a_corpus_names_no_files_outside_its_folder(tmp_path, part):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "link").symlink_to("/usr")
    text = (
        'name = "c"\nlanguages = ["nl", "en"]\nlicence = "l"\norigin = "o"\n[splits]\ntrain ='
        f' "{part}"\n'
    )
    (tmp_path / "c" / "corpus.toml").write_text(text)
    with pytest.raises(
        NmtError,
        match=r"corpus.toml: names files outside its folder, .*; name those files themselves",
    ):
        list(read_pairs(str(tmp_path / "c"), "nl", "en"))


@pytest.mark.parametrize(
    "line",
    [
        f"name = {DEEP}",
        "name = [[1]]",
        "obtain = [1]",
        "a" + ".a" * 50_000 + " = 1",
        f"languages = {10**30}",
    ],
)
def test_a_corpus_card_of_other_types(tmp_path, line):
    (tmp_path / "corpus.toml").write_text(
        f'{line}\nlicence = "l"\norigin = "o"\n[splits]\ntrain = "x"\n'
    )
    with pytest.raises(NmtError, match=r"corpus.toml: "):
        list(read_pairs(str(tmp_path), "nl", "en"))
