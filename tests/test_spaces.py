"""However a space is written, and whatever shows nothing: the model reads the same, and a blank
line stays blank."""

import io
import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import untrained_translator, write_corpus
from hypothesis import given
from hypothesis import strategies as st

from nmt.commands.main import main
from nmt.text.clean import BLANK, Audit, clean_pairs
from nmt.text.corpus import Pair
from nmt.text.lines import clean_lines, is_blank, plain
from nmt.training.prepare import Materials, prepare
from nmt.translation.translator import Translator

BLANKS = [
    "",
    " ",
    "\t",
    " \t ",
    "\xa0",
    "\u3000\u2009",
    "\u200b",
    "\ufeff",
    "\u200d\u2060",
    "\xad",
    "\u2028\x85",
    "\0\t\x1f",
]
ODD = [
    "aap\xa0noot",
    "aap\tnoot",
    "aap\u3000noot",
    "aap\u2028noot",
    "aap\u202f noot",
    "a\xadap noot",
    "\ufeffaap no\u200bot\u200e",
    "aap no\u200d\u200bot",
]


@pytest.fixture(scope="module")
def translator() -> Translator:
    return untrained_translator()


@given(st.text())
def test_reading_plainly_twice_changes_no_more(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert not any(character.isspace() and character != " " for character in once)


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_visible_characters_stay(text: str) -> None:
    assert plain(text) == unicodedata.normalize("NFC", text)
    assert is_blank(text) == (not text)


@pytest.mark.parametrize(
    "text", ["نمی\u200cخواهم", "क्\u200dष", "ខ្ញុំ\u200bស្រឡាញ់", "👩\u200d🚀", "❤\ufe0f\u200d🔥"]
)
def test_joiners_stay_where_they_carry_meaning(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize("odd", ODD)
def test_the_model_reads_odd_spaces_as_spaces(odd: str, translator: Translator) -> None:
    assert translator.subwords.encode_sources([odd]) == translator.subwords.source.encode(
        ["aap noot"]
    )
    assert translator.translate([odd]) == translator.translate(["aap noot"])
    assert translator.score([odd], ["AAP"]) == translator.score(["aap noot"], ["AAP"])


def test_the_model_reads_composed_and_decomposed_letters_alike(translator: Translator) -> None:
    assert translator.translate(["cafe\u0301"]) == translator.translate(["café"])


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_line_stays_blank_by_every_way_into_python(
    blank: str, translator: Translator
) -> None:
    assert translator.translate([blank, "aap"])[0] == ""
    assert translator.translate([blank], prefixes=["AAP"]) == [""]
    assert [(each.text, each.pieces) for each in translator.nbest([blank], 2)[0]] == [("", ())]
    assert translator.translate(["aap"], prefixes=[blank]) == translator.translate(["aap"])
    assert translator.score([blank, "aap", blank], ["AAP", blank, blank]) == translator.score(
        ["", "aap", ""], ["AAP", "", ""]
    )
    (line,) = clean_lines(io.BytesIO(f"x\n{blank}\n".encode()), "in", lambda message: None, start=1)
    assert translator.translate([line.text]) == [""]


@pytest.mark.parametrize("form", ["text", "jsonl", "nbest"])
def test_a_blank_line_stays_blank_in_every_format(
    form: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [*BLANKS, "de kat"]
    content = "".join(f"{text}\n" for text in texts)
    if form == "jsonl":
        content = "".join(json.dumps({"text": text}) + "\n" for text in texts) + "\u200b\t\n"
    (tmp_path / "in").write_bytes(content.encode())
    assert (
        main(
            [
                "translate",
                model,
                "-i",
                str(tmp_path / "in"),
                "--format",
                form,
                "--precision",
                "fp32",
                "--device",
                "cpu",
            ]
        )
        == 0
    )
    lines = capsys.readouterr().out.removesuffix("\n").split("\n")
    if form == "jsonl":
        assert [json.loads(line)["translation"] == "" for line in lines[:-1]] == [True] * len(
            BLANKS
        ) + [False]
        assert lines[-1] == ""
    elif form == "nbest":
        assert [line for line in lines if not line.startswith(f"{len(BLANKS)} |||")] == [
            f"{number} |||  ||| F0= 0 ||| 0" for number in range(len(BLANKS))
        ]
    else:
        assert [line == "" for line in lines] == [True] * len(BLANKS) + [False]


def test_training_leaves_out_what_shows_nothing() -> None:
    audit = Audit()
    assert (
        list(clean_pairs([Pair("\u200b\ufeff", "b", "a:1"), Pair("b", "\xad", "a:2")], audit)) == []
    )
    assert audit.left_out == {BLANK: 2}


def test_training_reads_the_source_as_translation_does(tiny_recipe, tmp_path):  # type: ignore[no-untyped-def]
    prefix = Path(write_corpus(tmp_path / "odd", 30))
    for side in (".nl", ".en"):
        text = prefix.with_suffix(side).read_text(encoding="utf-8")
        prefix.with_suffix(side).write_text(text.replace(" ", "\xa0"), encoding="utf-8")
    recipe = replace(tiny_recipe, data=replace(tiny_recipe.data, train=(str(prefix),)))
    (tmp_path / "run").mkdir()
    *_, materials = prepare(recipe, tmp_path / "run")
    assert isinstance(materials, Materials)
    sources, targets = materials.store.texts(range(30))  # type: ignore[arg-type]
    assert "\xa0" not in "".join(sources)
    assert "\xa0" in "".join(targets)  # a model may learn to write them
    assert [
        ids.tolist() for ids in materials.store.ids(range(30))[0]
    ] == materials.subwords.encode_sources(sources)  # type: ignore[arg-type]
