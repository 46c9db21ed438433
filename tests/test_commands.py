"""The command line as its users see it: results on stdout, reasons on stderr, exit statuses, never a traceback."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import untrained_run

from nmt.commands.evaluate import METRICS
from nmt.commands.main import COMMANDS, main
from nmt.scoring import bleu

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run folder whose network has learnt nothing."""
    return untrained_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One with the same subwords and another cell."""
    return untrained_run(tmp_path_factory.mktemp("other"), seed=2, cell="gru")


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Three lines, the second one blank, the third with a byte that is no UTF-8."""
    path = tmp_path / "in.nl"
    path.write_bytes(b"de kat\n\nde hond \xff\n")
    return path


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a command that must fail with status 1."""
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nmt: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said about arguments that must be refused with status 2."""
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main([command, "--help"])
    assert exit_info.value.code == 0
    assert f"usage: nmt {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["trainslate"], "invalid choice: 'trainslate'"),
        (["translate"], "the following arguments are required: MODEL"),
        (["translate", "m", "--beam", "0"], "argument --beam: must be at least 1, got 0"),
        (["translate", "m", "--beam", "five"], "argument --beam: must be a whole number, got 'five'"),
        (["translate", "m", "--length-alpha", "-1"], "argument --length-alpha: must be a number of at least 0, got -1"),
        (["translate", "m", "--length-alpha", "nan"], "argument --length-alpha: must be a number of at least 0, got nan"),
        (["evaluate", "m", "--length-alpha", "inf"], "argument --length-alpha: must be a number of at least 0, got inf"),
        (["translate", "m", "--length-alpha", "one"], "argument --length-alpha: must be a number, got 'one'"),
        (["translate", "m", "--no-repeat-ngram", "0"], "argument --no-repeat-ngram: must be at least 1, got 0"),
        (["translate", "m", "--min-length", "-1"], "argument --min-length: must be at least 0, got -1"),
        (["translate", "m", "--max-length", "0"], "argument --max-length: must be at least 1, got 0"),
        (["translate", "m", "--coverage", "-1"], "argument --coverage: must be a number of at least 0, got -1"),
        (["translate", "m", "--min-length", "5", "--max-length", "4"], "max_length must be at least 5, got 4"),
        (["translate", "m", "--format", "text", "--n-best", "2"], "--n-best needs --format nbest or jsonl"),
        (["translate", "m", "--attention"], "--attention needs --format jsonl: a line of the text format has no room for it"),
        (["translate", "m", "--attention", "--n-best", "2"], "--attention needs --format jsonl: a line of the nbest format"),
        (["translate", "m", "-o", "out.gz"], "-o writes plain text, got out.gz"),
        (["translate", "m", "--bea", "3"], "unrecognized arguments: --bea 3"),
        (["evaluate", "m"], "give --test PREFIX, or --reference FILE"),
        (["evaluate", "m", "--test", "t", "--reference", "r"], "--test names source and reference together"),
        (["evaluate", "m", "--source", "s"], "--source needs --reference FILE"),
        (["evaluate", "h", "--reference", "r", "--beam", "3"], "--save, --beam, --length-alpha and --no-shortlist need a MODEL"),
        (["evaluate", "h", "--reference", "r", "--no-shortlist"], "--save, --beam, --length-alpha and --no-shortlist need a MODEL"),
        (["evaluate", "h", "--reference", "r", "--paired"], "--paired needs two or more different systems"),
        (["evaluate", "h", "h", "--reference", "r", "--paired"], "--paired needs two or more different systems"),
        (["score", "m", "--source", "s"], "the following arguments are required: --target"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refusal(capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["translate", "no-model", "-i", "pyproject.toml"], "no-model: no such model folder"),
        (["translate", "no-model", "-i", "no-file"], "no-file: cannot be opened (No such file or directory)"),
        (["score", "no-model", "--source", "s", "--target", "t"], "no-model: no such model folder"),
        (["check", "no.toml"], "no.toml: no such recipe"),
        (["evaluate", "no-file", "--reference", "no-reference"], "no-reference: cannot be opened"),
    ],
)
def test_failures_have_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in failure(capsys, *arguments)


@pytest.mark.parametrize("error", [MemoryError("8 GB"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 GB")])
def test_a_lack_of_memory_has_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(arguments: object) -> int:
        raise error

    monkeypatch.setattr(COMMANDS["check"], "run", fail)
    assert "8 GB); lower training.batch_pieces or search.batch_pieces" in failure(capsys, "check", "recipe.toml")


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: object) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(COMMANDS["check"], "run", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["check", "recipe.toml"])


def test_an_operating_system_error_has_one_line(model: str, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no-folder" in failure(capsys, "translate", model, "-i", str(lines), "-o", "no-folder/out")


def test_translate_keeps_every_line(model: str, lines: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "nmt", "translate", model, "--precision", "fp32"], input=lines.read_bytes(), capture_output=True, cwd=ROOT
    )
    assert result.returncode == 0
    assert [bool(line) for line in result.stdout.split(b"\n")] == [True, False, True, False]
    assert result.stderr == b"nmt: stdin:3: invalid UTF-8; the bytes became U+FFFD\n"


def test_translate_reads_and_writes_files(model: str, lines: Path, tmp_path: Path) -> None:
    packed = tmp_path / "in.nl.gz"
    packed.write_bytes(gzip.compress(lines.read_bytes()))
    assert main(["translate", model, "-i", str(lines), "-o", str(tmp_path / "plain.en")]) == 0
    assert main(["translate", model, "-i", str(packed), "-o", str(tmp_path / "packed.en")]) == 0
    assert (tmp_path / "plain.en").read_bytes() == (tmp_path / "packed.en").read_bytes()
    assert (tmp_path / "plain.en").read_bytes().count(b"\n") == 3


def test_an_empty_input_has_an_empty_output(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert main(["translate", model, "--precision", "fp32", "-i", str(tmp_path / "empty")]) == 0
    assert capsys.readouterr() == ("", "")


def test_nbest_lists_are_marians(model: str, lines: Path, tmp_path: Path) -> None:
    assert main(["translate", model, "-i", str(lines), "-o", str(tmp_path / "out"), "--n-best", "2"]) == 0
    records = [line.split(" ||| ") for line in (tmp_path / "out").read_text().splitlines()]
    assert [record[0] for record in records] == ["0", "0", "1", "2", "2"]
    assert records[2] == ["1", "", "F0= 0", "0"]
    for _, _, total, normalised in records:
        assert float(total.removeprefix("F0= ")) <= float(normalised) <= 0


def test_extras_follow_the_text(model: str, lines: Path, tmp_path: Path) -> None:
    arguments = ["translate", model, "-i", str(lines), "--alignments", "--word-scores"]
    assert main([*arguments, "-o", str(tmp_path / "text")]) == 0
    assert main([*arguments, "-o", str(tmp_path / "nbest"), "--format", "nbest", "--n-best", "1"]) == 0
    first, blank, _ = (tmp_path / "text").read_text().splitlines()
    assert blank == ""
    assert (tmp_path / "nbest").read_text().startswith(f"0 ||| {first} ||| F0= ")
    text, links, scores = first.split(" ||| ")
    assert all(0 <= int(link.split("-")[0]) < 2 for link in links.split())
    assert len(links.split()) == len(text.split()) or not text.strip()
    assert all(float(score) <= 0 for score in scores.removeprefix("WordScores= ").split())


def test_constraints_are_kept_to(model: str, lines: Path, tmp_path: Path) -> None:
    arguments = ["translate", model, "-i", str(lines), "-o", str(tmp_path / "out"), "--format", "jsonl", "--word-scores"]
    lines.write_text('{"text": "de kat"}\n{"text": "de hond"}\n')
    assert main([*arguments, "--min-length", "9", "--max-length", "9", "--no-repeat-ngram", "1"]) == 0
    for line in (tmp_path / "out").read_text().splitlines():
        pieces = json.loads(line)["pieces"]
        assert len(pieces) == len(set(pieces)) == 9


def test_a_coverage_penalty_is_in_the_scores(model: str, lines: Path, tmp_path: Path) -> None:
    scores = {}
    for beta in ("0", "3"):
        arguments = ["-i", str(lines), "-o", str(tmp_path / beta), "--n-best", "2", "--max-length", "1", "--coverage", beta]
        assert main(["translate", model, *arguments]) == 0
        scores[beta] = [float(line.split(" ||| ")[-1]) for line in (tmp_path / beta).read_text().splitlines()]
    assert sum(scores["3"]) < sum(scores["0"])


def test_a_json_line_may_force_the_beginning(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "de kat", "prefix": "the dog"}\n{"text": "de hond"}\n{"text": "", "prefix": "the"}\n')
    assert main(["translate", model, "-i", str(path), "--format", "jsonl", "--precision", "fp32"]) == 0
    forced, free, blank = map(json.loads, capsys.readouterr().out.splitlines())
    assert forced["translation"].startswith("the dog")
    assert forced["prefix"] == "the dog"
    assert not free["translation"].startswith("the dog")
    assert blank["translation"] == ""
    path.write_text('{"text": "de kat", "prefix": null}\n')
    assert 'in.jsonl:1: "prefix" must be a string, got null' in failure(
        capsys, "translate", model, "-i", str(path), "--format", "jsonl", "--precision", "fp32"
    )


def test_json_lines_keep_their_keys(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {"text": "de kat", "id": [1, None], "bron": "caf\u00e9"}
    (tmp_path / "in.jsonl").write_text(f"{json.dumps(record)}\n\n")
    assert main(["translate", model, "-i", str(tmp_path / "in.jsonl"), "--format", "jsonl", "--n-best", "2"]) == 0
    first, blank, rest = capsys.readouterr().out.split("\n")
    assert (blank, rest) == ("", "")
    translated = json.loads(first)
    assert translated.items() >= record.items()
    assert translated["translation"] == translated["translations"][0]["text"]
    assert len(translated["translations"]) == 2


def test_json_lines_have_attention_on_request(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "de kat"}\n{"text": " "}\n')
    assert main(["translate", model, "-i", str(tmp_path / "in.jsonl"), "--format", "jsonl", "--n-best", "2", "--attention"]) == 0
    translated, blank = map(json.loads, capsys.readouterr().out.splitlines())
    assert "".join(translated["source_pieces"]) == "\u2581de\u2581kat</s>"
    for each in (translated, *translated["translations"]):
        assert len(each["attention"]) == len(each["pieces"]) + 1
        for row in each["attention"]:
            assert len(row) == len(translated["source_pieces"])
            assert sum(row) == pytest.approx(1, abs=1e-3)
            assert all(weight == round(weight, 4) for weight in row)
    assert (blank["attention"], blank["source_pieces"]) == ([], [])


def test_score_has_one_line_for_each_pair(model: str, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    scores = []
    for others in ([], ["--ensemble", model], ["--ensemble", other_model], ["--ensemble", model, other_model]):
        assert main(["score", model, "--source", str(lines), "--target", str(target), "--precision", "fp32", *others]) == 0
        scores.append([float(line) for line in capsys.readouterr().out.splitlines()])
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)
    assert scores[2] != pytest.approx(scores[0], abs=1e-4)
    assert scores[3] != pytest.approx(scores[2], abs=1e-4)
    assert main(["translate", model, "-i", str(lines), "-o", str(tmp_path / "out"), "--n-best", "2", "--ensemble", other_model]) == 0
    assert len((tmp_path / "out").read_text().splitlines()) == 5
    capsys.readouterr()
    assert "no-model: no such model folder" in failure(capsys, "translate", model, "-i", str(lines), "--ensemble", other_model, "no-model")


@pytest.mark.parametrize("longer", ["source", "target"])
def test_score_names_the_first_line_without_a_partner(model: str, longer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ("source", "target"):
        (tmp_path / side).write_text("a\nb\n" if side == longer else "a\n")
    message = failure(capsys, "score", model, "--source", str(tmp_path / "source"), "--target", str(tmp_path / "target"))
    assert f"{longer}:2: no partner" in message


def test_evaluate_translates_and_scores(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_evaluate_gives_the_reference_itself_all_points(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = tmp_path / "test.en"
    reference.write_text("the cat sits on the mat\n")
    assert main(["evaluate", str(reference), "--reference", str(reference), "--metrics", "bleu", "chrf", "ter"]) == 0
    scores = capsys.readouterr().out.splitlines()
    assert [score.split(" nrefs:1|")[0] for score in scores] == ["BLEU = 100.0", "chrF2 = 100.0", "TER = 0.0"]


def test_evaluate_names_the_file_of_another_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "reference").write_text("a\nb\n")
    (tmp_path / "short").write_text("a\n")
    (tmp_path / "empty").write_text("")
    reference = ["--reference", str(tmp_path / "reference")]
    assert "short has 1 lines" in failure(capsys, "evaluate", *reference, str(tmp_path / "short"))
    assert "empty: empty; there is nothing to score" in failure(capsys, "evaluate", *reference, str(tmp_path / "empty"))


def test_evaluate_warns_of_tokenised_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = tmp_path / "test.en"
    reference.write_text("the cat sits on the mat .\n")
    assert main(["evaluate", str(reference), "--reference", str(reference)]) == 0
    assert "test.en looks tokenised" in capsys.readouterr().err


def test_metrics_are_those_of_scoring() -> None:
    assert METRICS == bleu.METRICS


def test_check_counts_what_training_would_leave_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.nl").write_text("een kat\n\neen hond\neen hond\n")
    (tmp_path / "train.en").write_text("a cat\nx\na dog\na dog\n")
    (tmp_path / "dev.nl").write_text("een kat\n")
    (tmp_path / "dev.en").write_text("one cat\n")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'[data]\ntrain = "{tmp_path}/train"\ndev = "{tmp_path}/dev"\nsource = "nl"\ntarget = "en"\n')
    assert main(["check", str(recipe)]) == 0
    out = capsys.readouterr().out
    assert "train: 3 of 4 pairs kept" in out
    assert f"1 left out, a side is blank: {tmp_path}/train.nl:2" in out
    assert "train: 1 pairs have come before" in out
    assert "dev: 1 sources are in train too, 0 with the same translation" in out


def test_check_refuses_data_without_a_usable_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train.nl", "train.en", "dev.nl", "dev.en"):
        (tmp_path / name).write_text("\n")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'[data]\ntrain = "{tmp_path}/train"\ndev = "{tmp_path}/dev"\nsource = "nl"\ntarget = "en"\n')
    assert main(["check", str(recipe)]) == 1
    assert "nmt: error: data.train: no pair is left to use" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_quietly(number: signal.Signals, status: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "recipe.toml")
    command = [sys.executable, "-m", "nmt", "check", str(tmp_path / "recipe.toml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        with (tmp_path / "recipe.toml").open("w"):  # which returns when the command reads, and waits for text that never comes
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (status, b"")
        assert b"Traceback" not in err


def test_a_reader_that_leaves_is_no_error(model: str) -> None:
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [sys.executable, "-m", "nmt", "translate", model, "--precision", "fp32"],
        input=b"de kat\n",
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (141, b"")


def test_a_line_translated_in_segments_is_reported(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.nl"
    path.write_text("de kat\n" + "de hond " * 100 + "\n", encoding="utf-8")
    assert main(["translate", model, "-i", str(path)]) == 0
    # 800 characters without the last space are 800 pieces with the first one, of which 200 make a segment.
    assert f"{path}:2: longer than any line in training; translated in 4 segments" in capsys.readouterr().err


def test_a_chosen_precision_is_told(model: str, lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", model, "-i", str(lines)]) == 0
    assert re.search(r"^nmt: chose (fp32|bf16|int8) on (cpu|cuda)( \(.+\))?;", capsys.readouterr().err, re.MULTILINE)
