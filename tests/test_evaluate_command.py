"""`nmt evaluate` with several systems, test sets and formats; the simple ways to call it are in
test_judging_commands.py."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from conftest import write_untrained
from sacrebleu.dataset import DATASETS

from nmt.commands.main import main
from nmt.errors import NmtError
from nmt.model.translation import Seq2Seq
from nmt.recipe import DataConfig, ModelConfig, Recipe, SearchConfig, SubwordsConfig, dump_recipe
from nmt.scoring.comet import comet_score
from nmt.scoring.testsets import published_test_set
from nmt.text.subwords import SubwordPair, train_subwords

WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "house",
    "tree",
    "sees",
    "finds",
    "big",
    "small",
    "red",
    "old",
    "and",
    "runs",
]


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """reference, and the systems good and bad that replace a tenth and a third of its words; the
    working folder holds them."""
    chance = random.Random(1)
    lines = [chance.choices(WORDS, k=9) for _ in range(40)]
    for name, share in (("reference", 0.0), ("good", 0.1), ("bad", 0.3)):
        text = [
            " ".join(chance.choice(WORDS) if chance.random() < share else word for word in line)
            for line in lines
        ]
        (tmp_path / name).write_text("".join(line + "\n" for line in text))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two networks that have learnt nothing, each in its own way."""
    recipe = Recipe(
        data=DataConfig(train=("train",), dev="dev", source="nl", target="en"),
        subwords=SubwordsConfig(variety=0.0, kind="char"),
        model=ModelConfig(embedding_size=8, hidden_size=8, encoder_layers=1, decoder_layers=1),
        search=SearchConfig(beam=2, max_length_extra=3, max_length_factor=1.0),
    )
    subwords = train_subwords(
        ["de kat en de hond", "the cat and the dog"], recipe.subwords, 400, seed=1
    )
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    for seed, folder in enumerate(folders):
        SubwordPair(subwords, subwords).save(folder)
        (folder / "recipe.toml").write_text(dump_recipe(recipe))
        torch.manual_seed(seed)
        network = Seq2Seq(recipe.model, subwords.size, subwords.size, shared=True)
        write_untrained(network, folder / "last")
    return [str(folder) for folder in folders]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["evaluate", *arguments]) == 0
    return capsys.readouterr().out


def sacrebleu_json(*options: str) -> list[dict]:
    command = [
        sys.executable,
        "-m",
        "sacrebleu",
        "reference",
        "-i",
        "good",
        "bad",
        "-m",
        "bleu",
        "chrf",
        *options,
        "-f",
        "json",
    ]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.usefixtures("texts")
def test_paired_gives_the_p_values_of_sacrebleus_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [
        "--reference",
        "reference",
        "good",
        "bad",
        "--paired-ar",
        "--paired-n",
        "100",
        "--format",
        "json",
    ]
    found = json.loads(printed(capsys, *arguments))["scores"]
    expected = sacrebleu_json("--paired-ar", "--paired-ar-n", "100")
    for system, row in (("good", 0), ("bad", 1)):
        for metric in ("BLEU", "chrF2"):
            mine = next(
                score for score in found if (score["system"], score["metric"]) == (system, metric)
            )
            assert mine["value"] == expected[row][metric]["score"]
            assert mine.get("p_value") == expected[row][metric]["p_value"]


@pytest.mark.usefixtures("texts")
def test_the_table_of_a_paired_bootstrap_says_what_its_p_values_mean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(
        capsys,
        "--reference",
        "reference",
        "good",
        "bad",
        "--paired",
        "--paired-n",
        "100",
        "--metrics",
        "bleu",
    ).splitlines()
    assert lines[0].split() == ["test", "set", "system", "lines", "BLEU"]
    assert " p = " not in lines[1]
    assert "(p = 0.0" in lines[2]
    assert lines[3].startswith("BLEU nrefs:1|bs:100|seed:12345|")
    assert "paired bootstrap, 100 resamples" in lines[4]


@pytest.mark.usefixtures("texts")
def test_confidence_intervals_stand_beside_the_scores(capsys: pytest.CaptureFixture[str]) -> None:
    assert "(μ = " in printed(
        capsys, "--reference", "reference", "good", "--confidence", "--metrics", "bleu"
    )


@pytest.mark.usefixtures("texts")
def test_a_breakdown_by_domain_scores_each_one(capsys: pytest.CaptureFixture[str]) -> None:
    Path("domains").write_text("news\n" * 30 + "talk\n" * 10)
    arguments = [
        "--reference",
        "reference",
        "good",
        "--breakdown",
        "domain",
        "length",
        "--domains",
        "domains",
        "--format",
        "markdown",
    ]
    out = printed(capsys, *arguments)
    for part in ("| news | 30 |", "| talk | 10 |", "| 6-10 words | 40 |"):
        assert part in out


def test_models_and_files_on_two_test_sets_make_one_table(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = []
    for name in ("first", "second"):
        (tmp_path / f"{name}.nl").write_text("de kat\nde hond\n")
        (tmp_path / f"{name}.en").write_text("the cat\nthe dog\n")
        tests += ["--test", str(tmp_path / name)]
    written = tmp_path / "first.en"
    train = ["--breakdown", "frequency", "--train", str(tmp_path / "first.nl")]
    rows = json.loads(
        printed(
            capsys, *models, str(written), *tests, *train, "--format", "json", "--metrics", "chrf"
        )
    )["scores"]
    assert [(row["test"], row["system"]) for row in rows if "part" not in row] == [
        (test, system) for test in tests[1::2] for system in (*models, str(written))
    ]
    assert {row["part"] for row in rows if "part" in row} == {"1-9 times"}
    assert [row["value"] for row in rows if row["system"] == str(written)] == [100.0] * 4


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which sacreBLEU looks for wmt14 and wmt15; nothing can be downloaded."""

    def refuse(*_: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    for name in ("wmt14", "wmt15"):
        monkeypatch.setattr(DATASETS[name], "_outdir", str(tmp_path / name))
        monkeypatch.setattr(DATASETS[name], "_rawdir", str(tmp_path / name / "raw"))
    (tmp_path / "wmt14").mkdir()
    lines = {"src": "der Hund\x85\n", "ref": "the dog\n"}
    for field in DATASETS["wmt14"].fieldnames("de-en"):
        (tmp_path / f"wmt14/wmt14.de-en.{field}").write_text(
            lines.get(field, "x\n"), encoding="utf-8"
        )
    return tmp_path


def test_a_published_test_set_is_known_by_its_name(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (published / "made").write_text("the dog\n")
    assert printed(
        capsys, "-t", "wmt14", "-l", "de-en", str(published / "made"), "--metrics", "chrf"
    ).startswith("chrF2 = 100.0 ")
    assert published_test_set("wmt14", "de-en") == (["der Hund\x85"], [["the dog"]])


@pytest.mark.parametrize(
    ("name", "pair", "message"),
    [
        ("wmt140", "de-en", "sacreBLEU has no test set 'wmt140'; did you mean wmt14"),
        ("wmt14", "de-nl", "the test set wmt14 has no language pair 'de-nl'; it has cs-en, "),
        (
            "wmt15",
            "de-en",
            "the test set wmt15 de-en is not on disk .* and cannot be downloaded .*no network",
        ),
    ],
)
@pytest.mark.usefixtures("published")
def test_a_test_set_that_is_not_to_be_had_is_one_clear_line(
    name: str, pair: str, message: str
) -> None:
    with pytest.raises(NmtError, match=message):
        published_test_set(name, pair)


@pytest.mark.usefixtures("published")
def test_a_model_for_other_languages_is_refused(
    models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "-t", "wmt14", "-l", "de-en", models[0]]) == 1
    assert "-l de-en: a model translates nl-en" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "-t", "wmt14"], "-t NAME and -l XX-YY go together"),
        (
            ["a", "b", "--reference", "r", "--paired-n", "5"],
            "--paired-n goes with --paired or --paired-ar",
        ),
        (["a", "--reference", "r", "--train", "t"], "--train goes with --breakdown frequency"),
        (["a", "-t", "wmt14", "-l", "de-en", "--reference", "r"], "-t names source and references"),
        (
            ["a", "b", "--test", "t", "--save", "f"],
            "--save writes the translations of one MODEL on one test set",
        ),
        (["a", "b", "b", "--reference", "r"], "a system is given twice"),
        (
            ["a", "--reference", "r", "--breakdown", "domain"],
            "--breakdown domain and --domains FILE go together",
        ),
        (
            ["a", "--reference", "r", "--breakdown", "frequency"],
            "--breakdown frequency needs the source text",
        ),
        (["a", "b", "--reference", "r", "--paired", "--paired-ar"], "not allowed with argument"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["evaluate", *arguments])
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("texts")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["good", "--reference", "reference", "--breakdown", "domain", "--domains", "short"],
            "short has 1 lines",
        ),
        (
            ["good", "--source", "reference", "--reference", "reference", "--save", "made"],
            "need a MODEL to translate with",
        ),
        (
            ["good", "--test", "reference"],
            "--test reference: its languages are not known without a MODEL",
        ),
        (["good", "--reference", "none"], "none: cannot be opened"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("short").write_text("news\n")
    assert main(["evaluate", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


@pytest.fixture
def comet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A comet-score that answers 0.5 and writes down how it was called."""
    script = tmp_path / "bin/comet-score"
    script.parent.mkdir()
    script.write_text(
        '#!/bin/sh\necho "$@" > "$0.arguments"\ncat "$5" "$7" "$9" > "$0.text"\necho "t\tscore:'
        ' 0.5000"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return script


def test_comet_is_asked_in_a_process_of_its_own(
    comet: Path, models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("source", "de kat\n"), ("reference", "the cat\n"), ("made", "a cat\n")):
        (tmp_path / name).write_text(text)
    files = ["--source", str(tmp_path / "source"), "--reference", str(tmp_path / "reference")]
    out = printed(capsys, models[0], str(tmp_path / "made"), *files, "--comet", "--format", "json")
    scores = [score for score in json.loads(out)["scores"] if score["metric"] == "COMET"]
    assert [score["value"] for score in scores] == [50.0, 50.0]
    assert scores[0]["signature"] == "nrefs:1|model:Unbabel/wmt22-comet-da|scale:100"
    assert (
        comet.with_suffix(".arguments")
        .read_text()
        .startswith("--model Unbabel/wmt22-comet-da --quiet --only_system -s ")
    )


def test_comet_says_what_it_lacks(
    comet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reference").write_text("the cat\n")
    assert (
        main(
            [
                "evaluate",
                "--reference",
                str(tmp_path / "reference"),
                str(tmp_path / "reference"),
                "--comet",
            ]
        )
        == 1
    )
    assert "reference: COMET needs the source text" in capsys.readouterr().err
    comet.write_text("#!/bin/sh\necho no such model >&2\nexit 3\n")
    with pytest.raises(NmtError, match=r"failed with status 3 \(no such model\)"):
        comet_score(["a"], ["b"], ["c"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NmtError, match="comet-score is not on the PATH"):
        comet_score(["a"], ["b"], ["c"])
