import errno
import json
import shutil

import numpy as np
import pytest
import torch

from nmt.data.batches import collate
from nmt.errors import NmtError
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig, TrainingConfig
from nmt.training import checkpoint as checkpoint_module
from nmt.training.checkpoint import Checkpoint, is_whole, newest, prune
from nmt.training.loop import Learner, make_optimizer, train_updates
from nmt.training.optimizer import WeightAverage
from nmt.training.plans import PlacedBatches
from nmt.training.precision import autocast
from nmt.training.state import Session, TrainingState


def parts(seed=1, size=8):
    torch.manual_seed(seed)
    model = Seq2Seq(ModelConfig(embedding_size=size, hidden_size=size), 12, 12, shared=True)
    optimizer = make_optimizer(model, TrainingConfig())
    return Checkpoint(model, optimizer, WeightAverage(model, 0.9), TrainingState())


def advance(checkpoint, updates):
    batch = collate([[5, 6], [7]], [[8], [9, 10, 11]])
    first = checkpoint.state.update
    feed = (
        PlacedBatches(1, place, False, place, (batch,), np.arange(2))
        for place in range(first, first + updates)
    )
    plain = autocast(torch.device("cpu"), "fp32")
    learner = Learner(
        checkpoint.model,
        checkpoint.optimizer,
        checkpoint.average,
        checkpoint.state,
        TrainingConfig(),
        plain,
    )
    list(train_updates(learner, feed, 100))


def test_saved_equals_loaded_and_goes_on_the_same_way(tmp_path):
    saved, loaded = parts(), parts(seed=2)
    advance(saved, 3)
    saved.state.window.norm_max = 1.5
    folder = saved.save(tmp_path)
    loaded.load(folder)
    assert loaded.state == saved.state
    advance(saved, 3)
    advance(loaded, 3)
    for ours, theirs in zip(saved.model.parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(saved.average.values, loaded.average.values, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", [*checkpoint_module.FILES, "state.json"])
def test_every_kind_of_damage_is_noticed(tmp_path, name):
    checkpoint = parts()
    whole = checkpoint.save(tmp_path)
    checkpoint.state.update = 1
    folder = checkpoint.save(tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content[: -1 if name == "state.json" else None])
    assert newest(tmp_path) == (whole, [folder])
    (folder / name).unlink()
    assert not is_whole(folder)


def test_a_full_disk_is_reported_and_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    checkpoint = parts()
    before = checkpoint.save(tmp_path)
    checkpoint.state.update = 5

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint_module, "save_weights", full)
    with pytest.raises(
        NmtError,
        match=(
            r"update-000005: cannot write the checkpoint \(No space left.*\); make sure that there"
            r" is space"
        ),
    ):
        checkpoint.save(tmp_path)
    assert newest(tmp_path) == (before, [])
    assert (tmp_path / "last").resolve() == before.resolve()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [before.name]


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    folder = parts(size=8).save(tmp_path)
    with pytest.raises(NmtError, match=r"model.safetensors: .* has shape .*, the recipe asks for"):
        parts(size=16).load(folder)


def change_state(folder, changes, hash_too=True):
    """Writes other values into state.json, with the hash that belongs to them or without."""
    saved = json.loads((folder / "state.json").read_text())
    hashes = saved.pop("sha256")
    saved.update(changes)
    if hash_too:
        hashes["state.json"] = checkpoint_module._values_hash(saved)
    (folder / "state.json").write_text(json.dumps({**saved, "sha256": hashes}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 4}',
        '{"format": 4, "sha256": {}}',
        '{"format": "3", "sha256": 5}',
        '{"sha256": {}}',
        "\udcff",
    ],
)
def test_a_state_that_nobody_wrote_is_damage(tmp_path, text):
    folder = parts().save(tmp_path)
    (folder / "state.json").write_bytes(text.encode(errors="surrogateescape"))
    assert not is_whole(folder)
    (folder / "state.json").unlink()
    (folder / "state.json").mkdir()
    assert not is_whole(folder)


@pytest.mark.parametrize("key", ["update", "best_rank", "sessions", "window"])
@pytest.mark.parametrize("value", [7, "seven", None, [], {}])
def test_values_of_the_state_that_were_changed_are_damage(tmp_path, key, value):
    checkpoint = parts()
    checkpoint.state.best_rank = [1.5, 20.0, -3.0]
    checkpoint.state.sessions = [Session("2026-01-01T00:00:00+00:00", "fp32", 0)]
    folder = checkpoint.save(tmp_path)
    state = json.loads((folder / "state.json").read_text())["state"]
    change_state(folder, {"state": {**state, key: value}}, hash_too=False)
    assert not is_whole(folder)


def test_a_checkpoint_of_another_version_is_refused_even_with_one_before(tmp_path):
    checkpoint = parts()
    checkpoint.save(tmp_path)
    checkpoint.state.update = 1
    folder = checkpoint.save(tmp_path)
    state = json.loads((folder / "state.json").read_text())["state"]
    fewer = {key: value for key, value in state.items() if key != "stale"}
    for changes, reason in (
        ({"format": 99}, "format 99, this one writes 4"),
        ({"state": {**state, "mood": 1}}, "other values in its state"),
        ({"state": fewer}, "other values in its state"),
        ({"state": []}, "other values in its state"),
        ({"state": {**state, "window": {}}}, "other values in its state"),
    ):
        change_state(folder, {"format": 4, "state": state, **changes})
        with pytest.raises(
            NmtError,
            match=(
                rf"update-000001: a checkpoint of another version of nmt \({reason}\); use that"
                r" version, or"
            ),
        ):
            newest(tmp_path)


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_over(tmp_path):
    checkpoint = parts()
    for update in (1, 2):
        checkpoint.state.update = update
        (checkpoint.save(tmp_path) / "optimizer.safetensors").write_bytes(b"")
    with pytest.raises(
        NmtError,
        match=(
            r"every checkpoint is damaged \(update-000002, update-000001\); put one back, or delete"
            r" the folder"
        ),
    ):
        newest(tmp_path)


def test_folders_that_are_no_checkpoints_are_left_alone(tmp_path):
    checkpoint = parts()
    folder = checkpoint.save(tmp_path)
    copy = folder.with_name("update-000009 (copy)")
    shutil.copytree(folder, copy)
    assert newest(tmp_path) == (folder, [])
    prune(tmp_path, keep=1)
    assert copy.exists()


def test_what_a_kill_left_half_written_goes_with_the_next_checkpoint(tmp_path):
    half = tmp_path / "checkpoints" / ".update-000001.writing"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    assert newest(tmp_path) == (None, [])
    folder = parts().save(tmp_path)
    assert list(folder.parent.iterdir()) == [folder]


def test_pruning_removes_damaged_checkpoints_ahead_of_the_run(tmp_path):
    checkpoint = parts()
    for update in (1, 9):
        checkpoint.state.update = update
        folder = checkpoint.save(tmp_path)
    (folder / "state.json").write_text("")
    checkpoint.state.update = 2
    newer = checkpoint.save(tmp_path)
    prune(tmp_path, keep=1)
    assert newest(tmp_path) == (newer, [])


@pytest.mark.parametrize("name", ["checkpoints", "last"])
def test_a_name_that_something_else_has_is_told(tmp_path, name):
    if name == "last":  # as it is after a copy that followed links
        (tmp_path / "last" / "inside").mkdir(parents=True)
    else:
        (tmp_path / "checkpoints").write_text("")
    with pytest.raises(
        NmtError,
        match=(
            r"(update-000000: cannot write the checkpoint|last: cannot write the link) \((Not|Is) a"
            r" directory\)"
        ),
    ):
        parts().save(tmp_path)


def test_pruning_keeps_the_newest_and_the_best(tmp_path):
    checkpoint = parts()
    for update in range(5):
        checkpoint.state.update = update
        folder = checkpoint.save(tmp_path)
        if update == 1:
            checkpoint_module.point(tmp_path, "best", folder)
    prune(tmp_path, keep=2)
    assert sorted(path.name[-1] for path in (tmp_path / "checkpoints").iterdir()) == ["1", "3", "4"]


def test_nothing_in_a_checkpoint_is_pickled(tmp_path):
    folder = parts().save(tmp_path)
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}
