"""The comparison of translation speeds with OpenNMT-py: what is counted, what is divided, and
what is said when it fails."""

from pathlib import Path

import pytest

from evaluation.compare import refuse_misfits
from evaluation.speed.onmt_translation import (
    LONGEST,
    OURS,
    Work,
    call,
    count_pieces,
    read_pieces,
    speed_between,
    train,
    with_ratios,
)
from nmt.errors import NmtError


def test_pieces_have_the_numbers_of_their_lines_behind_the_special_ones(tmp_path: Path) -> None:
    text, vocabulary = tmp_path / "text", tmp_path / "vocabulary"
    vocabulary.write_text(".\t500\n▁a\t300\n▁in\t200\n", encoding="utf-8")
    text.write_text("▁in ▁a .\n▁in x .\n", encoding="utf-8")
    assert read_pieces(text, vocabulary) == [[6, 5, 4], [6, 1, 4]]
    with pytest.raises(NmtError, match=r"none: cannot read the peers' data \(No such file"):
        read_pieces(tmp_path / "none", vocabulary)


def test_a_line_that_was_cut_off_has_no_end() -> None:
    lines = ["a " * (LONGEST - 2), "a " * (LONGEST - 1), "a " * LONGEST]
    assert [count_pieces(line) for line in lines] == [LONGEST - 1, LONGEST, LONGEST]
    assert count_pieces("a b\nc\n") == 3 + 2


def test_a_speed_leaves_out_the_start_and_the_first_sentences() -> None:
    start, first, rest = 3.5, 2.0, 20.0
    assert (
        speed_between(Work(1000, start + first), Work(17_000, start + first + rest))
        == 16_000 / 20.0
    )


def test_ratios_are_of_the_speeds_and_have_their_relative_noises_added() -> None:
    speeds = {name: {"value": 4000, "noise": 400, "unit": "pieces/s"} for name in OURS}
    found = with_ratios({**speeds, "OpenNMT-py": {"value": 1000, "noise": 50, "unit": "pieces/s"}})
    assert len(found) == 2 * len(OURS) + 1
    assert found[f"{next(iter(OURS))} / OpenNMT-py"] == {
        "value": 4.0,
        "noise": 0.6,
        "unit": "times its speed",
    }
    refuse_misfits("speed.onmt_translation", found)


def test_the_time_of_a_command_is_its_processor_time() -> None:
    assert call(["sh", "-c", "sleep 0.2"]) < 0.2


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(NmtError, match=r"sh failed \(no such model\)"):
        call(["sh", "-c", "echo no such model >&2; exit 1"])
    with pytest.raises(NmtError, match=r"cannot start OpenNMT-py \(No such file or directory\)"):
        call([str(tmp_path / "onmt_translate")])


def test_a_peer_trains_some_updates_into_the_folder_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    keys = ("save_data", "save_model", "train_steps", "save_checkpoint_steps", "report_every")
    (tmp_path / "configs/rnn.yaml").write_text("".join(f"{key}: x\n" for key in keys))
    program = tmp_path / "venv-onmt/bin/onmt_train"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\ncp "$2" {tmp_path}/seen.yaml\n')
    program.chmod(0o755)
    assert train(tmp_path, tmp_path, "rnn") == tmp_path / "rnn/model_step_5.pt"
    assert (
        f"save_model: {tmp_path}/rnn/model\ntrain_steps: 5\nsave_checkpoint_steps: 5\n"
        in (tmp_path / "seen.yaml").read_text()
    )
