"""Cleaning leaves out what cannot be learnt from, keeps the rest unchanged, and counts both."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.text.clean import (
    BLANK,
    CONTROL,
    EXAMPLES,
    INVALID,
    Audit,
    Overlap,
    audit_overlap,
    clean_pairs,
    swapped_pairs,
)
from nmt.text.corpus import Pair

DUTCH = [
    "de hond slaapt in het huis",
    "het kind speelt met de bal",
    "de oude man leest een boek",
    "een vrouw loopt naar het huis",
]
ENGLISH = [
    "the dog sleeps in the house",
    "the child plays with the ball",
    "the old man reads a book",
    "a woman walks to the house",
]
RIGHT = [
    Pair(source, target, f"t:{number}")
    for number, (source, target) in enumerate(zip(DUTCH * 5, ENGLISH * 5, strict=True))
]


@pytest.mark.parametrize("text", ["a", "a\tb", "a\u2028b\x85c", "\ufeffa", "NBSP\xa0x", "😀"])
def test_text_is_kept(text: str) -> None:
    audit = Audit()
    pairs = [Pair(text, "b", "a:1"), Pair("b", text, "a:2")]
    assert list(clean_pairs(pairs, audit)) == pairs
    assert (audit.read, audit.kept) == (2, 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", BLANK),
        (" \t", BLANK),
        ("\xa0\u2028", BLANK),
        ("a\udcff", INVALID),
        ("a\x00", CONTROL),
        ("a\x7fb", CONTROL),
        ("a\rb", CONTROL),
        ("a\nb", CONTROL),
    ],
)
def test_text_is_left_out_for_a_reason(text: str, reason: str) -> None:
    audit = Audit()
    assert list(clean_pairs([Pair(text, "b", "a:1"), Pair("b", text, "a:2")], audit)) == []
    assert audit.left_out == {reason: 2}
    assert audit.examples == {reason: ["a:1", "a:2"]}


@settings(deadline=None)
@given(texts=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3))))
def test_kept_and_left_out_make_the_whole(texts: list[tuple[str, str]]) -> None:
    audit = Audit()
    pairs = [Pair(*text, f"a:{number}") for number, text in enumerate(texts)]
    kept = list(clean_pairs(pairs, audit))
    assert audit.read == len(pairs)
    assert audit.kept == len(kept) == len(pairs) - audit.left_out.total()
    assert [pair for pair in pairs if pair in kept] == kept


def test_the_summary_names_the_first_places_of_each_reason() -> None:
    audit = Audit()
    texts = ["a", "", "", "\x00", "", ""]
    list(
        clean_pairs(
            [Pair(text, "b", f"a.nl:{number}") for number, text in enumerate(texts, 1)], audit
        )
    )
    assert EXAMPLES == 3
    assert audit.summary() == [
        "1 of 6 pairs kept",
        "4 left out, a side is blank: a.nl:2, a.nl:3, a.nl:5, ...",
        "1 left out, a control character: a.nl:4",
    ]


def test_overlap_counts_what_training_and_dev_share() -> None:
    train = [
        Pair("a", "A", "t:1"),
        Pair("b", "B", "t:2"),
        Pair("a", "A", "t:3"),
        Pair("x", "x", "t:4"),
        Pair("a", "A", "t:5"),
    ]
    dev = [Pair("a", "A", "d:1"), Pair("b", "other", "d:2"), Pair("c", "A", "d:3")]
    assert audit_overlap(iter(train), dev) == Overlap(
        duplicates=2, copies=1, dev_pairs=1, dev_sources=2, examples=("d:1", "d:2")
    )


def test_disjoint_corpora_share_nothing() -> None:
    assert audit_overlap([Pair("a", "b", "t:1")], [Pair("b", "a", "d:1")]) == Overlap(
        0, 0, 0, 0, ()
    )


def test_swapped_pairs_are_found_among_right_ones() -> None:
    wrong = Pair(ENGLISH[0], DUTCH[0], "t:99")
    assert swapped_pairs([*RIGHT, wrong]) == [wrong]


@pytest.mark.parametrize(
    "pairs", [[], RIGHT, [*RIGHT, Pair("Tom", "Tom", "t:99"), Pair("", "", "t:100")]]
)
def test_right_and_short_pairs_are_not_called_swapped(pairs: list[Pair]) -> None:
    assert swapped_pairs(pairs) == []
