"""The recipe's tools in whole runs: divergence, accumulation, plateau, selection, fine-tuning."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from training_runs import assert_same_run, final_weights, metrics, stop_after, with_training

from nmt.errors import NmtError
from nmt.recipe import TrainingConfig
from nmt.scoring.bleu import Score
from nmt.training import run as run_module
from nmt.training.checkpoint import read_state
from nmt.training.events import Note, Validated
from nmt.training.run import train
from nmt.training.state import TrainingState
from nmt.training.validation import Validation, judge


def test_a_divergence_goes_back_to_the_last_good_checkpoint_with_half_the_rate(
    tmp_path, tiny_recipe, monkeypatch
):
    recipe = with_training(
        tiny_recipe, epochs=12, validate_every=20, schedule="constant", warmup=0, keep=9
    )
    real, poisoned = run_module.is_diverged, []

    def once(state, vocabulary):
        if state.update == 50 and not poisoned:
            poisoned.append(state.update)
            return True
        return real(state, vocabulary)

    monkeypatch.setattr(run_module, "is_diverged", once)
    events = list(train(recipe, tmp_path / "run"))
    assert (
        Note(
            "the loss diverged at update 50: going back to update-000040 with half the learning"
            " rate"
        )
        in events
    )
    assert Note("continuing after update 40") in events
    rates = {
        row["update"]: row["learning_rate"]
        for row in metrics(tmp_path / "run")
        if row["kind"] == "update"
    }
    assert rates[39] == recipe.training.learning_rate
    assert rates[42] == recipe.training.learning_rate / 2
    assert events[-1].finished


def test_a_real_divergence_is_noticed(tmp_path, tiny_recipe, monkeypatch):
    recipe = with_training(
        tiny_recipe,
        epochs=60,
        validate_every=60,
        schedule="constant",
        learning_rate=5e-3,
        clip_norm=0.0,
    )
    real = run_module.train_updates

    def spoilt(learner, *rest):
        for update in real(learner, *rest):
            if learner.state.update >= 130:
                for parameter in learner.model.parameters():
                    parameter.data.normal_()
            yield update

    monkeypatch.setattr(run_module, "train_updates", spoilt)
    with pytest.raises(
        NmtError,
        match=(
            r"the loss diverged again, with half the learning rate \(update \d+: .*lower"
            r" training.learning_rate"
        ),
    ):
        list(train(recipe, tmp_path / "run"))


def test_accumulated_updates_are_fewer_and_resume_exactly(tmp_path, tiny_recipe):
    recipe = with_training(tiny_recipe, accumulate=3, validate_every=2)
    *_, whole = train(recipe, tmp_path / "whole")
    *_, plain = train(tiny_recipe, tmp_path / "plain")
    assert whole.update == 2 * math.ceil(plain.update / 2 / 3)
    for count in (1, 2):
        list(train(recipe, tmp_path / "parts", stop=stop_after(count)))
    list(train(recipe, tmp_path / "parts"))
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_plateau_halves_the_rate_until_it_ends(tmp_path, tiny_recipe):
    recipe = with_training(
        tiny_recipe,
        learning_rate=1e-12,
        schedule="plateau",
        plateau=2,
        warmup=0,
        select="loss",
        validate_every=3,
        average_decay=0.0,
    )
    list(train(recipe, tmp_path / "run"))
    stale, factor, expected = 0, 1.0, []
    for row in metrics(tmp_path / "run"):
        if row["kind"] == "update":
            expected.append(1e-12 * factor)
        else:
            stale = 0 if row["best"] else stale + 1
            factor /= 2 if stale and stale % 2 == 0 else 1
    rates = [row["learning_rate"] for row in metrics(tmp_path / "run") if row["kind"] == "update"]
    assert rates == pytest.approx(expected, rel=1e-9)
    assert rates[-1] < rates[0]


@pytest.mark.parametrize(("select", "best_of"), [("bleu", 0), ("chrf", 1)])
def test_the_best_checkpoint_is_best_in_what_was_selected(select, best_of, tmp_path, tiny_recipe):
    list(train(with_training(tiny_recipe, select=select), tmp_path / "run"))
    values = {
        row["update"]: row["scores"][best_of]["value"]
        for row in metrics(tmp_path / "run")
        if row["kind"] == "validation"
    }
    best = int((tmp_path / "run" / "best").readlink().name.rpartition("-")[2])
    assert values[best] == max(values.values())


def test_fine_tuning_begins_with_another_models_averaged_weights_and_subwords(
    tmp_path, tiny_recipe
):
    list(train(tiny_recipe, tmp_path / "first"))
    recipe = with_training(
        tiny_recipe, start_from=str(tmp_path / "first"), learning_rate=1e-12, epochs=1
    )
    recipe = replace(recipe, subwords=replace(recipe.subwords, vocab_size=0))
    events = list(train(recipe, tmp_path / "second"))
    assert Note(f"starting from the weights of {tmp_path / 'first'}") in events
    before = load_file(tmp_path / "first" / "best" / "averaged.safetensors")
    for weights in final_weights(tmp_path / "second"):
        assert all(torch.allclose(before[name], weights[name], atol=1e-6) for name in before)
    assert (tmp_path / "first" / "subwords.model").read_bytes() == (
        tmp_path / "second" / "subwords.model"
    ).read_bytes()


def test_fine_tuning_another_network_is_refused_by_its_keys(tmp_path, tiny_recipe):
    list(train(tiny_recipe, tmp_path / "first", stop=stop_after(1)))
    recipe = with_training(tiny_recipe, start_from=str(tmp_path / "first"))
    wider = replace(recipe, model=replace(recipe.model, hidden_size=32, dropout=0.5))
    with pytest.raises(
        NmtError,
        match=(
            r"cannot start from another network \(model.hidden_size is 16 there, 32 here\); write"
            r" its values"
        ),
    ):
        list(train(wider, tmp_path / "second"))
    pieces = replace(recipe, subwords=replace(recipe.subwords, vocab_size=320))
    with pytest.raises(
        NmtError, match=r"subwords.vocab_size is 320, but .*first has \d+ pieces; leave it out"
    ):
        list(train(pieces, tmp_path / "third"))
    with pytest.raises(NmtError, match="no such model folder"):
        list(
            train(
                with_training(tiny_recipe, start_from=str(tmp_path / "none")), tmp_path / "fourth"
            )
        )


@pytest.mark.parametrize(
    ("validations", "best"),
    [
        (
            [(5.0, 0.0, 10.0), (4.0, 0.0, 30.0), (3.0, 0.0, 20.0)],
            1,
        ),  # chrF decides between equal BLEU
        ([(5.0, 0.0, 10.0), (4.0, 0.0, 10.0), (4.5, 0.0, 10.0)], 1),  # then the loss
        ([(5.0, 0.0, 10.0), (5.0, 0.0, 10.0), (6.0, 0.0, 10.0)], 1),  # then the later one
        ([(5.0, 2.0, 10.0), (4.0, 1.0, 30.0), (3.0, 1.5, 20.0)], 0),  # BLEU itself comes first
        (
            [(1e9, 9.0, 90.0), (5.0, 0.0, 0.0), (math.nan, 9.0, 90.0)],
            1,
        ),  # a broken network is never the best
        ([(1e9, 9.0, 90.0)], None),
    ],
)
def test_the_best_of_equals_is_told_by_chrf_then_loss_then_time(validations, best):
    state, chosen = TrainingState(), None
    for number, (loss, bleu, chrf) in enumerate(validations):
        rank = Validation(loss, [Score("BLEU", bleu, "s"), Score("chrF2", chrf, "s")]).rank(
            "bleu", 8000
        )
        if judge(state, TrainingConfig(), rank):
            chosen = number
    assert chosen == best


def test_equal_validations_are_no_progress_for_patience():
    state = TrainingState()
    stale = []
    for rank in ([0.0, 10.0, -5.0], [0.0, 10.0, -5.0], None, [0.0, 10.0, -4.0], [0.0, 9.0, -3.0]):
        judge(state, TrainingConfig(), rank)
        stale.append(state.stale)
    assert stale == [0, 1, 2, 0, 1]


def test_one_word_lines_have_a_best_checkpoint_although_their_bleu_is_zero(tmp_path, tiny_recipe):
    for name, words in (
        ("train", ["een", "twee", "drie", "vier"] * 10),
        ("dev", ["een", "twee", "drie", "vier"]),
    ):
        (tmp_path / f"{name}.nl").write_text("".join(f"{word}\n" for word in words))
        (tmp_path / f"{name}.en").write_text("".join(f"{word[::-1].upper()}\n" for word in words))
    recipe = replace(tiny_recipe, subwords=replace(tiny_recipe.subwords, kind="char", vocab_size=0))
    recipe = with_training(recipe, epochs=4, validate_every=0, learning_rate=0.01, keep=20)
    events = list(train(recipe, tmp_path / "run"))
    looks = [event for event in events if isinstance(event, Validated)]
    assert all(
        look.validation.scores[0].value == 0 for look in looks
    )  # BLEU needs four words in a row
    best = max(looks, key=lambda look: (look.validation.scores[1].value, -look.validation.loss))
    assert events[-1].best_update == best.update > looks[0].update


def test_an_absurd_learning_rate_is_told_at_once_and_its_checkpoints_are_never_the_best(
    tmp_path, tiny_recipe
):
    with pytest.raises(
        NmtError,
        match=(
            r"the loss diverged before the first good checkpoint \(update \d: \S+ nats a piece,"
            r" 5.80 by guessing"
        ),
    ):
        list(
            train(
                with_training(tiny_recipe, learning_rate=1000, warmup=0, epochs=9), tmp_path / "run"
            )
        )  # log 330 is 5.80
    assert not (tmp_path / "run" / "best").exists()


def test_checkpoints_by_time_do_not_pile_up_between_validations(tmp_path, tiny_recipe):
    recipe, at_each = (
        with_training(tiny_recipe, save_minutes=1e-9, validate_every=7, keep=2, epochs=1),
        [],
    )

    def stop():
        at_each.append(len(list((tmp_path / "run").glob("checkpoints/update-*"))))
        return False

    *_, ended = train(recipe, tmp_path / "run", stop)
    assert len(at_each) > 9
    assert max(at_each) == 3  # two, and the best
    assert (tmp_path / "run" / "checkpoints" / f"update-{ended.best_update:06d}").exists()


def test_the_checkpoint_that_a_divergence_goes_back_to_is_kept(tmp_path, tiny_recipe, monkeypatch):
    real = run_module.last_settled
    monkeypatch.setattr(
        run_module,
        "last_settled",
        lambda run, vocabulary: next(iter(sorted(run.glob("checkpoints/update-*"))), None),
    )
    assert real(tmp_path, 330) is None
    list(
        train(
            with_training(tiny_recipe, save_minutes=1e-9, validate_every=1000, keep=1, epochs=1),
            tmp_path / "run",
        )
    )
    assert (tmp_path / "run" / "checkpoints" / "update-000001").exists()


def test_each_session_leaves_its_time_and_where_it_began(tmp_path, tiny_recipe):
    list(train(tiny_recipe, tmp_path / "run", stop=stop_after(3)))
    *_, ended = train(tiny_recipe, tmp_path / "run")
    sessions = read_state(tmp_path / "run" / "last")["state"]["sessions"]
    assert [each["first_update"] for each in sessions] == [0, 3]
    assert all(
        each["seconds"] > 0 and each["started"].endswith("+00:00") and "fp32" in each["where"]
        for each in sessions
    )
    assert ended.update > 3
