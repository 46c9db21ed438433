"""Limits by updates and minutes, settings without effect, and the starter recipe."""

from dataclasses import fields, replace

import pytest
from training_runs import assert_same_run, metrics, stop_after, with_training

from nmt.commands.main import main
from nmt.commands.recipe import starter_recipe
from nmt.errors import NmtError
from nmt.recipe import (
    TABLES,
    DataConfig,
    ModelConfig,
    Recipe,
    SubwordsConfig,
    TrainingConfig,
    parse_recipe,
    with_settings,
)
from nmt.training.events import Note, SessionClock, Validated
from nmt.training.idle import idle_settings, refuse_idle
from nmt.training.run import train

DATA = DataConfig(train=("t",), dev="d", source="nl", target="en")


def test_a_limit_of_updates_ends_run_and_schedule_and_resumes_exactly(tmp_path, tiny_recipe):
    recipe = with_training(tiny_recipe, epochs=0, updates=15, report_every=1, warmup=0)
    *_, ended = train(recipe, tmp_path / "whole")
    assert (ended.update, ended.finished) == (15, True)
    rates = [row["learning_rate"] for row in metrics(tmp_path / "whole") if row["kind"] == "update"]
    assert len(rates) == 15
    assert rates[-1] == pytest.approx(recipe.training.learning_rate / 100)  # the end of the cosine
    list(train(recipe, tmp_path / "parts", stop=stop_after(9)))
    list(train(recipe, tmp_path / "parts"))
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert not any(isinstance(event, Validated) for event in train(recipe, tmp_path / "whole"))
    *_, longer = train(with_training(recipe, updates=17), tmp_path / "whole")
    assert longer.update == 17


def test_updates_beyond_the_epochs_change_nothing(tmp_path, tiny_recipe):
    *_, plain = train(tiny_recipe, tmp_path / "plain")
    *_, limited = train(with_training(tiny_recipe, updates=10_000), tmp_path / "limited")
    assert plain.update == limited.update
    assert_same_run(tmp_path / "plain", tmp_path / "limited")


def test_a_limit_of_minutes_ends_the_run_with_a_validation_and_stays_ended(
    tmp_path, tiny_recipe, monkeypatch
):
    updates = iter(range(10**6))
    monkeypatch.setattr(SessionClock, "seconds", lambda *_: 60.0 if next(updates) >= 4 else 0.0)
    monkeypatch.setattr(
        SessionClock, "count", lambda self, state: setattr(state.sessions[-1], "seconds", 60.0)
    )
    recipe = with_training(tiny_recipe, minutes=1.0, validate_every=1000)
    events = list(train(recipe, tmp_path / "run"))
    assert (events[-1].update, events[-1].finished) == (5, True)
    assert isinstance(events[-2], Validated)
    assert any(
        isinstance(event, Note)
        and event.text.startswith("training.minutes = 1 are over at update 5 of ")
        for event in events
    )
    *_, again = train(recipe, tmp_path / "run")
    assert (again.update, again.finished) == (5, True)


def test_a_warm_up_longer_than_half_the_run_is_told(tmp_path, tiny_recipe):
    events = list(train(with_training(tiny_recipe, updates=8, warmup=400), tmp_path / "run"))
    assert (
        Note("training.warmup is 400 of 8 updates: the warm-up ends after 4, half of the run")
        in events
    )


@pytest.mark.parametrize(
    ("recipe", "key"),
    [
        (
            Recipe(data=DATA, model=ModelConfig(attention="additive", heads=4)),
            "model.heads = 4 has no effect",
        ),
        (
            Recipe(data=DATA, model=ModelConfig(dropout=0.0), training=TrainingConfig(r_drop=5)),
            "training.r_drop = 5 has no effect",
        ),
        (
            Recipe(data=DATA, training=TrainingConfig(plateau=3)),
            "training.plateau = 3 has no effect with training.schedule = 'cosine'",
        ),
        (
            Recipe(data=DATA, training=TrainingConfig(schedule="plateau", patience=2)),
            "training.plateau = 2 has no effect: training.pati",
        ),
        (
            Recipe(data=DATA, subwords=SubwordsConfig(byte_fallback=False, rare_characters=0.1)),
            "subwords.rare_characters = 0.1 has no",
        ),
        (
            Recipe(
                data=DATA,
                subwords=SubwordsConfig(joint=False),
                training=TrainingConfig(start_from="x"),
            ),
            "subwords.joint has no effect",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(recipe, key):
    with pytest.raises(NmtError, match=f"^{key}"):
        refuse_idle(recipe)


def test_defaults_and_settings_with_effect_are_not_refused():
    assert not list(idle_settings(Recipe(data=DATA)))
    for change in (
        "subwords.byte_fallback=false",
        "training.schedule=plateau",
        "training.start_from=x",
        "model.attention=additive",
    ):
        assert not list(idle_settings(with_settings(Recipe(data=DATA), [change])))


def test_training_refuses_a_setting_without_effect(tmp_path, tiny_recipe):
    with pytest.raises(
        NmtError, match=r"model.heads = 2 has no effect with model.attention = 'additive'"
    ):
        list(
            train(
                replace(
                    tiny_recipe, model=replace(tiny_recipe.model, attention="additive", heads=2)
                ),
                tmp_path / "run",
            )
        )
    assert not (tmp_path / "run").exists()


def test_the_starter_recipe_reads_back_and_explains_every_key():
    recipe = Recipe(data=DATA)
    text = starter_recipe(recipe)
    assert parse_recipe(text, "starter") == recipe
    lines = text.splitlines()
    for table, kind in TABLES.items():
        assert lines[lines.index(f"[{table}]") - 1].startswith("# ")
        for field in fields(kind):
            place = next(
                number for number, line in enumerate(lines) if line.startswith(f"{field.name} = ")
            )
            assert lines[place - 1].startswith("# "), field.name
    assert max(map(len, lines)) <= 100


def test_nmt_recipe_prints_what_train_init_writes(tmp_path, capsys):
    assert main(["recipe", "--source", "fy"]) == 0
    printed = capsys.readouterr().out
    assert parse_recipe(printed, "printed").data.source == "fy"
    path = tmp_path / "new.toml"
    assert main(["train", "--init", str(path), "--source", "fy"]) == 0
    assert path.read_text() == printed
    with pytest.raises(SystemExit):
        main(["train", "--init", str(path)])
    assert "exists already; name a new file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "suggestion"),
    [
        ("training.max_updates=5", "did you mean updates?"),
        ("training.batch_size=5", "did you mean training.batch_pieces?"),
        ("training.lr=5", "did you mean training.learning_rate?"),
        ("training.max_steps=5", "did you mean training.updates?"),
        ("model.num_layers=2", "did you mean model.encoder_layers?"),
        ("training.learning_rat=2", "did you mean learning_rate?"),
        ("training.dropout=0.1", "did you mean model.dropout?"),
        ("model.mood=2", "known are cell, "),
    ],
)
def test_unknown_keys_get_a_sensible_suggestion(setting, suggestion):
    with pytest.raises(NmtError, match=r"unknown key .*; ") as caught:
        with_settings(Recipe(data=DATA), [setting])
    assert suggestion in str(caught.value)


def test_a_run_goes_on_to_a_higher_limit_of_updates(tmp_path, tiny_recipe, capsys):
    run = str(tmp_path / "run")
    list(train(with_training(tiny_recipe, epochs=0, updates=3), tmp_path / "run"))
    assert main(["train", run, "--set", "training.updates=30"]) == 0
    assert "finished at update 30" in capsys.readouterr().err
