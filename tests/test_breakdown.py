import json
from pathlib import Path

import pytest
from sacrebleu.metrics.bleu import BLEU

from nmt.errors import NmtError
from nmt.scoring.benchmark import Benchmark, evaluate, paired_note
from nmt.scoring.bleu import Score, corpus_scores
from nmt.scoring.breakdown import (
    Group,
    by_frequency,
    by_label,
    by_length,
    group_scores,
    word_counts,
)
from nmt.scoring.checks import health, repeats, sentence_chrf
from nmt.scoring.significance import paired_test
from nmt.scoring.tables import Result, render

REFERENCES = ["one two", "one two three four five six", "one", " ".join(["word"] * 60)]


def test_lines_are_grouped_by_the_words_of_the_reference() -> None:
    assert by_length(REFERENCES) == [
        Group("1-5 words", [0, 2]),
        Group("6-10 words", [1]),
        Group("51+ words", [3]),
    ]
    assert by_length([""]) == [Group("1-5 words", [0])]


def test_lines_are_grouped_by_their_rarest_source_word() -> None:
    counts = word_counts(["de kat", "De hond,", "de"] * 5)
    assert counts == {"de": 15, "kat": 5, "hond": 5}
    groups = by_frequency(["De!", "de kat", "de muis", "..."], counts)
    assert groups == [Group("0 times", [2, 3]), Group("1-9 times", [1]), Group("10-99 times", [0])]


def test_lines_are_grouped_by_label_in_the_order_of_appearance() -> None:
    assert by_label(["news", "talk", "news ", ""]) == [
        Group("news", [0, 2]),
        Group("talk", [1]),
        Group("(none)", [3]),
    ]


def test_a_group_scores_as_its_lines_alone() -> None:
    hypotheses = ["one two", "one two three four five seven", "two", "word"]
    groups = by_length(REFERENCES)
    scores = group_scores(hypotheses, [REFERENCES], groups, ("bleu", "chrf++"))
    for group, found in zip(groups, scores, strict=True):
        chosen = (
            [hypotheses[line] for line in group.lines],
            [[REFERENCES[line] for line in group.lines]],
        )
        assert found == corpus_scores(*chosen, ("bleu", "chrf++"))


@pytest.mark.parametrize("lines", [[], [1]])
def test_a_group_of_another_test_set_is_refused(lines: list[int]) -> None:
    with pytest.raises(NmtError, match="the group 'x' does not fit a test set of 1 lines"):
        group_scores(["a"], [["a"]], [Group("x", lines)], ("bleu",))


def test_every_system_on_every_test_set_has_a_row_for_each_metric_and_group() -> None:
    benchmarks = [
        Benchmark(
            name,
            [["a b c d", "e f"]],
            {"x": ["a b c d", "e f"], "y": ["a b", "e f"]},
            by_length(["a", "a"]),
        )
        for name in "pq"
    ]
    results = evaluate(benchmarks, ("bleu", "chrf"))
    assert [(each.test, each.system, each.group) for each in results[:8:2]] == [
        ("p", "x", ""), ("p", "y", ""), ("p", "x", "1-5 words"), ("p", "y", "1-5 words"),
    ]  # fmt: skip
    assert len(results) == 16


def test_paired_results_are_those_of_the_paired_test() -> None:
    systems = {"x": ["a b c d e", "f g h i"], "y": ["a b c d x", "f g h y"]}
    references = [["a b c d e", "f g h i"]]
    found = evaluate(
        [Benchmark("p", references, systems)], ("bleu",), paired="randomisation", samples=20
    )
    assert [(each.score, each.p_value) for each in found] == [
        (each.score, each.p_value)
        for each in paired_test(systems, references, ("bleu",), "randomisation", 20)
    ]
    assert "approximate randomisation, 20 trials" in paired_note("randomisation", 20)
    assert "paired bootstrap, 1,000 resamples" in paired_note("bootstrap", 0)


RESULTS = [
    Result("test", "a", "", 2, Score("BLEU", 30.04, "nrefs:1", 30.1, 0.5)),
    Result("test", "b|c", "", 2, Score("BLEU", 31.0, "nrefs:1"), 0.01),
]


def test_a_text_table_is_aligned_and_ends_in_the_signatures() -> None:
    assert render(RESULTS, "text", "a note").split("\n") == [
        "test set  system  lines  BLEU",
        "test      a       2      30.0 (30.1 ± 0.5)",
        "test      b|c     2      31.0 (p = 0.0100)*",
        "BLEU nrefs:1",
        "a note",
    ]


def test_a_markdown_table_escapes_its_bars() -> None:
    lines = render(RESULTS, "markdown").split("\n")
    assert lines[:2] == ["| test set | system | lines | BLEU |", "|---|---|---|---|"]
    assert "| test | b\\|c | 2 | 31.0 (p = 0.0100)* |" in lines
    assert lines[-1] == "- `BLEU nrefs:1`"


def test_json_keeps_full_precision_and_leaves_out_what_is_not_known() -> None:
    first, second = json.loads(render(RESULTS, "json"))["scores"]
    assert first == {
        "test": "test", "system": "a", "lines": 2, "metric": "BLEU", "value": 30.04, "signature": "nrefs:1", "mean": 30.1, "interval": 0.5,  # noqa: E501
    }  # fmt: skip
    assert (second["p_value"], "interval" in second) == (0.01, False)


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        ("a cat sat", "", False),
        ("no no no", "", True),
        ("no no no", "No, no no no!", False),
        ("very very good", "", False),
        ("I am I am I am", "", True),
        ("so we go home and so we go home again", "", True),
        (
            "so we go home and so we go home again",
            "so we go home, so we go home and so we go home",
            False,
        ),
    ],
)
def test_repetition_is_what_the_reference_does_not_repeat(
    hypothesis: str, reference: str, expected: bool
) -> None:
    assert repeats(hypothesis, reference) is expected


def test_health_counts_what_is_wrong_at_first_sight() -> None:
    references = ["the cat sat down", "a dog", "hello there", "the big house"]
    found = health(
        ["xx yy zz qq", "", "hallo daar", "the big big big house"],
        references,
        ["a", "b", "hallo daar", "d"],
    )
    assert (found.empty, found.repeating, found.copied, found.far_off) == (0.25, 0.25, 0.25, 0.25)
    assert found.length_ratio == (4 + 0 + 2 + 5) / (4 + 2 + 2 + 3)
    assert health(references, references) == (1.0, 0.0, 0.0, 0.0, 0.0)
    with pytest.raises(NmtError, match="the sources: 1 lines for 4 references"):
        health(references, references, ["a"])


def test_sentence_chrf_is_100_for_the_reference_itself(tmp_path: Path) -> None:
    assert sentence_chrf(["a cat", "zzz"], ["a cat", "a cat"]) == [pytest.approx(100), 0]


def test_confidence_intervals_are_sacrebleus_and_survive_resamples_that_score_0() -> None:
    lines = [f"{number} a b c d e" for number in range(30)]
    changed = [line.replace("c", "x") if number % 3 else line for number, line in enumerate(lines)]
    score = corpus_scores(changed, [lines], ("bleu",), confidence=True)[0]
    expected = BLEU().corpus_score(changed, [lines], n_bootstrap=1000)
    assert (score.mean, score.interval) == (
        pytest.approx(expected._mean),
        pytest.approx(expected._ci),
    )
    for poor in corpus_scores(
        ["a b"] + ["zz"] * 9, [["a b"] + ["yy"] * 9], ("bleu", "chrf", "ter"), confidence=True
    ):
        assert poor.interval is not None
