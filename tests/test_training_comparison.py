"""The comparison of training speeds: what the programs' logs say, their settings, windows,
ratios, and the parts of our step."""

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.compare import refuse_misfits
from evaluation.speed import training
from evaluation.speed.trainers import FAIRSEQ, JOEYNMT, NMT, OPENNMT, Trainer, derive, trainers
from evaluation.speed.training import (
    Report,
    loss_between,
    measures_of,
    observe,
    prepare,
    processor_seconds,
    ratio,
    read,
    speeds,
)
from evaluation.speed.training_step import REST, part_of, shares_of
from nmt.errors import NmtError

OURS = (
    "nmt: update 1,010/19,000 epoch 6 loss 3.250 gradient 1.02 clipped 35% 2,000 pieces/s rate"
    " 0.001 left 2:01:09"
)
OPENNMT_LINE = (
    "[2026-01-01 00:05:17,018 INFO] Step 10/100000; acc: 11.5; ppl: 1984.4; xent: 7.6; lr: 0.00100;"
    " sents:     253; bsz: 1195/1503/126; 657/826 tok/s;     10 sec;"
)
JOEYNMT_LINE = (
    "2026-01-01 00:04:32,371 - INFO - joeynmt.training - Epoch   1, Step:        2, Batch Loss:    "
    " 8.855027, Batch Acc: 0.053977, Tokens per Sec:      316, Lr: 0.001000"
)
FAIRSEQ_LINE = (
    "2026-01-01 01:26:50 | INFO | train_inner | epoch 001:      4 / 264 loss=11.137, ppl=2252.51,"
    " wps=958.6, ups=0.52, wpb=1860, bsz=140, num_updates=10, lr=0.001, gnorm=1.397, clip=100,"
    " train_wall=4, wall=11"
)


def trainer(
    pattern: object, nats: Callable[[float], float] = float, command: list[str] | None = None
) -> Trainer:
    return Trainer("a program", command or [], pattern, nats)  # type: ignore[arg-type]


def test_a_rate_gives_the_pieces_since_the_report_before() -> None:
    before = [Report(1005, 500.0, 2000.0, 1.0, 100.0)]
    assert read(trainer(NMT), OURS, before, 3.0, 104.0) == Report(
        1010, 500 + 4 * 2000, 2000 + 8000 * 3.25, 3.0, 104.0
    )
    found = read(trainer(JOEYNMT), JOEYNMT_LINE, [Report(1, 0.0, 0.0, 1.0, 100.0)], 3.0, 102.5)
    assert found == Report(2, 790.0, pytest.approx(790 * 8.855027), 3.0, 102.5)


def test_a_batch_size_gives_the_pieces_of_all_updates_since_the_report_before() -> None:
    before = [Report(5, 100.0, 10.0, 1.0, 100.0)]
    found = read(trainer(OPENNMT, math.log), OPENNMT_LINE, before, 3.0, 104.0)
    assert found == Report(
        10, 100 + 5 * 1503, pytest.approx(10 + 5 * 1503 * math.log(1984.4)), 3.0, 104.0
    )
    found = read(
        trainer(FAIRSEQ, lambda bits: bits * math.log(2)), FAIRSEQ_LINE, before, 3.0, 104.0
    )
    assert found == Report(
        10, 100 + 5 * 1860, pytest.approx(10 + 5 * 1860 * 11.137 * math.log(2)), 3.0, 104.0
    )


@pytest.mark.parametrize("pattern", [NMT, OPENNMT, JOEYNMT, FAIRSEQ])
def test_other_lines_are_no_reports(pattern: object) -> None:
    assert (
        read(
            trainer(pattern),
            "2026-01-01 | INFO | train | epoch 001 | loss 11.154 | wps 897.5 | num_updates 8",
            [],
            1.0,
            1.0,
        )
        is None
    )


def test_a_changed_key_keeps_its_place_and_its_indentation(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("model_dir: x  # where\ntraining:\n    logging_freq: 25\n    epochs: 1\n")
    derive(config, tmp_path / "derived.yaml", {"logging_freq": 1, "model_dir": r"C:\1"})
    assert (
        tmp_path / "derived.yaml"
    ).read_text() == "model_dir: C:\\1\ntraining:\n    logging_freq: 1\n    epochs: 1\n"


def test_a_configuration_that_is_not_as_expected_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("a: 1\nb:\n  a: 2\n")
    with pytest.raises(NmtError, match="the key 'a' must be there once, got 2 times"):
        derive(config, tmp_path / "derived.yaml", {"a": 3})
    with pytest.raises(NmtError, match="cannot read the peer's configuration"):
        derive(tmp_path / "none.yaml", tmp_path / "derived.yaml", {})


def test_only_the_peers_that_are_there_train_beside_ours(tmp_path: Path) -> None:
    with pytest.raises(NmtError, match="none of venv-onmt, venv-joey, venv-fairseq is there"):
        trainers(tmp_path, tmp_path / "out")
    (tmp_path / "venv-onmt").mkdir()
    (tmp_path / "venv-fairseq").mkdir()
    (tmp_path / "configs").mkdir()
    for feed in (0, 1):
        (tmp_path / f"configs/onmt_rnn_if{feed}.yaml").write_text(
            "save_data: x\nsave_model: x\nreport_every: 20\n"
        )
    found = trainers(tmp_path, tmp_path / "out")
    assert [each.name.split()[0] for each in found] == [
        "nmt",
        "nmt",
        "nmt",
        "OpenNMT-py,",
        "OpenNMT-py,",
        "fairseq",
    ]
    assert "report_every: 5\n" in (tmp_path / "out/onmt_rnn_if1.yaml").read_text()


def reports(pieces_a_second: float, loss: float, updates: int = 20) -> list[Report]:
    """Every 5 updates take 10 seconds of the processor and 20 of the clock; the first five take
    longer."""
    seconds = [
        100.0 * (number > 0) + 10.0 * (number - 1) * (number > 1)
        for number in range(1, updates // 5 + 1)
    ]
    steps = range(1, updates // 5 + 1)
    return [
        Report(5 * n, pieces_a_second * 10 * n, loss * pieces_a_second * 10 * n, s, 2 * s)
        for n, s in zip(steps, seconds, strict=True)
    ]


def test_the_first_window_is_no_speed() -> None:
    assert speeds([reports(900.0, 1.0), reports(450.0, 1.0, 10)]) == [900.0, 900.0, 900.0, 450.0]


def test_reports_within_a_window_are_put_together() -> None:
    rows = [Report(n, 100.0 * n, 0.0, float(n * n), 0.0) for n in range(1, 11)]
    assert speeds([rows]) == [500 / (100 - 25)]


def test_the_loss_of_some_updates_is_a_mean_over_their_pieces() -> None:
    rows = [
        Report(5, 100.0, 900.0, 0.0, 0.0),
        Report(10, 200.0, 1500.0, 0.0, 0.0),
        Report(15, 500.0, 2100.0, 0.0, 0.0),
    ]
    assert loss_between(rows, 5, 15) == 1200 / 400


def test_a_ratio_lies_between_what_the_quartiles_allow() -> None:
    assert ratio([1800, 2000, 2200], [500, 800, 900]) == [2.0, 2.5, 4.4]


def test_measures_are_whole_and_ratios_are_of_ours_to_each_peer() -> None:
    runs = {
        "nmt a": [reports(1800.0, 5.0)],
        "nmt b": [reports(1200.0, 5.0)],
        "peer": [reports(600.0, 5.5), reports(600.0, 5.5, 10)],
    }
    found = measures_of(runs, updates=20)
    refuse_misfits("speed.training", found)
    assert [name for name in found if "/" in name] == ["nmt a / peer", "nmt b / peer"]
    assert found["nmt a / peer"]["value"] == 3.0
    assert found["peer: speed"]["value"] == 600
    assert found["peer: processor"]["value"] == 0.5
    assert found["peer: pieces an update"]["value"] == 1200
    assert found["peer: loss"] == {
        "value": 5.5,
        "noise": 0.1,
        "unit": "nats a target piece, updates 11 to 20",
    }


def program(lines: int) -> list[str]:
    """Reports as JoeyNMT does, and then sleeps."""
    code = (
        f"import time\nfor n in range({lines}): print(f'Step:  {{n + 1}}, Batch Loss: 2.5, Tokens"
        f" per Sec:  100')\ntime.sleep({lines})"
    )
    return [sys.executable, "-c", code]


def core() -> int:
    return min(os.sched_getaffinity(0))


def test_a_program_is_stopped_after_its_last_update(tmp_path: Path) -> None:
    found = observe(trainer(JOEYNMT, command=program(99)), core(), 7, tmp_path / "log")
    assert [report.update for report in found] == [1, 2, 3, 4, 5, 6, 7]
    assert "Step:  7" in (tmp_path / "log").read_text()


def test_a_program_that_ends_too_early_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NmtError, match="a program ended before update 7; its log is"):
        observe(trainer(JOEYNMT, command=[*program(0)]), core(), 7, tmp_path / "log")


def test_a_peer_that_cannot_prepare_its_data_is_an_error() -> None:
    failing = trainer(FAIRSEQ)._replace(
        before=(sys.executable, "-c", "print('first'); raise SystemExit('no data')")
    )
    with pytest.raises(
        NmtError, match=r"a program: .*python.* failed \(no data\); set this peer up again"
    ):
        prepare(failing)


def test_processor_time_is_what_the_process_itself_is_told() -> None:
    before = sum(os.times()[:4])
    found = processor_seconds(os.getpid())
    assert before - 0.02 <= found <= sum(os.times()[:4]) + 0.02


@pytest.mark.parametrize(("updates", "rounds"), [(15, 1), (22, 1), (20, 0)])
def test_numbers_that_leave_no_window_are_refused(
    updates: int, rounds: int, tmp_path: Path
) -> None:
    arguments = argparse.Namespace(peers=tmp_path, core=0, updates=updates, rounds=rounds)
    with pytest.raises(
        NmtError,
        match=(
            f"--updates must be a multiple of 5, at least 20, got {updates}; --rounds at least 1,"
            f" got {rounds}"
        ),
    ):
        training.run(tmp_path, arguments)


@pytest.mark.parametrize(
    ("operator", "part"),
    [
        ("aten::mkldnn_rnn_layer_backward", "steps of the recurrence"),
        ("aten::mm", "matrix products"),
        ("aten::_softmax", "matrix products"),
        ("aten::_softmax_backward_data", "attention"),
        ("aten::mul", "dropout and other products of elements"),
        ("aten::mul_", "clipping"),
        ("Optimizer.step#AdamW.step", "optimizer"),
        ("aten::unheard_of", REST),
    ],
)
def test_the_longest_name_decides_an_operators_part(operator: str, part: str) -> None:
    assert part_of(operator) == part


def test_shares_add_up_to_one_the_greatest_first() -> None:
    found = shares_of([("aten::mm", 3.0), ("aten::addmm", 1.0), ("aten::mkldnn_rnn_layer", 12.0)])
    assert list(found.items())[:2] == [("steps of the recurrence", 0.75), ("matrix products", 0.25)]
    assert sum(found.values()) == 1
