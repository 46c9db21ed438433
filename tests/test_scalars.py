"""The figures of a run for TensorBoard, written by a stand-in for the package."""

import sys
from types import SimpleNamespace

import pytest
from test_train_command import SMALL

from nmt.commands.main import main
from nmt.errors import NmtError
from nmt.scoring.bleu import Score
from nmt.training.events import Note, Report, Started, Validated
from nmt.training.state import Window
from nmt.training.tensorboard import TensorBoard, scalars
from nmt.training.validation import Validation

REPORT = Report(
    50,
    100,
    1,
    Window(
        updates=4,
        clipped=1,
        pieces=10,
        smoothed=30.0,
        cross_entropy=20.0,
        norm_sum=6.0,
        norm_max=3.0,
    ),
    0.001,
    900.0,
    7.0,
)
VALIDATED = Validated(
    60, 1, Validation(2.5, [Score("BLEU", 31.0, "nrefs:1"), Score("chrF2", 52.0, "nc:6")]), True
)


class Writer:
    """Takes down what a SummaryWriter is asked for."""

    def __init__(self, folder, purge_step):
        self.folder, self.purge_step, self.steps, self.texts, self.closed = (
            folder,
            purge_step,
            {},
            [],
            False,
        )
        self.flushed = 0
        written.append(self)

    def add_scalar(self, name, value, step):
        self.steps.setdefault(name, []).append(step)

    def add_text(self, name, text, step):
        self.texts.append((name, text, step))

    def flush(self):
        self.flushed += 1

    def close(self):
        self.closed = True


written = []


@pytest.fixture
def writers(monkeypatch):
    """The stand-ins that have been made."""
    written.clear()
    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer)
    )
    return written


@pytest.fixture
def tiny_corpus(tmp_path):
    """The options that name a corpus of sixteen pairs."""
    for language, word in (("nl", "kat"), ("en", "cat")):
        (tmp_path / f"corpus.{language}").write_text(
            "".join(f"{number} {word}\n" for number in range(16))
        )
    prefix = str(tmp_path / "corpus")
    return ["--train", prefix, "--dev", prefix, "--source", "nl", "--target", "en"]


def test_a_report_is_its_means():
    assert scalars(REPORT) == {
        "train/loss": 3.0,
        "train/cross_entropy": 2.0,
        "train/learning_rate": 0.001,
        "train/gradient_norm": 1.5,
        "train/clipped_share": 0.25,
        "train/pieces_per_second": 900.0,
    }


def test_a_report_without_a_finite_update_is_zero():
    assert scalars(REPORT._replace(window=Window()))["train/loss"] == 0.0


def test_a_validation_is_its_loss_and_its_scores():
    assert scalars(VALIDATED) == {
        "validation/cross_entropy": 2.5,
        "validation/BLEU": 31.0,
        "validation/chrF2": 52.0,
    }


def test_scores_come_with_their_signatures(writers, tmp_path):
    board = TensorBoard(tmp_path)
    for event in (Started("", 0), VALIDATED):
        board.write(event)
    assert writers[0].texts == [("validation/signatures", "BLEU: nrefs:1\n\nchrF2: nc:6", 60)]
    assert writers[0].flushed == 1


def test_nothing_is_written_before_the_updates_begin(writers, tmp_path):
    board = TensorBoard(tmp_path)
    board.write(Note("reading"))
    board.close()
    assert not writers


def test_updates_that_are_made_again_after_a_kill_replace_the_old_ones(writers, tmp_path):
    board = TensorBoard(tmp_path)
    board.write(Started("", 40))
    assert (writers[0].folder, writers[0].purge_step) == (str(tmp_path), 41)


def test_updates_that_are_made_again_after_a_divergence_replace_the_old_ones(writers, tmp_path):
    board = TensorBoard(tmp_path)
    for event in (Started("", 0), REPORT, VALIDATED, REPORT):  # back from 60 to before 50
        board.write(event)
    assert [writer.purge_step for writer in writers] == [1, 50]
    assert [writer.closed for writer in writers] == [True, False]
    assert [writer.steps["train/loss"] for writer in writers] == [[50], [50]]


def test_a_report_at_the_update_that_diverged_is_replaced(writers, tmp_path):
    board = TensorBoard(tmp_path)
    for event in (Started("", 0), REPORT, REPORT):
        board.write(event)
    assert [writer.purge_step for writer in writers] == [1, 50]


def test_an_update_that_is_reported_and_validated_is_made_once(writers, tmp_path):
    board = TensorBoard(tmp_path)
    for event in (Started("", 0), REPORT, VALIDATED._replace(update=50)):
        board.write(event)
    assert [writer.purge_step for writer in writers] == [1]


def test_a_full_disk_names_the_folder(writers, tmp_path, monkeypatch):
    def full(writer, name, value, step):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "add_scalar", full)
    board = TensorBoard(tmp_path / "tensorboard")
    board.write(Started("", 0))
    with pytest.raises(NmtError, match=r"tensorboard: cannot write it \(No space left on device\)"):
        board.write(REPORT)


def test_the_command_draws_every_report_and_continues_the_curves(writers, tiny_corpus, tmp_path):
    command = [
        "train",
        *tiny_corpus,
        *SMALL,
        "--set",
        "training.validate_every=2",
        "--run",
        str(tmp_path / "run"),
        "--tensorboard",
    ]
    assert main([*command, "--set", "training.epochs=1"]) == 0
    assert main([*command, "--set", "training.epochs=3"]) == 0
    assert [writer.folder for writer in writers] == [str(tmp_path / "run" / "tensorboard")] * 2
    assert [writer.purge_step for writer in writers] == [1, 2]
    assert [writer.steps["train/loss"] for writer in writers] == [[1], [2, 3]]
    assert [writer.steps["validation/BLEU"] for writer in writers] == [[1], [2, 3]]
    assert all(writer.closed for writer in writers)


def test_without_the_flag_nothing_is_drawn(writers, tiny_corpus, tmp_path):
    assert (
        main(
            [
                "train",
                *tiny_corpus,
                *SMALL,
                "--set",
                "training.epochs=1",
                "--run",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )
    assert not writers


def test_without_the_package_it_is_one_line_before_anything_is_written(
    tiny_corpus, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", None
    )  # importing it fails as if it were not there
    assert (
        main(["train", *tiny_corpus, *SMALL, "--run", str(tmp_path / "run"), "--tensorboard"]) == 1
    )
    assert (
        capsys.readouterr().err
        == "nmt: error: --tensorboard needs the package tensorboard; pip install tensorboard\n"
    )
    assert not (tmp_path / "run").exists()
