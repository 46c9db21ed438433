"""What the Python API takes as lines, and what it refuses by name."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import untrained_translator

from nmt.errors import NmtError
from nmt.text.lines import Line
from nmt.translation.job import ONE_LINE, Chunk, TranslationTask
from nmt.translation.options import SearchOptions
from nmt.translation.translator import Translator


@pytest.fixture(scope="module")
def translator() -> Translator:
    return untrained_translator()


def test_a_text_of_several_lines_keeps_its_breaks(translator: Translator) -> None:
    first, second, third = translator.translate(["aap noot", "wim zus", "lam"])
    assert len({first, second, third}) == 3
    texts = ["aap noot\nwim zus", "aap noot\r\n\r\nlam\n", "lam", "\nlam"]
    assert translator.translate(texts) == [
        f"{first}\n{second}",
        f"{first}\n\n{third}",
        third,
        f"\n{third}",
    ]
    assert list(translator.stream(texts, chunk_lines=1)) == translator.translate(texts)
    (forced,) = translator.translate(["aap noot\nlam"], prefixes=["NOOT"])
    assert forced == f"{translator.translate(['aap noot'], prefixes=['NOOT'])[0]}\n{third}"


def test_a_json_text_of_several_lines_keeps_its_breaks_where_a_line_has_one_translation(
    translator: Translator,
) -> None:
    first, second = translator.translate(["aap noot", "wim zus"])
    chunk = Chunk(4, [Line("aap noot\nwim zus", {"text": "aap noot\nwim zus"}), Line("")])
    settings: dict[str, Any] = {
        "model": Path("m"),
        "device": "cpu",
        "precision": "fp32",
        "shortlist": False,
        "name": "in",
        "form": "jsonl",
    }
    (line, blank), notes, _ = TranslationTask(**settings).of(translator).render(chunk)
    assert (json.loads(line)["translation"], blank, notes) == (f"{first}\n{second}", "", [])
    (line, _), notes, _ = TranslationTask(**settings, n_best=2).of(translator).render(chunk)
    assert json.loads(line)["translation"] == translator.translate(["aap noot wim zus"])[0]
    assert notes == [f"in:5: line breaks became spaces: {ONE_LINE}"]


def test_a_stream_answers_each_line_before_it_reads_the_next(translator: Translator) -> None:
    read = []

    def spoken() -> Any:
        for line in ("aap", "noot", "mies"):
            read.append(line)
            yield line

    answers = translator.stream(spoken(), chunk_lines=1)
    for number, line in enumerate(("aap", "noot", "mies"), start=1):
        assert next(answers) == translator.translate([line])[0]
        assert len(read) == number


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda t: t.translate("abc"),
            "lines must be several lines, got the text 'abc'; put it in a list",
        ),
        (lambda t: t.translate(b"abc"), "lines must be several lines, got the text b'abc'"),
        (lambda t: t.translate(None), "lines must be a list of lines, got None"),
        (
            lambda t: t.translate(["a", None]),
            r"lines\[1\] must be a string, got None; give '' for a blank line",
        ),
        (lambda t: t.translate(["a", b"b"]), r"lines\[1\] must be a string, got b'b'"),
        (lambda t: t.translate(["a"], prefixes=[3]), r"prefixes\[0\] must be a string, got 3"),
        (
            lambda t: t.translate(["a"], prefixes=["B\nC"]),
            r"prefixes\[0\] has a line break inside, got 'B\\nC'",
        ),
        (
            lambda t: t.nbest(["a", "b\nc"], 1),
            r"lines\[1\] has a line break inside, got 'b\\nc'; give each line by itself",
        ),
        (lambda t: t.nbest("abc", 1), "lines must be several lines, got the text 'abc'"),
        (lambda t: t.nbest(["a"], 1.5), "n must be a whole number, got 1.5"),
        (lambda t: t.score("ab", "cd"), "sources must be several lines, got the text 'ab'"),
        (lambda t: t.score(["ab"], "c"), "targets must be several lines, got the text 'c'"),
        (lambda t: t.score(["a"], ["b\nc"]), r"targets\[0\] has a line break inside"),
        (lambda t: t.score([None], ["b"]), r"sources\[0\] must be a string, got None"),
        (
            lambda t: list(t.stream(["a"], chunk_lines=0)),
            "chunk_lines is a number of lines, got 0; give 1 to answer each line at once",
        ),
        (
            lambda t: list(t.stream(["a"], chunk_lines="x")),
            "chunk_lines must be a whole number, got 'x'",
        ),
        (lambda t: t.translate(["a"], beam=2.0), "beam must be a whole number, got 2.0; round it"),
        (lambda t: SearchOptions(min_length="3"), "min_length must be a whole number, got '3'"),
        (
            pickle.dumps,
            "a Translator cannot be pickled or copied; call Translator.load in each process",
        ),
        (copy.deepcopy, "a Translator cannot be pickled or copied"),
    ],
)
def test_what_is_no_list_of_lines_is_refused_by_name(
    call: Any, message: str, translator: Translator
) -> None:
    with pytest.raises(NmtError, match=message):
        call(translator)


def test_numbers_of_numpy_are_numbers(translator: Translator) -> None:
    lines = np.array(["aap noot", "lam"])
    assert translator.translate(
        lines, beam=np.int64(2), length_alpha=np.float32(1)
    ) == translator.translate(["aap noot", "lam"], beam=2)
    assert translator.nbest(["aap"], np.int32(2), beam=np.int64(3)) == translator.nbest(
        ["aap"], 2, beam=3
    )
    assert SearchOptions(beam=np.int64(2), max_length=np.int8(9)) == SearchOptions(
        beam=2, max_length=9
    )


def test_a_translator_tells_what_it_is(
    translator: Translator, model: str, other_model: str
) -> None:
    assert (translator.source_language, translator.target_language) == ("nl", "en")
    assert repr(translator) == "<Translator nl to en, lstm of 2+2 layers of 16, fp32 on cpu>"
    loaded = Translator.load(model, device="cpu", precision="fp32")
    assert (
        repr(loaded) == f"<Translator nl to en, lstm of 1+1 layers of 8, fp32 on cpu, {model}/last>"
    )
    assert repr(
        Translator.load(model, device="cpu", precision="fp32", ensemble=[other_model])
    ).endswith("/last with 1 more>")
