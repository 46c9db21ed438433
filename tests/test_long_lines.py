"""Reading a long line takes time in proportion to its length, whatever is written there."""

import time

import pytest

from nmt.text.markup import spans_of
from nmt.text.sentences import sentences
from nmt.text.surface import Surface, put_back, take_off
from nmt.translation.prepared import Span, clear_of

KNOWN = frozenset("abc.")
LENGTH = 60_000  # characters; where time grows with the square of it, this takes a minute
SECONDS = 6.0
PARTS = (
    "a", "A", "1", "!", ".", "(", '"', "_", "-", " ", "<", "{", "`", "。", "a.", "a@",
    "a-", "a_", "A1", "1,", "/.", "%0", "<a ", "&a", "${", "http:,", "<!--", "A. ", "a. ",
    "'.' A ", '!"', "。」", "c:\\,", "👩\u200d",
)  # fmt: skip


def read(line: str) -> None:
    spans_of(line)
    sentences(line, "nl")
    take_off(line, KNOWN)
    put_back(line, Surface(bare=True, repeated="!!", case="title"))


@pytest.mark.parametrize("end", ["", "é", "A1", "1x", "a"])
def test_no_line_takes_long(end: str) -> None:
    for part in PARTS:
        line = part * (LENGTH // len(part)) + end
        start = time.process_time()
        read(line)
        taken = time.process_time() - start
        assert taken < SECONDS, f"{part!r} takes {taken:.0f} s"


def test_a_code_of_digits_is_read_at_once_where_a_letter_follows() -> None:
    assert spans_of("A" + "1" * 50 + "x") == []  # 2^50 ways to divide the digits


def test_spans_are_clear_of_others_unless_they_share_a_character() -> None:
    spans = [Span(start, start + 2, "entity") for start in range(0, 20, 3)]
    others = [Span(2, 3, "tag"), Span(7, 8, "tag"), Span(9, 16, "number")]
    shares = [
        any(set(range(each.start, each.end)) & set(range(*other[:2])) for other in others)
        for each in spans
    ]
    assert clear_of(reversed(spans), others) == [
        each for each, shared in zip(spans, shares, strict=True) if not shared
    ]
