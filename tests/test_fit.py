"""`--batch auto`: the largest batch that memory and corpus allow, chosen once in a run."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_gradient import memory_for
from test_scalars import tiny_corpus  # noqa: F401 (a fixture)
from test_train_command import SMALL

from nmt.commands.main import main
from nmt.data.batches import batch_order
from nmt.errors import NmtError
from nmt.recipe import DataConfig, ModelConfig, Recipe, TrainingConfig, load_recipe
from nmt.training import batch_size as fit
from nmt.training import prepare as folder

MIB = 2**20


def trial(limit=65_536, **training):
    recipe = Recipe(
        data=DataConfig(train=("train",), dev="dev", source="nl", target="en"),
        model=ModelConfig(embedding_size=8, hidden_size=8),
        training=TrainingConfig(device="cpu", precision="fp32", threads=1, **training),
    )
    return fit.Trial(recipe, (20, 20), True, (4, 8), limit)


class Lengths:
    """What is looked at of a store."""

    def __init__(self, sources, targets):
        self.source_lengths, self.target_lengths = np.array(sources), np.array(targets)

    def __len__(self):
        return len(self.source_lengths)


@pytest.mark.parametrize(
    ("limit", "memory", "pieces"),
    [(65_536, 5000, 4096), (65_536, 4096, 4096), (2048, 5000, 2048), (65_536, 9, 1024)],
)
def test_the_batch_is_doubled_while_it_fits(limit, memory, pieces):
    tried = []
    assert fit.doubled(lambda size: tried.append(size) or size <= memory, limit) == pieces
    assert max(tried, default=0) <= limit


def test_memory_grows_along_the_line_through_both_measurements():
    growths = [500 + 10 * size for size in fit.MEASURED]
    assert fit.extrapolated(growths, 65_536) == 500 + 10 * 65_536


def test_a_second_measurement_below_the_first_is_no_growth():
    assert fit.extrapolated([700, 600], 65_536) == 700


@pytest.mark.parametrize(
    ("rows", "length", "accumulate", "limit"),
    [
        (30, 4095, 1, 4096),
        (30, 4094, 1, 2048),
        (30, 4095, 2, 2048),
        (3, 5, 1, 1024),
        (30_000, 99, 1, 65_536),
    ],
)
def test_a_batch_is_at_most_a_thirtieth_of_the_corpus(rows, length, accumulate, limit):
    for store in (Lengths([length] * rows, [1] * rows), Lengths([1] * rows, [length] * rows)):
        assert fit.corpus_limit(store, accumulate) == limit


def test_an_epoch_has_at_least_thirty_updates():
    lengths = np.random.default_rng(1).integers(1, 60, (2, 5000))
    batch = fit.corpus_limit(Lengths(*lengths), 1)
    assert batch > 1024
    assert len(batch_order(*lengths, batch, seed=1, epoch=1)) >= 30


def test_the_widths_tried_are_the_median_and_the_largest_of_the_longer_side(monkeypatch):
    store = Lengths(
        [3, 9, 1, 7, 2, 1], [4, 2, 5, 1, 12, 3]
    )  # longer sides 4, 9, 5, 7, 12, 3: the median is 6
    assert fit.tried_widths(store) == (7, 13)
    monkeypatch.setattr(fit, "ROWS", 3)
    assert fit.tried_widths(store) == (6, 13)  # of 4, 5 and 12


def test_made_up_batches_are_full_and_of_one_width():
    batch = fit.made_up(30, 7)
    assert batch.source_BS.shape == batch.output_BT.shape == (4, 7)
    assert batch.source_mask_BS.all()
    assert batch.output_mask_BT.all()
    assert fit.made_up(30, 50).source_BS.shape == (1, 50)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU on whose memory each test has its say."""
    for name in ("empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 0)


def test_a_gpu_is_tried_until_its_memory_gives_out(gpu, monkeypatch):
    network = fit.Network(trial(), torch.device("cpu"))
    tried = memory_for(1024, monkeypatch, message="CUDA out of memory. Tried to allocate 9 GiB")
    assert fit.fit_gpu(network, 65_536, MIB) == 4096  # 1,024 pairs of 4 pieces
    assert max(tried) == 2048


def test_a_gpu_is_tried_until_nine_tenths_are_taken(gpu, monkeypatch):
    tried = []
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 10 * tried[-1])
    network = SimpleNamespace(computes=lambda pieces: tried.append(pieces) or True)
    assert fit.fit_gpu(network, 65_536, 182_045) == 16_384  # 163,840 bytes of 163,840.5
    assert fit.fit_gpu(network, 65_536, 182_043) == 8192


def test_a_cpu_is_extrapolated_to_four_fifths_of_what_is_free(monkeypatch):
    peaks = iter(
        [7 * MIB, 9 * MIB, 11 * MIB]
    )  # before, at 2,048 and at 4,096 pieces: 1 MiB for 1,024 pieces
    monkeypatch.setattr(fit, "peak_memory", lambda: next(peaks))
    monkeypatch.setattr(fit, "available_memory", lambda: 20 * MIB)
    assert fit.largest_batch(trial()) == 16_384


def test_a_cpu_that_runs_out_while_it_is_measured_gets_the_smallest_batch(monkeypatch):
    memory_for(511, monkeypatch)
    assert fit.largest_batch(trial()) == 1024


def test_the_trial_has_a_process_of_its_own():
    assert fit._in_a_process(trial(limit=2048)) == 2048


def die(connection, _):
    os._exit(9)


def test_a_trial_that_is_killed_is_one_line(monkeypatch):
    monkeypatch.setattr(fit, "_answer", die)
    with pytest.raises(
        NmtError,
        match=(
            r"cannot fit the batch to the memory \(.* exit status 9\); give a number, as in --batch"
            r" 4096"
        ),
    ):
        fit._in_a_process(trial())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (NmtError("one pair"), "one pair"),
        (torch.OutOfMemoryError("CUDA out of memory"), "memory does not suffice for the network"),
    ],
)
def test_what_is_wrong_comes_back_from_the_process(error, message, monkeypatch):
    def failing(_):
        raise error

    answers = []
    monkeypatch.setattr(fit, "largest_batch", failing)
    fit._answer(SimpleNamespace(send=answers.append), trial())
    with pytest.raises(NmtError, match=message):
        raise answers[0]


@pytest.mark.parametrize(
    ("limit", "available"),
    [("max\n", 8000 * 1024), ("5000\n", 5000 - 3000 + 2000), ("900\n", 0), (None, 8000 * 1024)],
)
def test_memory_is_that_of_the_machine_or_of_the_control_group(limit, available, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:    8000 kB\n")
    if limit:
        for name, text in (
            ("memory.max", limit),
            ("memory.current", "3000\n"),
            ("memory.stat", "anon 1\ninactive_file 2000\n"),
        ):
            (tmp_path / name).write_text(text)
    assert fit.available_memory(tmp_path / "meminfo", tmp_path) == available


def test_a_system_that_does_not_tell_its_memory_is_one_line(tmp_path):
    with pytest.raises(
        NmtError,
        match=(
            r"cannot tell how much memory there is \(no MemAvailable in .*none\); give a number, as"
            r" in --batch 4096"
        ),
    ):
        fit.available_memory(tmp_path / "none")


def test_the_peak_is_read_from_the_process(tmp_path):
    (tmp_path / "status").write_text("VmPeak:\t    9 kB\nVmHWM:\t    1748 kB\n")
    assert fit.peak_memory(tmp_path / "status") == 1748 * 1024


def test_auto_is_chosen_once_and_kept(tiny_corpus, tmp_path, monkeypatch, capsys):  # noqa: F811
    run, answers = tmp_path / "run", iter([(32, "memory suffices for batches of 32 pieces")])
    monkeypatch.setattr(folder, "fit_batch", lambda *_: next(answers))
    command = ["train", *tiny_corpus, *SMALL, "--run", str(run)]
    assert main([*command, "--batch", "auto", "--set", "training.epochs=1"]) == 0
    assert "nmt: memory suffices for batches of 32 pieces\n" in capsys.readouterr().err
    assert load_recipe(run / "recipe.toml").training.batch_pieces == 32
    assert main([*command, "--batch", "auto", "--set", "training.epochs=2"]) == 0
    assert (
        "nmt: keeping the batches of 32 pieces that this run began with\n"
        in capsys.readouterr().err
    )
    assert main([*command, "--set", "training.epochs=3"]) == 0
    assert load_recipe(run / "recipe.toml").training.batch_pieces == 32
    assert main([*command, "--batch", "64", "--set", "training.epochs=3"]) == 1
    assert "training.batch_pieces is 32 there, 64 here" in capsys.readouterr().err


def test_a_corpus_too_small_for_larger_batches_is_not_tried(tiny_corpus, tmp_path, capsys):  # noqa: F811
    command = [
        "train",
        *tiny_corpus,
        *SMALL,
        "--run",
        str(tmp_path / "run"),
        "--set",
        "training.epochs=1",
    ]
    assert main([*command, "--batch", "auto"]) == 0
    assert (
        "nmt: batches of 1,024 pieces: with larger ones an epoch would have fewer than 30 updates\n"
        in capsys.readouterr().err
    )


def test_a_number_takes_the_recipes_place(tiny_corpus, tmp_path):  # noqa: F811
    command = [
        "train",
        *tiny_corpus,
        *SMALL,
        "--run",
        str(tmp_path / "run"),
        "--set",
        "training.epochs=1",
    ]
    assert main([*command, "--batch", "48"]) == 0
    assert load_recipe(tmp_path / "run" / "recipe.toml").training.batch_pieces == 48


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "big"], "argument --batch: must be a whole number, got 'big'; or auto"),
        (["--batch", "0"], "argument --batch: must be at least 1, got 0; or auto"),
        (
            ["--batch", "auto", "--set", "training.batch_pieces=9"],
            "give either --batch or --set training.batch_pieces=...",
        ),
    ],
)
def test_a_bad_batch_is_a_usage_error(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(
            ["train", "--train", "p", "--dev", "p", "--source", "nl", "--target", "en", *arguments]
        )
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err
