import pytest

from nmt.text.sentences import sentences


@pytest.mark.parametrize(
    ("language", "parts"),
    [
        ("nl", ["Ik ga weg.", "Kom je mee?", "Nee!", "Goed dan…"]),
        ("nl", ["Dr. Smit en mevr. De Wit kwamen om 3.15 uur.", "Zij bleven."]),
        ("en", ["J. R. R. Tolkien wrote it.", "Read it."]),
        ("en", ['"Come here. Now!" he said.', "She came."]),
        ("en", ["He said it (twice. Or more.) and left.", "We stayed."]),
        ("en", ["It costs 3.50 or 12.", "2026 was good."]),
        ("de", ["Am 3. Mai kam z.B. Herr Maier.", "Er ging."]),
        ("en", ["Wait... what?", "Well...", "Yes."]),
        ("en", ["What? no, yes!", "“Really?”", "Yes."]),
        ("es", ["Hola.", "¿Cómo estás?", "¡Bien!"]),
    ],
)
def test_a_line_is_its_sentences_and_the_space_between_them(language, parts):
    line = "  ".join(parts)
    assert [line[a:b] for a, b in sentences(line, language)] == parts


def test_wide_stops_need_no_space():
    line = "我走了。你来吗？「不！」他说。"
    assert [line[a:b] for a, b in sentences(line, "zh")] == [
        "我走了。",
        "你来吗？",
        "「不！」他说。",
    ]


@pytest.mark.parametrize("line", ["", " ", "no stop", "...", "?!", "a.b.c", "Kom.Nu"])
def test_nothing_but_outer_space_is_lost_and_nothing_else_is_cut(line):
    assert [line[a:b] for a, b in sentences(line)] == ([line.strip()] if line.strip() else [])
