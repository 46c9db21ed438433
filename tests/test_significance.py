import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.errors import NmtError
from nmt.scoring.significance import paired_test

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


def corpus(lines: int = 60) -> tuple[list[str], dict[str, list[str]]]:
    """References, and two systems that replace a tenth and a fifth of the words."""
    chance = random.Random(1)
    references = [" ".join(chance.choices(WORDS, k=9)) for _ in range(lines)]

    def damaged(share: float) -> list[str]:
        return [
            " ".join(
                chance.choice(WORDS) if chance.random() < share else word for word in line.split()
            )
            for line in references
        ]

    return references, {"first": damaged(0.1), "second": damaged(0.2)}


def run_sacrebleu(folder: Path, *options: str) -> str:
    references, systems = corpus()
    for name, lines in {"references": references, **systems}.items():
        (folder / name).write_text("".join(line + "\n" for line in lines))
    command = [
        sys.executable,
        "-m",
        "sacrebleu",
        "references",
        "-i",
        "first",
        "second",
        "-m",
        "bleu",
        "chrf",
        *options,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_randomisation_gives_the_p_values_of_sacrebleus_command(tmp_path: Path) -> None:
    references, systems = corpus()
    printed = json.loads(
        run_sacrebleu(tmp_path, "--paired-ar", "--paired-ar-n", "200", "-f", "json")
    )
    expected = [system[metric] for metric in ("BLEU", "chrF2") for system in printed]
    found = paired_test(systems, [references], test="randomisation", samples=200)
    assert [comparison.p_value for comparison in found] == [
        result["p_value"] for result in expected
    ]
    assert [comparison.score.value for comparison in found] == [
        result["score"] for result in expected
    ]


def test_the_bootstrap_gives_the_p_values_and_intervals_of_sacrebleus_command(
    tmp_path: Path,
) -> None:
    references, systems = corpus()
    printed = run_sacrebleu(
        tmp_path, "--paired-bs", "--paired-bs-n", "200", "-f", "text", "-w", "6"
    )
    for _, score, p_value, *_ in paired_test(systems, [references], test="bootstrap", samples=200):
        assert f"{score.value:.6f} ({score.mean:.6f} ± {score.interval:.6f})" in printed
        assert p_value is None or f"(p = {p_value:.4f})" in printed


def test_a_much_worse_system_differs_from_the_baseline_and_an_equal_one_scores_the_same() -> None:
    references, systems = corpus()
    shuffled = references[1:] + references[:1]
    first, same, worse = paired_test(
        {"first": systems["first"], "same": systems["first"], "off by one": shuffled},
        [references],
        ("bleu",),
        "randomisation",
        500,
    )
    assert [first.system, same.system, worse.system] == ["first", "same", "off by one"]
    assert (first.p_value, first.score) == (None, same.score)
    assert worse.p_value == pytest.approx(
        1 / 501
    )  # no trial was as extreme: (0 + 1) / (trials + 1)


def test_the_bootstrap_gives_confidence_intervals_and_a_signature() -> None:
    references, systems = corpus()
    comparisons = paired_test(systems, [references], ("bleu", "chrf"), samples=100)
    assert [comparison.score.metric for comparison in comparisons] == [
        "BLEU",
        "BLEU",
        "chrF2",
        "chrF2",
    ]
    assert all(
        comparison.score.interval is not None and "bs:100|seed:12345" in comparison.score.signature
        for comparison in comparisons
    )


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(NmtError, match="got 1 system; give two or more"):
        paired_test({"only": ["a"]}, [["a"]])
    with pytest.raises(NmtError, match="no paired test 'ttest'"):
        paired_test({"a": ["a"], "b": ["b"]}, [["a"]], test="ttest")
    with pytest.raises(NmtError, match="b: 2 lines for 1 references"):
        paired_test({"a": ["a"], "b": ["b", "c"]}, [["a"]])
