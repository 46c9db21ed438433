import math

import pytest
import sacrebleu

from nmt.errors import NmtError
from nmt.scoring.bleu import Score, corpus_scores, looks_tokenised

HYPOTHESES = [
    "the cat sat on the mat .",
    "A dog barks loudly!",
    "",
    "Zürich ist schön, sehr schön.",
]
REFERENCES = [
    [
        "the cat sat on a mat .",
        "A dog barked loudly!",
        "Nothing here.",
        "Zürich ist wunderschön, sehr schön.",
    ],
    [
        "a cat was on the mat .",
        "The dog barks loud!",
        "Nothing at all.",
        "Zürich ist schön, wirklich schön.",
    ],
]


def test_a_perfect_translation_scores_100_and_an_empty_one_0() -> None:
    lines = ["one two three four five", "six seven eight nine ten"]
    assert [
        score.value for score in corpus_scores(lines, [lines], metrics=("bleu", "chrf", "chrf++"))
    ] == pytest.approx([100, 100, 100])
    assert [
        score.value for score in corpus_scores(["", ""], [lines], metrics=("bleu", "chrf", "ter"))
    ] == [0, 0, 100]


def test_bleu_is_the_geometric_mean_of_precisions_times_the_brevity_penalty() -> None:
    # 5 of 6 words, 4 of 5 pairs, 3 of 4 triples, 2 of 3 quadruples match; 6 words for 8
    score = corpus_scores(["a b c d e x"], [["a b c d e f g h"]], metrics=("bleu",))[0]
    assert score.value == pytest.approx(
        100 * math.exp(1 - 8 / 6) * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25
    )


def test_scores_are_sacrebleus_to_the_last_digit() -> None:
    scores = corpus_scores(HYPOTHESES, REFERENCES, metrics=("bleu", "chrf", "chrf++", "ter"))
    assert [score.value for score in scores] == [
        sacrebleu.corpus_bleu(HYPOTHESES, REFERENCES).score,
        sacrebleu.corpus_chrf(HYPOTHESES, REFERENCES).score,
        sacrebleu.corpus_chrf(HYPOTHESES, REFERENCES, word_order=2).score,
        sacrebleu.corpus_ter(HYPOTHESES, REFERENCES).score,
    ]
    assert [score.metric for score in scores] == ["BLEU", "chrF2", "chrF2++", "TER"]


def test_a_score_is_printed_with_its_signature() -> None:
    score = corpus_scores(HYPOTHESES, REFERENCES, metrics=("bleu",))[0]
    assert (
        score.signature
        == f"nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    )
    assert str(score._replace(value=34.249)) == f"BLEU = 34.2 {score.signature}"
    assert (
        str(Score("BLEU", 34.249, "signature", 34.31, 0.87))
        == "BLEU = 34.2 (μ = 34.3 ± 0.9) signature"
    )


def test_a_confidence_interval_is_zero_when_all_resamples_score_alike() -> None:
    score = corpus_scores(
        ["one two three four five"] * 5,
        [["one two three four five"] * 5],
        metrics=("bleu",),
        confidence=True,
    )[0]
    assert (score.mean, score.interval) == (pytest.approx(100), pytest.approx(0, abs=1e-9))
    assert "bs:1000|seed:12345" in score.signature


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        (["a"], [["a", "b"]], "the hypotheses: 1 lines for 2 references"),
        (["a", "b"], [["a", "b"], ["a"]], "reference set 2: 1 lines for 2 references"),
        ([], [[]], "reference set 1: no lines to score"),
        ([], [["a"]], "the hypotheses: no lines to score"),
        (["a"], [], "there are no references"),
    ],
)
def test_lines_that_are_not_equally_many_are_refused(
    hypotheses: list[str], references: list[list[str]], message: str
) -> None:
    with pytest.raises(NmtError, match=message):
        corpus_scores(hypotheses, references)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(NmtError, match="no metric 'blue'; give one of bleu, chrf"):
        corpus_scores(["a"], [["a"]], metrics=("blue",))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A dog barks.", False),
        ("He paid 3,50 , I think.", True),
        ("A dog barks .", True),
        ("a well @-@ known dog", True),
        ("it &apos;s late", True),
        ("un@@ known words", True),
        ("▁un known ▁words", True),
    ],
)
def test_tokenised_text_is_noticed(line: str, expected: bool) -> None:
    assert looks_tokenised([line] * 3) is expected


def test_a_stray_space_does_not_make_a_text_tokenised() -> None:
    assert not looks_tokenised(["A dog barks."] * 19 + ["Why ?"])
    assert not looks_tokenised([])
