import pytest

from nmt.text.surface import Surface, case_of, familiar, put_back, take_off

KNOWN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,!?'\"-。 ")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("De kat zit.", "De kat zit."),
        ("De kat zit", "De kat zit."),
        ("DE KAT ZIT!", "De kat zit!"),
        ("“De kat zit.”", "De kat zit."),
        ("„DE KAT ZIT“", "De kat zit."),
        ("De kat zit!!!", "De kat zit!"),
        ("Kat Zoekt Warm Huis de Hele Winter.", "Kat zoekt warm huis de hele winter."),
        ("De kat zit...", "De kat zit..."),
        ("我走了", "我走了。"),
        ("NASA", "NASA."),
    ],
)
def test_what_is_taken_off_comes_back(text, plain):
    smooth, surface = take_off(text, KNOWN)
    assert smooth == plain
    assert put_back(smooth, surface) == text


def test_a_translation_has_the_capitals_quotes_and_stop_of_its_source():
    assert put_back("The cat sits.", Surface("«", "»", "upper", True)) == "«THE CAT SITS»"
    assert put_back("Is it the cat?", Surface(bare=True)) == "Is it the cat"
    assert put_back("Cat seeks a warm house.", Surface(case="title")) == "Cat Seeks a Warm House."
    assert put_back("No!", Surface(repeated="!!")) == "No!!"
    assert put_back(".", Surface(bare=True)) == "."
    assert put_back("", Surface("“", "”")) == ""


def test_two_quotations_are_not_one():
    assert take_off("“Ja” en “nee”", KNOWN | {"“", "”"})[1].opening == ""


def test_names_and_short_words_are_no_style():
    assert [case_of(text) for text in ("Tom Mary John", "USA", "OK", "Jan Smit")] == [""] * 4


def test_signs_without_a_piece_become_those_that_look_alike():
    assert familiar("‘foto’s’ – ﬁn…", KNOWN) == "'foto's' - fin..."
    assert familiar("‘ja’", KNOWN | {"‘", "’"}) == "‘ja’"
    assert familiar("ж", KNOWN) == "ж"
