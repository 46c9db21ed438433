"""Options of the command line that a command does not have, or that would change nothing."""

from pathlib import Path

import pytest
from conftest import untrained_run

from nmt.commands.main import main


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("--device", "training.device"),
        ("--batch-size", "training.batch_pieces"),
        ("--hidden-size", "model.hidden_size"),
    ],
)
def test_an_option_that_is_a_key_of_the_recipe_is_pointed_to_set(
    option: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", option, "8"])
    assert end.value.code == 2
    assert f"did you mean --set {key}=...?" in capsys.readouterr().err


def test_an_option_of_a_command_without_recipe_is_not_pointed_to_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["translate", "MODEL", "--hidden-size", "8"])
    assert "--set" not in capsys.readouterr().err


def test_a_coverage_penalty_is_refused_where_the_beam_has_one_hypothesis(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main(["translate", "MODEL", "--beam", "1", "--coverage", "0.2"]))
    assert end.value.code == 2
    assert "--coverage ranks what the beam finds" in capsys.readouterr().err


def test_options_that_the_beam_of_the_recipe_makes_idle_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = untrained_run(tmp_path)
    recipe = (tmp_path / "recipe.toml").read_text()
    (tmp_path / "recipe.toml").write_text(recipe.replace("beam = 2", "beam = 1"))
    (tmp_path / "in").write_text("de kat\n")
    command = [
        "translate",
        model,
        "-i",
        str(tmp_path / "in"),
        "--device",
        "cpu",
        "--precision",
        "fp32",
    ]
    assert main([*command, "--coverage", "0.2", "--length-alpha", "0.5"]) == 0
    said = capsys.readouterr().err
    assert "--coverage has no effect: the recipe's beam is 1" in said
    assert "--length-alpha has no effect: the beam is 1" in said
    assert main([*command, "--coverage", "0.2", "--length-alpha", "0.5", "--beam", "2"]) == 0
    assert "no effect" not in capsys.readouterr().err
    assert (
        main([*command, "--length-alpha", "0.5", "--n-best", "1", "--format", "nbest"]) == 0
    )  # its score is divided by length^alpha
    assert "no effect" not in capsys.readouterr().err
