"""`nmt train` as its users see it: it trains, stops when asked to, and the same command
continues."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.commands.main import main
from nmt.engines.shortlist import Shortlist
from nmt.recipe import load_recipe

ROOT = Path(__file__).parent.parent
SMALL = [
    *(
        "--set",
        "model.embedding_size=8",
        "--set",
        "model.hidden_size=8",
        "--set",
        "subwords.kind=char",
        "--set",
        "search.beam=1",
    ),
    *(
        "--set",
        "training.threads=1",
        "--set",
        "training.report_every=1",
        "--set",
        "training.precision=fp32",
    ),
]


@pytest.fixture
def corpus(tmp_path: Path) -> list[str]:
    """The options that name a corpus of sixteen pairs."""
    for language, word in (("nl", "kat"), ("en", "cat")):
        (tmp_path / f"corpus.{language}").write_text(
            "".join(f"{number} {word}\n" for number in range(16))
        )
    prefix = str(tmp_path / "corpus")
    return ["--train", prefix, "--dev", prefix, "--source", "nl", "--target", "en"]


def test_train_needs_no_recipe_file(
    corpus: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", *corpus, *SMALL, "--set", "training.epochs=1", "--run", str(run)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "update 1/1 epoch 1 loss " in captured.err
    assert "validation at update 1, epoch 1: loss " in captured.err
    assert captured.err.endswith(f"nmt: the model is {run}; try: nmt translate {run}\n")
    assert load_recipe(run / "recipe.toml").model.hidden_size == 8
    assert main(["translate", str(run), "-i", str(tmp_path / "corpus.nl")]) == 0
    assert capsys.readouterr().out.count("\n") == 16


def test_average_export_and_info_take_a_run(
    corpus: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    assert main(["train", *corpus, *SMALL, "--set", "training.epochs=2", "--run", run]) == 0
    assert main(["average", run, "--last", "2"]) == 0
    assert main(["export", run, str(tmp_path / "exported"), "--precision", "bf16"]) == 0
    capsys.readouterr()
    for model in (run, f"{run}/average-2", str(tmp_path / "exported")):
        assert main(["translate", model, "-i", str(tmp_path / "corpus.nl")]) == 0
        assert capsys.readouterr().out.count("\n") == 16
        assert main(["info", model]) == 0
        out = capsys.readouterr().out
        assert out.startswith(
            "languages: nl to en\nnetwork: lstm, 2+2 layers of 8, multiplicative attention\n"
        )
        name = "corpus" if model.endswith("exported") else corpus[1]  # an export names no paths
        assert (f"dev set {name}: BLEU = " in out) == (not model.endswith("average-2"))
        assert ("trained in: 0:0" in out) == (model == run)
        assert main(["info", model, "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert (facts["source"], facts["target"], facts["network"]["hidden_size"]) == (
            "nl",
            "en",
            8,
        )
        assert f"parameters: {facts['parameters']:,}\n" in out
        assert [each["first_update"] for each in facts["sessions"]] == ([0] if model == run else [])
    assert main(["average", run, "--last", "3"]) == 1
    assert (
        f"nmt: error: {run}: cannot average 3 checkpoints, there are 2" in capsys.readouterr().err
    )
    assert main(["export", run, str(tmp_path / "exported")]) == 1
    assert "exported: exists already" in capsys.readouterr().err


def test_translate_and_evaluate_do_without_the_shortlist_when_told_to(
    corpus: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, used = str(tmp_path / "run"), []
    assert main(["train", *corpus, *SMALL, "--set", "training.epochs=1", "--run", run]) == 0
    assert "nmt: made the lexical shortlist\n" in capsys.readouterr().err
    load = Shortlist.load
    monkeypatch.setattr(
        Shortlist, "load", lambda path, *sizes: used.append(path.name) or load(path, *sizes)
    )
    for command in (
        ["translate", run, "-i", str(tmp_path / "corpus.nl")],
        ["evaluate", run, "--test", corpus[1]],
    ):
        for options, loaded in (
            (["--precision", "bf16"], 1),
            (["--precision", "bf16", "--no-shortlist"], 0),
            (["--precision", "fp32"], 0),
        ):
            used.clear()
            assert main([*command, "--device", "cpu", *options]) == 0
            assert used == ["shortlist.safetensors"] * loaded


def test_a_recipe_names_its_run(
    corpus: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prefix = corpus[1]
    (tmp_path / "small.toml").write_text(
        f'[data]\ntrain = "{prefix}"\ndev = "{prefix}"\nsource = "nl"\ntarget = "en"\n'
    )
    monkeypatch.chdir(tmp_path)
    assert main(["train", "small.toml", *SMALL, "--set", "training.epochs=1"]) == 0
    assert main(["train", "small.toml", *SMALL, "--set", "training.epochs=1"]) == 0
    assert "continuing after update 1" in capsys.readouterr().err
    assert (tmp_path / "runs/small/recipe.toml").exists()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138)]
)
def test_a_stopped_run_is_continued_by_the_same_command(
    corpus: list[str],
    number: signal.Signals,
    status: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [
        "train",
        *corpus,
        *SMALL,
        "--run",
        str(tmp_path / "run"),
        "--set",
        "training.validate_every=1000000",
    ]
    endless = [sys.executable, "-m", "nmt", *command, "--set", "training.epochs=1000000"]
    with subprocess.Popen(endless, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr
        while not (line := process.stderr.readline()).startswith("nmt: update 3/"):
            assert line, "it ended before its third update"
        process.send_signal(number)
        rest = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == status
    assert "nmt: stopping after this update; once more stops at once, without saving" in rest
    stopped = next(line for line in rest if line.startswith("nmt: stopped at update "))
    assert rest[-1] == f"nmt: the same command continues {tmp_path / 'run'}"
    assert main([*command, "--set", "training.epochs=1"]) == 0
    assert (
        "continuing after update"
        f" {stopped.removeprefix('nmt: stopped at update ').partition(' ')[0]}"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGUSR1, 138)])
def test_a_signal_during_preparation_ends_at_once(
    corpus: list[str], number: signal.Signals, status: int, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "nmt",
        "train",
        *corpus,
        *SMALL,
        "--run",
        str(tmp_path / "run"),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr
        assert process.stderr.readline().startswith("nmt: reading ")
        process.send_signal(number)
        rest = process.communicate(timeout=60)[1]
    assert process.returncode == status
    assert "Traceback" not in rest
    assert ("nmt: interrupted\n" in rest) == (number == signal.SIGINT)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a recipe, or --train, --dev, --source, --target"),
        (["--train", "p", "--source", "nl"], "give a recipe, or --dev, --target as well"),
        (
            ["r.toml", "--dev", "p"],
            "give either a recipe or --dev; to change a recipe's value use --set data.dev=...",
        ),
        (
            ["--train", "p", "--dev", "p", "--source", "nl", "--target", "nl"],
            "data.source and data.target are both 'nl'",
        ),
        (
            [
                "--train",
                "p",
                "--dev",
                "p",
                "--source",
                "nl",
                "--target",
                "en",
                "--set",
                "model.epochs=3",
            ],
            "unknown key model.epochs; did you mean training.epochs?",
        ),
    ],
)
def test_contradicting_arguments_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["train", *arguments])
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_data_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = str(tmp_path / "none")
    options = ["--train", prefix, "--dev", prefix, "--source", "nl", "--target", "en"]
    assert main(["train", *options, "--run", str(tmp_path / "run")]) == 1
    assert f"nmt: error: {prefix}: found neither {prefix}.nl" in capsys.readouterr().err


def test_a_run_shorter_than_a_report_has_one_at_its_end(corpus: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert (
        main(
            [
                "train",
                *corpus,
                *SMALL,
                "--set",
                "training.report_every=50",
                "--set",
                "training.epochs=2",
                "--run",
                str(run),
            ]
        )
        == 0
    )
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows if row["kind"] == "update"] == [2]
