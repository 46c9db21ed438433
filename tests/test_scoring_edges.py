"""The edges of an evaluation: too little text, blank or repeated text, systems that do not
differ. The value, and what is said of it."""

import json
import math
from pathlib import Path

import pytest

from nmt.commands.main import main
from nmt.scoring.benchmark import Benchmark, evaluate, paired_note
from nmt.scoring.bleu import corpus_scores, looks_tokenised
from nmt.scoring.remarks import remarks, warnings
from nmt.scoring.significance import Test
from nmt.scoring.tables import compared, count_tests, render

LINE = "the small cat sat on the mat"
LINES = [f"{LINE} number {number}" for number in range(40)]


def worse(count: int, word: str = "zzz") -> list[str]:
    """The lines, with a wrong word in the first `count` of them."""
    return [
        line.replace("sat", word) if place < count else line for place, line in enumerate(LINES)
    ]


def pair(
    first: list[str],
    second: list[str],
    metrics: tuple[str, ...] = ("bleu",),
    test: Test = "bootstrap",
) -> list[str]:
    benchmark = Benchmark("test", [LINES], {"first": first, "second": second})
    return [compared(each) for each in evaluate([benchmark], metrics, paired=test, samples=100)]


def told(
    hypotheses: list[str],
    references: list[str],
    metrics: tuple[str, ...] = ("bleu", "chrf"),
    confidence: bool = False,
) -> list[str]:
    test = Benchmark("test", [references], {"made": hypotheses})
    return remarks(test, metrics, evaluate([test], metrics, confidence))


@pytest.mark.parametrize("test", ["bootstrap", "randomisation"])
def test_identical_outputs_are_called_the_same_and_get_no_star(test: Test) -> None:
    assert (
        pair(worse(9), worse(9), ("bleu", "chrf", "ter"), test)
        == ["", "same output as the first system"] * 3
    )


@pytest.mark.parametrize("test", ["bootstrap", "randomisation"])
def test_other_words_that_score_the_same_get_no_star(test: Test) -> None:
    assert pair(worse(9), worse(9, "yyy"), test=test) == ["", "same score as the first system"]


@pytest.mark.parametrize("test", ["bootstrap", "randomisation"])
def test_fewer_than_five_differing_lines_are_counted_and_get_no_star(test: Test) -> None:
    for count, counted in ((1, "1 line differs"), (4, "4 lines differ")):
        assert pair(LINES, worse(count), test=test)[1].endswith(counted)
    benchmark = Benchmark("test", [LINES], {"first": LINES, "second": worse(4)})
    found = remarks(
        benchmark, ("bleu",), evaluate([benchmark], ("bleu",), paired=test, samples=100)
    )
    assert (
        "second: 4 of 40 lines differ from the first system's: too few for a paired test, so no"
        " star" in found
    )


def test_a_difference_in_every_line_is_starred_with_the_least_p() -> None:
    # no swap of lines makes as much difference as none: p = (0 + 1) / (trials + 1)
    assert pair(LINES, worse(40), test="randomisation") == ["", f"p = {1 / 101:.4f}*"]


def test_json_keeps_the_p_of_identical_outputs_and_says_what_it_is() -> None:
    test = Benchmark("test", [LINES], {"first": worse(9), "second": worse(9)})
    results = evaluate([test], ("bleu",), paired="randomisation", samples=100)
    second = json.loads(render(results, "json", remarks=["a remark"]))["scores"][1]
    assert (second["p_value"], second["difference"], second["differing_lines"]) == (1 / 101, 0.0, 0)
    assert (
        second["remark"]
        == "same output as the first system: p_value is what sacreBLEU gives for a difference of"
        " zero"
    )
    for form in ("text", "markdown"):
        table = render(results, form)
        assert "(same output as the first system)" in table
        assert "*" not in table


def test_fifty_systems_say_how_many_tests_were_made_and_how_many_stars_are_chance() -> None:
    systems = {f"system {number}": worse(number) for number in range(50)}
    results = evaluate(
        [Benchmark("test", [LINES], systems)], ("bleu",), paired="bootstrap", samples=5
    )
    assert count_tests(results) == 49  # each but the first
    assert (
        "98 tests were made: some 5 would be starred by chance alone, so ask for p < 0.00051"
        in paired_note("bootstrap", 5, 98)
    )
    assert "tests" not in paired_note("bootstrap", 5, 1)


def test_one_line_has_a_score_and_an_interval_that_says_nothing() -> None:
    # 6 of 7 words, 4 of 6 pairs, 2 of 5 triples; no quadruple of 4, which exponential smoothing
    # counts as half a one
    expected = 100 * (6 / 7 * 4 / 6 * 2 / 5 * 0.5 / 4) ** 0.25
    score = corpus_scores(["the small cat zzz on the mat"], [[LINE]], ("bleu",), confidence=True)[0]
    assert (score.value, score.interval) == (pytest.approx(expected), pytest.approx(0, abs=1e-6))
    assert told(["a"], ["a b"], ("chrf",), confidence=True) == [
        "one line: all resamples are the same, so ± and p say nothing"
    ]


@pytest.mark.parametrize(
    ("lines", "remark"), [(2, ["2 lines: with fewer than 30, ± and p mean little"]), (30, [])]
)
def test_an_interval_over_few_lines_is_said_to_mean_little(lines: int, remark: list[str]) -> None:
    assert told(worse(2)[:lines], LINES[:lines], confidence=True) == remark
    assert told(worse(2)[:lines], LINES[:lines], confidence=False) == []


def test_empty_translations_cost_the_brevity_penalty_and_are_counted() -> None:
    assert [
        each.value for each in corpus_scores(["", ""], [LINES[:2]], ("bleu", "chrf", "ter"))
    ] == [0, 0, 100]
    assert told(["", " "], LINES[:2]) == ["made: all translations are empty"]
    half = [LINES[0], ""]  # all that is there is right, and half of the words are
    assert corpus_scores(half, [LINES[:2]], ("bleu",))[0].value == pytest.approx(
        100 * math.exp(1 - 2)
    )
    assert told(half, LINES[:2]) == ["made: 1 of 2 translations is empty (line 2 first)"]


def test_a_blank_reference_makes_every_word_wrong_and_is_counted() -> None:
    # 5 of 6 words, all 4 pairs, 3 triples and 2 quadruples; not too short
    references, made = ["a b c d e", ""], ["a b c d e", "x"]
    assert corpus_scores(made, [references], ("bleu",))[0].value == pytest.approx(
        100 * (5 / 6) ** 0.25
    )
    assert told(made, references) == [
        "1 of 2 references is blank (line 2 first): any word there is wrong"
    ]
    assert told(["a b c d e"], [""])[0] == "all references are blank: no score means anything"
    two_sets = Benchmark("test", [references, ["a b c d e", "x"]], {"made": ["a b c d e", "y"]})
    assert remarks(two_sets, ("chrf",)) == []  # one of the sets has a line there


def test_references_that_are_all_the_same_are_pointed_out() -> None:
    assert told(LINES[:3], [LINE] * 3) == [
        "all 3 references are the same line: is this the right file?"
    ]


def test_the_reference_itself_has_100_and_is_pointed_out() -> None:
    assert corpus_scores(LINES, [LINES], ("bleu",))[0].value == pytest.approx(100)
    assert told(LINES, LINES) == [
        "made: the same text as the reference, to the letter: is this the right file?"
    ]


def test_lines_of_less_than_four_words_have_bleu_0_and_the_reader_is_told() -> None:
    lines, made = ["good day", "thank you very"], ["good day", "thank you much"]
    bleu, chrf = corpus_scores(lines, [lines], ("bleu", "chrf"))
    assert (bleu.value, chrf.value) == (0, 100)
    assert told(made, lines) == [
        "made: no line has 4 words, so BLEU is 0.0 whatever they are; rely on chrF"
    ]
    assert told([*made, "four words are here"], [*lines, "x"]) == []


def test_french_spaces_before_question_marks_are_no_sign_of_a_tokeniser() -> None:
    assert not looks_tokenised(["Pourquoi ?", "Quelle surprise !", "Il dit : oui ; elle part."] * 5)
    assert looks_tokenised(["Pourquoi ?", "Il part ."])


def test_warnings_name_the_text_that_looks_tokenised() -> None:
    assert warnings(Benchmark("test", [["a dog ."]], {"made": ["a dog."]}), ("bleu",)) == [
        "the reference test looks tokenised; scores can only be compared on text as people write it"
    ]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, lines in {
        "reference": LINES,
        "first": worse(20),
        "second": worse(9),
        "near": worse(19),
    }.items():
        Path(name).write_text("".join(line + "\n" for line in lines))


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    assert main(["evaluate", "--reference", "reference", *arguments]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


@pytest.mark.usefixtures("files")
def test_line_ends_change_no_score(capsys: pytest.CaptureFixture[str]) -> None:
    expected = evaluated(capsys, "first")
    Path("first").write_bytes("\r\n".join(worse(20)).encode())  # CR LF, and none at the end
    assert evaluated(capsys, "first") == expected


@pytest.mark.usefixtures("files")
def test_a_table_tells_its_remarks_and_a_single_score_logs_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, _ = evaluated(
        capsys, "first", "near", "--paired-ar", "--paired-n", "20", "--format", "markdown"
    )
    assert out.splitlines()[-1].startswith("- near: 1 of 40 lines differs from the first system's")
    out, told = evaluated(capsys, "reference")
    assert len(out.splitlines()) == 2
    assert (
        told
        == "nmt: note: reference: the same text as the reference, to the letter: is this the right"
        " file?\n"
    )


@pytest.mark.usefixtures("files")
def test_a_system_given_twice_is_refused_by_whatever_path(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--reference", "reference", "first", str(Path("first").resolve())])
    assert "a system is given twice" in capsys.readouterr().err


@pytest.mark.usefixtures("files")
def test_files_of_translations_may_come_with_their_source_and_languages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = evaluated(capsys, "first")[0]
    Path("train").write_text("the cat\n")
    parts = evaluated(
        capsys,
        "first",
        "--source",
        "second",
        "--breakdown",
        "frequency",
        "--train",
        "train",
        "--metrics",
        "chrf",
    )[0]
    assert "0 times" in parts
    for name, text in (("test.de", LINES), ("test.en", LINES)):
        Path(name).write_text("".join(line + "\n" for line in text))
    assert main(["evaluate", "--test", "test", "-l", "de-en", "first"]) == 0
    assert capsys.readouterr().out == plain
