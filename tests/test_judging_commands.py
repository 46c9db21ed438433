"""`nmt score`, `nmt evaluate` and `nmt check` in their simple ways; test_evaluate_command.py has
the others."""

import shutil
from pathlib import Path

import pytest
from conftest import failure

from nmt.commands.evaluate import METRICS
from nmt.commands.main import main
from nmt.scoring import bleu


def test_score_has_one_line_for_each_pair(
    model: str, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "in.en"
    target.write_text("the cat\n\n\n")
    assert main(["score", model, "--source", str(lines), "--target", str(target)]) == 0
    scores = [float(line) for line in capsys.readouterr().out.splitlines()]
    assert len(scores) == 3
    assert all(score < 0 for score in scores)


def test_several_models_score_and_translate_as_one(
    model: str, other_model: str, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "in.en"
    target.write_text("the cat\n\n\n")
    twin = str(shutil.copytree(model, tmp_path / "twin", symlinks=True))
    scores = []
    for others in (
        [],
        ["--ensemble", twin],
        ["--ensemble", other_model],
        ["--ensemble", twin, other_model],
    ):
        assert (
            main(
                [
                    "score",
                    model,
                    "--source",
                    str(lines),
                    "--target",
                    str(target),
                    "--precision",
                    "fp32",
                    *others,
                ]
            )
            == 0
        )
        scores.append([float(line) for line in capsys.readouterr().out.splitlines()])
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)
    assert scores[2] != pytest.approx(scores[0], abs=1e-4)
    assert scores[3] != pytest.approx(scores[2], abs=1e-4)
    assert (
        main(
            [
                "translate",
                model,
                "-i",
                str(lines),
                "-o",
                str(tmp_path / "out"),
                "--n-best",
                "2",
                "--ensemble",
                other_model,
            ]
        )
        == 0
    )
    assert len((tmp_path / "out").read_text().splitlines()) == 5
    capsys.readouterr()
    assert "no-model: no such model folder" in failure(
        capsys, "translate", model, "-i", str(lines), "--ensemble", other_model, "no-model"
    )


def test_score_names_the_pairs_longer_than_any_in_training(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in.nl", tmp_path / "in.en"
    source.write_text(
        f"de kat\nde kat\n{'k' * 200}\n"
    )  # a piece for each character, and one for the beginning of the word
    target.write_text(f"the cat\n{'c' * 200}\nthe cat\n")
    assert main(["score", model, "--source", str(source), "--target", str(target)]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    told = "longer than any line in training, or its translation is; scored whole"
    assert [line for line in captured.err.splitlines() if "longer" in line] == [
        f"nmt: {source}:{number}: {told}" for number in (2, 3)
    ]


@pytest.mark.parametrize("longer", ["source", "target"])
def test_score_names_the_first_line_without_a_partner(
    model: str, longer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side in ("source", "target"):
        (tmp_path / side).write_text("a\nb\n" if side == longer else "a\n")
    message = failure(
        capsys,
        "score",
        model,
        "--source",
        str(tmp_path / "source"),
        "--target",
        str(tmp_path / "target"),
    )
    assert f"{longer}:2: no partner" in message


def test_evaluate_translates_and_scores(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test.nl").write_text("de kat\nde hond\n")
    (tmp_path / "test.en").write_text("the cat\nthe dog\n")
    saved = tmp_path / "saved.en"
    assert main(["evaluate", model, "--test", str(tmp_path / "test"), "--save", str(saved)]) == 0
    by_prefix = capsys.readouterr().out
    assert by_prefix.startswith("BLEU = ")
    files = ["--source", str(tmp_path / "test.nl"), "--reference", str(tmp_path / "test.en")]
    assert main(["evaluate", model, *files]) == 0
    assert capsys.readouterr().out == by_prefix
    assert main(["evaluate", *files[2:], str(saved)]) == 0
    assert capsys.readouterr().out == by_prefix


def test_evaluate_gives_the_reference_itself_all_points(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = tmp_path / "test.en"
    reference.write_text("the cat sits on the mat\n")
    assert (
        main(
            [
                "evaluate",
                str(reference),
                "--reference",
                str(reference),
                "--metrics",
                "bleu",
                "chrf",
                "ter",
            ]
        )
        == 0
    )
    scores = capsys.readouterr().out.splitlines()
    assert [score.split(" nrefs:1|")[0] for score in scores] == [
        "BLEU = 100.0",
        "chrF2 = 100.0",
        "TER = 0.0",
    ]


def test_evaluate_names_the_file_of_another_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reference").write_text("a\nb\n")
    (tmp_path / "short").write_text("a\n")
    (tmp_path / "empty").write_text("")
    reference = ["--reference", str(tmp_path / "reference")]
    assert "short has 1 lines" in failure(capsys, "evaluate", *reference, str(tmp_path / "short"))
    assert "empty: empty; there is nothing to score" in failure(
        capsys, "evaluate", *reference, str(tmp_path / "empty")
    )


def test_evaluate_warns_of_tokenised_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = tmp_path / "test.en"
    reference.write_text("the cat sits on the mat .\n")
    assert main(["evaluate", str(reference), "--reference", str(reference)]) == 0
    assert "test.en looks tokenised" in capsys.readouterr().err


def test_metrics_are_those_of_scoring() -> None:
    assert METRICS == bleu.METRICS


def test_check_counts_what_training_would_leave_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.nl").write_text("een kat\n\neen hond\neen hond\n")
    (tmp_path / "train.en").write_text("a cat\nx\na dog\na dog\n")
    (tmp_path / "dev.nl").write_text("een kat\n")
    (tmp_path / "dev.en").write_text("one cat\n")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[data]\ntrain = "{tmp_path}/train"\ndev = "{tmp_path}/dev"\nsource = "nl"\ntarget ='
        ' "en"\n'
    )
    assert main(["check", str(recipe)]) == 0
    out = capsys.readouterr().out
    assert "train: 3 of 4 pairs kept" in out
    assert f"1 left out, a side is blank: {tmp_path}/train.nl:2" in out
    assert "train: 1 pairs have come before" in out
    assert "dev: 1 sources are in train too, 0 with the same translation" in out


def test_check_refuses_data_without_a_usable_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("train.nl", "train.en", "dev.nl", "dev.en"):
        (tmp_path / name).write_text("\n")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[data]\ntrain = "{tmp_path}/train"\ndev = "{tmp_path}/dev"\nsource = "nl"\ntarget ='
        ' "en"\n'
    )
    assert main(["check", str(recipe)]) == 1
    assert "nmt: error: data.dev: no pair is left to use" in capsys.readouterr().err
    (tmp_path / "dev.nl").write_text("een\n")
    (tmp_path / "dev.en").write_text("one\n")
    assert main(["check", str(recipe)]) == 1
    assert "nmt: error: data.train: no pair is left to use" in capsys.readouterr().err


def test_check_and_train_count_the_same_and_take_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "een kat",
        "een hond",
        "twee katten",
        "drie",
        "vier honden",
        "x" * 60,
        "kat",
        "twee katten",
        "zes",
        "een kat",
    ]
    (tmp_path / "text.nl").write_text("".join(f"{word}\n" for word in words))
    (tmp_path / "text.en").write_text(
        "".join(f"{word.upper()}\n" if word != "kat" else "K" * 55 + "\n" for word in words)
    )
    (tmp_path / "dev.nl").write_text("een hond\n")
    (tmp_path / "dev.en").write_text("EEN HOND\n")
    data = [
        "--source",
        "nl",
        "--target",
        "en",
        "--train-source",
        f"{tmp_path}/text.nl",
        "--train-target",
        f"{tmp_path}/text.en",
    ]
    dev = ["--dev", f"{tmp_path}/dev"]
    settings = ["data.max_length=40", "data.max_ratio=5", "subwords.kind=char", "training.epochs=1"]
    settings += ["model.embedding_size=8", "model.hidden_size=8"]
    options = [part for setting in settings for part in ("--set", setting)]
    assert main(["check", *data, *dev, *options]) == 0
    checked = capsys.readouterr().out
    run = str(tmp_path / "run")
    assert main(["train", *data, *dev, *options, "--run", run]) == 0
    trained = capsys.readouterr().err
    assert main(["check", run]) == 0
    checked_run = capsys.readouterr().out
    for said in (checked, trained, checked_run):
        assert "8 of 10 pairs kept" in said
        assert "train: 2 pairs have come before" in said
        assert "dev: 1 sources are in train too, 1 with the same translation" in said
    assert main(["check", *data, "--dev", "2", *options]) == 0
    assert "a sentence of the dev set that was split off" in capsys.readouterr().out
