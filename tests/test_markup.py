import pytest

from nmt.text.markup import ALL, COUNT, MARK, PLACEHOLDERS, mark, mark_pair, restore, spans_of


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("Zie https://a.nl/b?c=d&e=f.", {"https://a.nl/b?c=d&e=f": "entity"}),
        ("(www.b.com) of c@d.org!", {"www.b.com": "entity", "c@d.org": "entity"}),
        ("Het is 12.500 of 12,5 kg.", {"12.500": "number", "12,5 kg": "number"}),
        ("Om 18:45, €3.250 en 85%.", {"18:45": "number", "€3.250": "number", "85%": "number"}),
        ("Een 15-jarige om 11u.", {"15": "number", "11": "number"}),
        ("Open rapport_2026.pdf in /etc/x.", {"rapport_2026.pdf": "entity", "/etc/x": "entity"}),
        ("{name} heeft %d en %s.", {"{name}": "entity", "%d": "entity", "%s": "entity"}),
        ("<b>vet</b> &amp; meer", {"<b>": "tag", "</b>": "tag", "&amp;": "entity"}),
        ('<a href="x y">z', {'<a href="x y">': "tag"}),
        (
            "@jan #tag H2O v1.2.3 😀",
            dict.fromkeys(("@jan", "#tag", "H2O", "v1.2.3", "😀"), "entity"),
        ),
        ("een en/of twee, Jan-Piet. Kom!", {}),
    ],
)
def test_what_is_copied_is_found_without_its_neighbours(line, kinds):
    assert {line[a:b]: kind for a, b, kind in spans_of(line)} == kinds


def test_a_marked_text_comes_back():
    line = "Bel 06-1234 of mail a@b.nl, <i>nu</i> \ue100!"
    marked = mark(line, spans_of(line), first=5)
    assert len(marked.spans) == len(MARK.findall(marked.text)) == 5
    assert restore(marked.text, marked.spans) == line


def test_more_spans_than_placeholders_of_a_kind_take_others_then_stay_text():
    line = " ".join(str(number) for number in range(10, 10 + len(ALL) + 2))
    marked = mark(line, spans_of(line))
    assert set(marked.spans) == set(ALL)
    assert marked.text.endswith(" 34 35")
    assert restore(marked.text, marked.spans) == line


def test_both_sides_get_the_same_placeholder_for_the_same_value():
    one, two = PLACEHOLDERS["number"][:2]
    entity = PLACEHOLDERS["entity"][0]
    assert mark_pair("12.500 om 8:30 via x@y.z.nl", "x@y.z.nl at 8:30: 12,500") == (
        f"{one} om {two} via {entity}",
        f"{entity} at {two}: {one}",
    )
    assert mark_pair("5 en 5", "5 and 5") == ("5 en 5", "5 and 5")
    assert mark_pair("7 keer", "seven times") == ("7 keer", "seven times")


def test_numbering_goes_around_the_circle():
    line = "1 2 3"
    spans = mark(line, spans_of(line), first=COUNT - 1).spans
    assert list(spans) == [PLACEHOLDERS["number"][index] for index in (COUNT - 1, 0, 1)]
