"""Options of the command line that a command does not have, or that would change nothing."""

import pytest

from nmt.commands.main import main


@pytest.mark.parametrize(
    ("option", "key"),
    [("--device", "training.device"), ("--batch-size", "training.batch_pieces"), ("--hidden-size", "model.hidden_size")],
)
def test_an_option_that_is_a_key_of_the_recipe_is_pointed_to_set(option: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", option, "8"])
    assert end.value.code == 2
    assert f"did you mean --set {key}=...?" in capsys.readouterr().err


def test_an_option_of_a_command_without_recipe_is_not_pointed_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["translate", "MODEL", "--hidden-size", "8"])
    assert "--set" not in capsys.readouterr().err


def test_a_coverage_penalty_is_refused_where_the_beam_has_one_hypothesis(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main(["translate", "MODEL", "--beam", "1", "--coverage", "0.2"]))
    assert end.value.code == 2
    assert "--coverage ranks what the beam has found" in capsys.readouterr().err
