"""BLEU of text without spaces: which of sacreBLEU's tokenisers suits a language, and what
happens where it is not there."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import untrained_translator
from sacrebleu.metrics.bleu import BLEU
from training_runs import stop_after

from nmt.commands.evaluate import TOKENISERS
from nmt.commands.main import main
from nmt.errors import NmtError
from nmt.recipe import Recipe
from nmt.scoring import tokenisers
from nmt.scoring.benchmark import Benchmark, evaluate
from nmt.scoring.bleu import corpus_scores
from nmt.scoring.breakdown import Group, by_frequency, by_length, group_scores, word_counts
from nmt.scoring.checks import health, repeats
from nmt.scoring.remarks import remarks, warnings
from nmt.scoring.tokenisers import NAMES, advice, spaced, tokeniser_for
from nmt.training.events import Note
from nmt.training.run import train
from nmt.training.translation_task import Validator

CHINESE = "他们今天去学校。"
THAI = "สวัสดีครับผม"
JAPANESE = "これは日本語です。"
KOREAN = "오늘은 학교에 갑니다."


def test_names_are_sacrebleus() -> None:
    assert set(NAMES) == set(BLEU.TOKENIZERS)
    assert TOKENISERS == NAMES


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("zh", "zh"), ("zh_CN", "zh"), ("zho-Hant", "zh"), ("cmn", "zh"), ("yue", "zh"), ("th", "char"), ("km", "char"), ("my", "char"),  # noqa: E501
        ("en", "13a"), ("de-AT", "13a"), ("", "13a"), ("zha", "13a"),
    ],
)  # fmt: skip
def test_a_language_has_the_tokeniser_that_finds_its_words(language: str, name: str) -> None:
    assert tokeniser_for(language) == (name, "")


@pytest.mark.parametrize(
    ("language", "name", "extra"),
    [("ja", "ja-mecab", "ja"), ("jpn", "ja-mecab", "ja"), ("ko_KR", "ko-mecab", "ko")],
)
def test_mecab_is_taken_where_it_is_installed(
    language: str, name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenisers, "find_spec", lambda module: module)
    assert tokeniser_for(language) == (name, "")
    monkeypatch.setattr(tokenisers, "find_spec", lambda module: None)
    note = (
        f"BLEU counts characters (tok:char), since {name} is not installed: pip install"
        f" 'sacrebleu[{extra}]'"
    )
    assert tokeniser_for(language) == ("char", note)
    with pytest.raises(
        NmtError,
        match=rf"the tokeniser {name} is not installed; pip install 'sacrebleu\[{extra}\]'",
    ):
        corpus_scores(["a"], [["a"]], ("bleu",), tokeniser=name)


def test_bleu_of_chinese_is_that_of_its_characters() -> None:
    # 5 of 6 characters, 4 of 5 pairs, 3 of 4 triples, 2 of 3 quadruples
    zh, char, plain = (
        corpus_scores(["他们今天去吃"], [["他们今天去学"]], ("bleu",), tokeniser=name)[0]
        for name in ("zh", "char", "13a")
    )
    assert zh.value == char.value == pytest.approx(100 * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25)
    assert ("tok:zh" in zh.signature, "tok:char" in char.signature, plain.value) == (
        True,
        True,
        0.0,
    )


def test_the_tokeniser_goes_with_the_test_set_into_scores_groups_and_paired_tests() -> None:
    systems = {"first": [CHINESE] * 2, "second": [CHINESE[::-1]] * 2}
    test = Benchmark("test", [[CHINESE] * 2], systems, [Group("all", [0, 1])], tokeniser="zh")
    for paired in (None, "bootstrap"):
        results = evaluate([test], ("bleu",), paired=paired, samples=10)
        assert all("tok:zh" in each.score.signature for each in results)
        assert [each.score.value for each in results if each.system == "first"] == pytest.approx(
            [100, 100]
        )
    assert group_scores(systems["first"], test.references, test.groups, ("bleu",), "zh")[0][
        0
    ].value == pytest.approx(100)


def test_a_tokeniser_that_is_unknown_or_cannot_be_downloaded_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: object) -> None:
        raise OSError("no network")

    with pytest.raises(
        NmtError, match="sacreBLEU has no tokeniser 'jieba'; give one of 13a, intl, zh"
    ):
        corpus_scores(["a"], [["a"]], ("bleu",), tokeniser="jieba")
    monkeypatch.setattr("nmt.scoring.bleu.BLEU", refuse)
    with pytest.raises(
        NmtError,
        match=r"the tokeniser flores200 cannot be had \(no network\); sacreBLEU downloads it once",
    ):
        corpus_scores(["a"], [["a"]], ("bleu",), tokeniser="flores200")


@pytest.mark.parametrize(
    ("text", "script", "better"),
    [
        (CHINESE, "Chinese", "zh"),
        (JAPANESE, "Japanese", "ja-mecab"),
        (THAI, "Thai", "char"),
        (KOREAN, "Korean", "ko-mecab"),
    ],
)
def test_text_whose_words_13a_does_not_find_is_warned_of(
    text: str, script: str, better: str
) -> None:
    told = advice([text, "OK"], "13a")
    assert told.startswith(f"mostly {script}")
    assert f"give --tokenize {better}" in told
    assert advice([text], "char") == ""
    test = Benchmark("test", [[text]], {"made": [text]})
    assert warnings(test, ("bleu",)) == [f"the reference test: {advice([text], '13a')}"]
    assert warnings(test, ("chrf",)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "The word 学校 is Chinese for school.",
        "Привет, мир",
        "مرحبا بالعالم",
        "नमस्ते दुनिया",
    ],
)
def test_text_with_spaces_is_not_warned_of(text: str) -> None:
    assert advice([text], "13a") == ""


def test_ter_of_text_without_spaces_is_remarked_on() -> None:
    test = Benchmark("test", [[CHINESE]], {"made": [CHINESE[1:]]}, tokeniser="zh")
    assert (
        "TER counts words between spaces, and this text has none: rely on BLEU or chrF"
        in remarks(test, ("ter",))
    )


def test_characters_count_as_words_where_nothing_else_tells_them_apart() -> None:
    assert spaced("ab 学校x") == "ab  学  校 x"
    assert by_length([CHINESE]) == [Group("6-10 words", [0])]  # seven characters and a full stop
    assert health([CHINESE[:4]], [CHINESE]).length_ratio == 4 / 8
    assert repeats("学校学校学校")
    assert by_frequency(["学好"], word_counts(["学校", "学"])) == [Group("0 times", [0])]


def test_validation_scores_as_the_target_language_needs_it() -> None:
    translator = untrained_translator()
    for language, name in (("zh", "tok:zh"), ("th", "tok:char"), ("en", "tok:13a")):
        recipe = replace(translator.recipe, data=replace(translator.recipe.data, target=language))
        validator = Validator(
            ["aap noot"], ["AAP NOOT"], translator.subwords, recipe, torch.device("cpu")
        )
        assert (
            name
            in validator.validate(
                translator.network.models[0], "fp32", lambda: torch.autocast("cpu", enabled=False)
            )
            .scores[0]
            .signature
        )


@pytest.fixture
def chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reference").write_text(f"{CHINESE}\n")
    Path("made").write_text(f"{CHINESE[:-1]}!\n")


@pytest.mark.usefixtures("chinese")
def test_evaluate_takes_the_tokeniser_of_the_language_or_the_one_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["evaluate", "--reference", "reference", "made", "--metrics", "bleu"]
    printed = []
    for more in ([], ["-l", "en-zh"], ["--tokenize", "char"]):
        assert main([*arguments, *more]) == 0
        printed.append(capsys.readouterr())
    # of 8 characters the last one is wrong: 7/8, 6/7, 5/6, 4/5
    expected = f"BLEU = {100 * (7 / 8 * 6 / 7 * 5 / 6 * 4 / 5) ** 0.25:.1f} "
    assert printed[0].out.startswith("BLEU = 0.0 ")
    assert "nmt: warning: the reference reference: mostly Chinese" in printed[0].err
    for captured, name in zip(printed[1:], ("tok:zh", "tok:char"), strict=True):
        assert captured.out.startswith(expected)
        assert name in captured.out
        assert captured.err == ""


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--tokenize", "char", "--metrics", "chrf"],
            "--tokenize is for bleu, which --metrics leaves out",
        ),
        (["-l", "zh"], "-l names source and target language, such as de-en, got zh"),
        (["--tokenize", "jieba"], "invalid choice"),
    ],
)
def test_bad_choices_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--reference", "reference", "made", *arguments])
    assert message in capsys.readouterr().err


def test_training_says_that_words_of_japanese_are_not_found(
    tmp_path: Path, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenisers, "find_spec", lambda module: None)
    for name in ("train", "dev"):
        (tmp_path / f"{name}.en").rename(tmp_path / f"{name}.ja")
    recipe = replace(tiny_recipe, data=replace(tiny_recipe.data, target="ja"))
    events = train(recipe, tmp_path / "run", stop=stop_after(1))
    notes = [event.text for event in events if isinstance(event, Note)]
    assert tokeniser_for("ja").note in notes
