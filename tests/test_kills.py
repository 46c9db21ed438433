"""The bookkeeping of `python -m evaluation kills`; the runs themselves take minutes."""

from pathlib import Path

import pytest
import torch

from evaluation.kills import Struck, half_written, lost_updates, measures_of, place_of
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig, TrainingConfig
from nmt.training.checkpoint import Checkpoint
from nmt.training.loop import make_optimizer
from nmt.training.state import TrainingState

READING, STARTED = "nmt: reading train\n", "nmt: 0.1M parameters, 1,000 pairs\n"


@pytest.mark.parametrize(
    ("said", "files", "place"),
    [
        ("", [], "before it looked at the run"),
        (READING, ["subwords.model"], "making subwords, store or shortlist"),
        (READING, ["shortlist.safetensors"], "opening the run"),
        (READING + STARTED, ["shortlist.safetensors"], "training"),
        (
            READING + STARTED,
            ["shortlist.safetensors", "checkpoints/.update-000007.writing"],
            "writing a checkpoint",
        ),
    ],
)
def test_an_interruption_has_a_place(
    said: str, files: list[str], place: str, tmp_path: Path
) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("")
    assert place_of(said, tmp_path, before=set()) == place


def test_a_half_written_checkpoint_counts_once(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / ".update-000007.writing").mkdir(parents=True)
    (tmp_path / "shortlist.safetensors").write_text("")
    assert place_of(READING + STARTED, tmp_path, half_written(tmp_path)) == "training"


def test_updates_in_no_checkpoint_are_counted(tmp_path: Path) -> None:
    said = (
        READING
        + STARTED
        + "nmt: update 1,008/2,000 epoch 1 loss 6\nnmt: update 1,009/2,000 epoch 1 loss 6\n"
    )
    assert lost_updates(READING, tmp_path) == 0
    assert lost_updates(said, tmp_path) == 1009
    torch.manual_seed(1)
    model = Seq2Seq(ModelConfig(embedding_size=8, hidden_size=8), 12, 12, shared=True)
    Checkpoint(
        model, make_optimizer(model, TrainingConfig()), None, TrainingState(update=1007)
    ).save(tmp_path)
    assert lost_updates(said, tmp_path) == 2


def test_interruptions_are_counted_by_signal_and_place() -> None:
    struck = [
        Struck("SIGKILL", "training", 3),
        Struck("SIGKILL", "opening the run", 0),
        Struck("SIGTERM", "training", 0),
    ]
    values = {name: measure["value"] for name, measure in measures_of(struck, 2).items()}
    assert values == {
        "runs that differ from the undisturbed one": 0, "signal: SIGKILL": 2, "signal: SIGTERM": 1,
        "struck: opening the run": 1, "struck: training": 2, "updates made again": 3,
    }  # fmt: skip
