"""The command line as its users see it: results on stdout, reasons on stderr, exit statuses,
never a traceback."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import failure

from nmt.commands.main import COMMANDS, main

ROOT = Path(__file__).parent.parent


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
        (["trainslate"], "did you mean translate?\nsee: nmt --help\n"),
        (["--verison"], "did you mean --version?\nsee: nmt --help\n"),
        (
            ["evaluate", "m", "--tset", "p"],
            (
                "nmt evaluate: error: unrecognized arguments: --tset p; did you mean --test?\nsee:"
                " nmt evaluate"
            ),
        ),
        (["evaluate", "m", "--reference", "r", "--metrics", "blue"], "; did you mean bleu?"),
        (
            ["translate", "m", "--precision", "quick"],
            "(choose from 'auto', 'fp32', 'bf16', 'int8', 'fp16')\n",
        ),
        (["translate"], "the following arguments are required: MODEL"),
        (
            ["translate", "m", "--beam", "0"],
            "argument --beam: must be at least 1 and at most 10,000, got 0",
        ),
        (
            ["translate", "m", "--beam", "five"],
            "argument --beam: must be a whole number, got 'five'",
        ),
        (
            ["translate", "m", "--length-alpha", "-1"],
            "argument --length-alpha: must be at least 0 and at most 10, got -1",
        ),
        (
            ["translate", "m", "--length-alpha", "nan"],
            "argument --length-alpha: must be at least 0 and at most 10, got nan",
        ),
        (
            ["evaluate", "m", "--length-alpha", "inf"],
            "argument --length-alpha: must be at least 0 and at most 10, got inf",
        ),
        (
            ["translate", "m", "--length-alpha", "one"],
            "argument --length-alpha: must be a number, got 'one'",
        ),
        (
            ["translate", "m", "--no-repeat-ngram", "-1"],
            "argument --no-repeat-ngram: must be at least 0 and at most 1,000,000,000, got -1",
        ),
        (
            ["translate", "m", "--min-length", "-1"],
            "argument --min-length: must be at least 0 and at most 100,000, got -1",
        ),
        (
            ["translate", "m", "--max-length", "0"],
            "argument --max-length: must be at least 1, got 0",
        ),
        (
            ["translate", "m", "--coverage", "-1"],
            "argument --coverage: must be at least 0 and at most 1,000,000, got -1",
        ),
        (
            ["translate", "m", "--top-k", "3", "--seed", "2"],
            "without --sample nothing is drawn: add it, or leave out --top-k, --seed",
        ),
        (
            ["translate", "m", "--sample", "--temperature", "0"],
            "argument --temperature: must be above 0 and at most 1,000, got 0",
        ),
        (
            ["translate", "m", "--sample", "--beam", "2"],
            "samples are drawn, not searched for, got beam = 2; leave it out",
        ),
        (
            ["translate", "m", "--min-length", "5", "--max-length", "4"],
            "max_length must be at least 5, got 4",
        ),
        (
            ["translate", "m", "--format", "text", "--n-best", "2"],
            "--n-best needs --format nbest or jsonl",
        ),
        (
            ["translate", "m", "--attention"],
            "--attention needs --format jsonl: a line of the text format has no room for it",
        ),
        (
            ["translate", "m", "--attention", "--n-best", "2"],
            "--attention needs --format jsonl: a line of the nbest format",
        ),
        (["translate", "m", "-o", "out.gz"], "-o writes plain text, got out.gz"),
        (["translate", "m", "--bea", "3"], "unrecognized arguments: --bea 3"),
        (["evaluate", "m"], "give --test PREFIX, or --reference FILE"),
        (
            ["evaluate", "m", "--test", "t", "--reference", "r"],
            "--test names source and reference together",
        ),
        (["evaluate", "m", "--source", "s"], "--source needs --reference FILE"),
        (
            ["evaluate", "h", "--reference", "r", "--beam", "3"],
            "--save, --beam, --length-alpha, --no-shortlist, --device and --precision need a MODEL",
        ),
        (
            ["evaluate", "h", "--reference", "r", "--precision", "int8"],
            "--device and --precision need a MODEL",
        ),
        (
            ["evaluate", "h", "--reference", "r", "--no-shortlist"],
            "--save, --beam, --length-alpha, --no-shortlist, --device and --precision need a MODEL",
        ),
        (
            ["evaluate", "h", "--reference", "r", "--paired"],
            "--paired needs two or more different systems",
        ),
        (
            ["evaluate", "h", "h", "--reference", "r", "--paired"],
            "--paired needs two or more different systems",
        ),
        (
            ["score", "m", "--source", "s"],
            "give --source and --target, or TEXT for a language model",
        ),
    ],
)
def test_bad_arguments_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(capsys, *arguments)


def test_a_call_without_arguments_is_all_of_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys)
    assert said.startswith("usage: nmt ")
    assert all(f"\n    {command}" in said for command in COMMANDS)


def test_an_error_comes_first_and_names_the_help_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        refusal(capsys, "evaluate", "m")
        == "nmt evaluate: error: what to compare with is missing: give --test PREFIX, or"
        " --reference FILE\nsee: nmt evaluate --help\n"
    )


def test_names_may_stand_after_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("reference", "one", "two"):
        (tmp_path / name).write_text("a\n", encoding="utf-8")
    reference, one, two = (str(tmp_path / name) for name in ("reference", "one", "two"))
    assert (
        main(
            [
                "evaluate",
                one,
                "--reference",
                reference,
                "--metrics",
                "chrf",
                "--format",
                "text",
                two,
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert one in out
    assert two in out


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_wide_as_the_terminal(
    command: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= max(columns, 80)  # argparse breaks no word
    words = (COMMANDS[command].__doc__ or "").split()
    assert " ".join(words) in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["translate", "no-model", "-i", "pyproject.toml"], "no-model: no such model folder"),
        (
            ["translate", "no-model", "-i", "no-file"],
            "no-file: cannot be opened (No such file or directory)",
        ),
        (["score", "no-model", "--source", "s", "--target", "t"], "no-model: no such model folder"),
        (["check", "no.toml"], "no.toml: no such recipe"),
        (["evaluate", "no-file", "--reference", "no-reference"], "no-reference: cannot be opened"),
    ],
)
def test_failures_have_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in failure(capsys, *arguments)


@pytest.mark.parametrize(
    "error", [MemoryError("8 GB"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 GB")]
)
def test_a_lack_of_memory_has_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: object) -> int:
        raise error

    monkeypatch.setattr(COMMANDS["check"], "run", fail)
    message = failure(capsys, "check", "recipe.toml")
    assert re.search(
        r"8 GB\): this process took up to .*; lower training.batch_pieces or search.batch_pieces",
        message,
    )


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: object) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(COMMANDS["check"], "run", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["check", "recipe.toml"])


def test_an_operating_system_error_has_one_line(
    model: str, lines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no-folder" in failure(
        capsys, "translate", model, "-i", str(lines), "-o", "no-folder/out"
    )


def test_translate_keeps_every_line(model: str, lines: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "nmt", "translate", model, "--precision", "fp32"],
        input=lines.read_bytes(),
        capture_output=True,
        cwd=ROOT,
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


def test_an_empty_input_has_an_empty_output(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert main(["translate", model, "--precision", "fp32", "-i", str(tmp_path / "empty")]) == 0
    assert capsys.readouterr() == ("", "")


def test_nbest_lists_are_marians(model: str, lines: Path, tmp_path: Path) -> None:
    assert (
        main(["translate", model, "-i", str(lines), "-o", str(tmp_path / "out"), "--n-best", "2"])
        == 0
    )
    records = [line.split(" ||| ") for line in (tmp_path / "out").read_text().splitlines()]
    assert [record[0] for record in records] == ["0", "0", "1", "2", "2"]
    assert records[2] == ["1", "", "F0= 0", "0"]
    for _, _, total, normalised in records:
        assert float(total.removeprefix("F0= ")) <= float(normalised) <= 0


def test_extras_follow_the_text(model: str, lines: Path, tmp_path: Path) -> None:
    arguments = ["translate", model, "-i", str(lines), "--alignments", "--word-scores"]
    assert main([*arguments, "-o", str(tmp_path / "text")]) == 0
    assert (
        main([*arguments, "-o", str(tmp_path / "nbest"), "--format", "nbest", "--n-best", "1"]) == 0
    )
    first, blank, _ = (tmp_path / "text").read_text().splitlines()
    assert blank == ""
    assert (tmp_path / "nbest").read_text().startswith(f"0 ||| {first} ||| F0= ")
    text, links, scores = first.split(" ||| ")
    assert all(0 <= int(link.split("-")[0]) < 2 for link in links.split())
    assert len(links.split()) == len(text.split()) or not text.strip()
    assert all(float(score) <= 0 for score in scores.removeprefix("WordScores= ").split())


def test_constraints_are_kept_to(model: str, lines: Path, tmp_path: Path) -> None:
    arguments = [
        "translate",
        model,
        "-i",
        str(lines),
        "-o",
        str(tmp_path / "out"),
        "--format",
        "jsonl",
        "--word-scores",
    ]
    lines.write_text('{"text": "de kat"}\n{"text": "de hond"}\n')
    assert (
        main([*arguments, "--min-length", "9", "--max-length", "9", "--no-repeat-ngram", "1"]) == 0
    )
    for line in (tmp_path / "out").read_text().splitlines():
        pieces = json.loads(line)["pieces"]
        assert len(pieces) == len(set(pieces)) == 9


def test_a_coverage_penalty_is_in_the_scores(model: str, lines: Path, tmp_path: Path) -> None:
    scores = {}
    for beta in ("0", "3"):
        arguments = [
            "-i",
            str(lines),
            "-o",
            str(tmp_path / beta),
            "--n-best",
            "2",
            "--max-length",
            "1",
            "--coverage",
            beta,
        ]
        assert main(["translate", model, *arguments]) == 0
        scores[beta] = [
            float(line.split(" ||| ")[-1]) for line in (tmp_path / beta).read_text().splitlines()
        ]
    assert sum(scores["3"]) < sum(scores["0"])


def test_a_json_line_may_force_the_beginning(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        '{"text": "de kat", "prefix": "the dog"}\n{"text": "de hond"}\n{"text": "", "prefix":'
        ' "the"}\n'
    )
    assert (
        main(["translate", model, "-i", str(path), "--format", "jsonl", "--precision", "fp32"]) == 0
    )
    forced, free, blank = map(json.loads, capsys.readouterr().out.splitlines())
    assert forced["translation"].startswith("the dog")
    assert forced["prefix"] == "the dog"
    assert not free["translation"].startswith("the dog")
    assert blank["translation"] == ""
    path.write_text('{"text": "de kat", "prefix": null}\n')
    assert 'in.jsonl:1: "prefix" must be a string, got null' in failure(
        capsys, "translate", model, "-i", str(path), "--format", "jsonl", "--precision", "fp32"
    )


def test_json_lines_keep_their_keys(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"text": "de kat", "id": [1, None], "bron": "caf\u00e9"}
    (tmp_path / "in.jsonl").write_text(f"{json.dumps(record)}\n\n")
    assert (
        main(
            [
                "translate",
                model,
                "-i",
                str(tmp_path / "in.jsonl"),
                "--format",
                "jsonl",
                "--n-best",
                "2",
            ]
        )
        == 0
    )
    first, blank, rest = capsys.readouterr().out.split("\n")
    assert (blank, rest) == ("", "")
    translated = json.loads(first)
    assert translated.items() >= record.items()
    assert translated["translation"] == translated["translations"][0]["text"]
    assert len(translated["translations"]) == 2


def test_json_lines_have_attention_on_request(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "de kat"}\n{"text": " "}\n')
    assert (
        main(
            [
                "translate",
                model,
                "-i",
                str(tmp_path / "in.jsonl"),
                "--format",
                "jsonl",
                "--n-best",
                "2",
                "--attention",
            ]
        )
        == 0
    )
    translated, blank = map(json.loads, capsys.readouterr().out.splitlines())
    assert "".join(translated["source_pieces"]) == "\u2581de\u2581kat</s>"
    for each in (translated, *translated["translations"]):
        assert len(each["attention"]) == len(each["pieces"]) + 1
        for row in each["attention"]:
            assert len(row) == len(translated["source_pieces"])
            assert sum(row) == pytest.approx(1, abs=1e-3)
            assert all(weight == round(weight, 4) for weight in row)
    assert (blank["attention"], blank["source_pieces"]) == ([], [])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_quietly(number: signal.Signals, status: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "recipe.toml")
    command = [sys.executable, "-m", "nmt", "check", str(tmp_path / "recipe.toml")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        with (tmp_path / "recipe.toml").open(
            "w"
        ):  # which returns when the command reads, and waits for text that never comes
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


def test_a_line_translated_in_segments_is_reported(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.nl"
    path.write_text("de kat\n" + "de hond " * 100 + "\n", encoding="utf-8")
    assert main(["translate", model, "-i", str(path)]) == 0
    # 800 characters without the last space are 800 pieces with the first one, of which 200 make a
    # segment.
    assert (
        f"{path}:2: longer than any line in training; translated in 4 segments"
        in capsys.readouterr().err
    )


def test_a_chosen_precision_is_told(
    model: str, lines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", model, "-i", str(lines), "-v"]) == 0
    assert re.search(
        r"^nmt: chose (fp32|bf16|int8) on (cpu|cuda)( \(.+\))?;",
        capsys.readouterr().err,
        re.MULTILINE,
    )


@pytest.mark.parametrize(
    ("note", "told"),
    [
        ("", False),
        ("compiled engine, AVX2", False),
        ("not the compiled engine: it is not built", True),
    ],
)
def test_only_a_slow_choice_is_told_unasked(
    model: str,
    lines: Path,
    note: str,
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from nmt.translation.translator import Translator

    load = Translator.load

    def noted(*arguments: object) -> Translator:
        translator = load(*arguments)
        translator.network.note = note
        return translator

    monkeypatch.setattr(Translator, "load", noted)
    assert main(["translate", model, "-i", str(lines)]) == 0
    assert ("nmt: chose " in capsys.readouterr().err) == told
