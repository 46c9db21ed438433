import errno
import json

import numpy as np
import pytest
import torch

from nmt.config import ModelConfig, TrainingConfig
from nmt.data.batches import collate
from nmt.errors import NmtError
from nmt.model.seq2seq import Seq2Seq
from nmt.training import checkpoint as checkpoint_module
from nmt.training.average import WeightAverage
from nmt.training.checkpoint import Checkpoint, is_whole, newest, prune
from nmt.training.feed import PlacedBatches
from nmt.training.loop import Learner, make_optimizer, train_updates
from nmt.training.precision import autocast
from nmt.training.state import TrainingState


def parts(seed=1, size=8):
    torch.manual_seed(seed)
    model = Seq2Seq(ModelConfig(embedding_size=size, hidden_size=size), 12, 12, shared=True)
    optimizer = make_optimizer(model, TrainingConfig())
    return Checkpoint(model, optimizer, WeightAverage(model, 0.9), TrainingState())


def advance(checkpoint, updates):
    batch = collate([[5, 6], [7]], [[8], [9, 10, 11]])
    first = checkpoint.state.update
    feed = (PlacedBatches(1, place, False, place, (batch,), np.arange(2)) for place in range(first, first + updates))
    plain = autocast(torch.device("cpu"), "fp32")
    learner = Learner(checkpoint.model, checkpoint.optimizer, checkpoint.average, checkpoint.state, TrainingConfig(), plain)
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
    with pytest.raises(NmtError, match=r"update-000005: cannot write the checkpoint .*No space left.*; free some space"):
        checkpoint.save(tmp_path)
    assert newest(tmp_path) == (before, [])
    assert (tmp_path / "last").resolve() == before.resolve()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [before.name]


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    folder = parts(size=8).save(tmp_path)
    with pytest.raises(NmtError, match=r"model.safetensors: .* has shape .*, the recipe asks for"):
        parts(size=16).load(folder)


def test_a_checkpoint_of_another_format_is_refused(tmp_path):
    folder = parts().save(tmp_path)
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "format": 99}))
    with pytest.raises(NmtError, match="checkpoint format 99, this version reads 1"):
        parts().load(folder)


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
