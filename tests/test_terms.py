import pytest

from nmt.errors import NmtError
from nmt.text.terms import Term, as_terms, find_terms, read_terms, terms_of


def test_a_file_has_terms_with_alternatives_and_flags(tmp_path):
    path = tmp_path / "terms.tsv"
    path.write_text("hond\thound|dog\n\nKat\tcat\tcase, part\nde hond\tthe hound\t\n")
    assert read_terms(path) == (
        Term("hond", "hound"),
        Term("Kat", "cat", case=True, part=True),
        Term("de hond", "the hound"),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hond", "expected source, tab, target"),
        ("hond\t", "expected source, tab, target"),
        ("a\tb\tcase\tx", "expected source, tab, target"),
        ("a\tb\tnever", "unknown flag 'never'; use case, part"),
        ("a\t|b", "the first target is empty"),
    ],
)
def test_a_line_that_is_no_term_is_named(tmp_path, line, message):
    path = tmp_path / "terms.tsv"
    path.write_text(f"een\tone\n{line}\n")
    with pytest.raises(NmtError, match=f"terms.tsv:2: .*{message}"):
        read_terms(path)


def test_longer_terms_go_first_and_words_are_whole():
    terms = [Term("kat", "cat"), Term("kat huis", "cattery"), Term("aap", "ape", case=True)]
    line = "Kat huis, katten, een kat en Aap of aap"
    assert {line[a:b]: found for (a, b, _), found in find_terms(line, terms).items()} == {
        "Kat huis": "Cattery",
        "kat": "cat",
        "aap": "ape",
    }


def test_a_term_with_the_flag_stands_in_words_too():
    assert list(find_terms("katten", [Term("kat", "cat", part=True)]).values()) == ["cat"]


def test_terms_of_an_object_are_checked():
    assert as_terms({"a": "b"}) == terms_of({"a": "b"}, "x") == (Term("a", "b"),)
    for wrong in (["a"], {"a": 1}, {"a": ""}, "a"):
        with pytest.raises(NmtError, match="in:3: terms must be an object"):
            terms_of(wrong, "in:3")
