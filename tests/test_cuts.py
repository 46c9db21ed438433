"""Long lines are cut where their script ends a sentence, and joined as the script of the
translation is written."""

import pytest
from conftest import untrained_translator
from hypothesis import given
from hypothesis import strategies as st

from nmt.recipe import SubwordsConfig
from nmt.text.segments import glue, is_within_word, segment_ends
from nmt.text.subwords import SubwordPair, Subwords, train_subwords
from nmt.translation.inputs import cut_lines
from nmt.translation.result import SegmentTranslations, Translation, join_segments

CHINESE = "今天天气很好。我们去公园吧！你觉得怎么样？他说：「不去。」然后走了，没有回来。"


def in_pieces(text: str) -> list[str]:
    """A piece for each character, a space in front of its word."""
    return [
        f"▁{word[0]}" if place == 0 else word[place]
        for word in text.split()
        for place in range(len(word))
    ]


def segments(text: str, longest: int) -> list[str]:
    pieces = in_pieces(text)
    ends = segment_ends(pieces, longest)
    return [
        "".join(pieces[start:end]).replace("▁", " ").strip()
        for start, end in zip([0, *ends], ends, strict=False)
    ]


@pytest.mark.parametrize(
    ("text", "longest", "expected"),
    [
        ("Aap noot. Mies wim", 12, ["Aap noot.", "Mies wim"]),
        ('Hij zei "nee." Mies, wim', 14, ['Hij zei "nee."', "Mies, wim"]),
        ("aap, noot mies", 10, ["aap,", "noot mies"]),
        ("aap noot mies", 10, ["aap noot", "mies"]),
        (
            "aap 3.14159 noot",
            8,
            ["aap", "3.14159", "noot"],
        ),  # the full stop of a number ends nothing
        ("abcdefgh", 3, ["abc", "de", "fg", "h"]),
        ("今天很好。我们去吧！你呢", 8, ["今天很好。", "我们去吧！你呢"]),
        (
            "他说：「不去。」然后走了",
            9,
            ["他说：「不去。」", "然后走了"],
        ),  # not before the closing bracket
        ("真的吗？！是的", 5, ["真的吗？！", "是的"]),
        ("今天很好，我们", 6, ["今天很好，", "我们"]),
        ("今天天气很好我们", 6, ["今天天气很好", "我们"]),
        ("यह घर है। वह घर", 9, ["यह घर है।", "वह घर"]),
        ("هل تذهب؟ نعم أذهب", 9, ["هل تذهب؟", "نعم أذهب"]),
    ],
)
def test_a_long_line_is_cut_after_its_last_sentence_clause_or_word(
    text: str, longest: int, expected: list[str]
) -> None:
    assert segments(text, longest) == expected


@given(
    st.lists(
        st.sampled_from(["▁a", "b", ".", "。", "」", "<0xE3>", "<0x80>", "▁", ","]), max_size=40
    ),
    st.integers(1, 9),
)
def test_segments_are_never_empty_and_never_longer_than_allowed(
    pieces: list[str], longest: int
) -> None:
    ends = segment_ends(pieces, longest)
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    assert sum(lengths) == len(pieces)
    assert all(0 < length <= longest for length in lengths if pieces)


def test_a_mark_that_is_spelled_in_bytes_ends_a_sentence() -> None:
    assert segment_ends(["▁a", "<0x2E>", "▁b", "▁c", "▁d"], 4) == [2, 5]
    assert segment_ends(["▁好", "<0xE3>", "<0x80>", "<0x82>", "我", "们"], 5) == [4, 6]


def test_no_cut_goes_through_a_character_that_is_spelled_in_bytes() -> None:
    assert segment_ends(["▁a", "b", "<0xE2>", "<0x82>", "<0xAC>", "c"], 4) == [2, 5, 6]


@pytest.fixture(scope="module")
def chinese() -> Subwords:
    return train_subwords([CHINESE], SubwordsConfig(variety=0.0, kind="char"), 330, seed=1)


def test_a_segment_begins_as_a_line_of_training_does(chinese: Subwords) -> None:
    found = cut_lines([CHINESE], [""], SubwordPair(chinese, chinese), 9)
    texts = chinese.decode([segment.ids for segment in found])
    assert "".join(texts) == CHINESE
    assert [segment.ids for segment in found] == chinese.encode(texts)
    assert texts[:3] == ["今天天气很好。", "我们去公园吧！", "你觉得怎么样？"]
    assert not any(segment.spaced or segment.within_word for segment in found[1:])


@pytest.mark.parametrize(
    ("before", "after", "inside"),
    [
        ("▁aap", "noot", True),
        ("▁aap", "▁noot", False),
        ("。", "我", False),
        ("好", "我", False),
        ("ไป", "มา", False),
    ],
)
def test_a_cut_inside_a_word_is_known(before: str, after: str, inside: bool) -> None:
    assert is_within_word([before, after], 1) == inside


@pytest.mark.parametrize(
    ("before", "after", "between"),
    [
        ("A.", "B.", " "),
        ("今天。", "我们。", ""),
        ("他说“好。”", "我", ""),
        ("API", "是的", ""),
        ("ไป", "มา", " "),
        ("네.", "아니요.", " "),
    ],
)
def test_what_stands_between_segments_is_what_the_script_writes(
    before: str, after: str, between: str
) -> None:
    assert glue(before, after) == between


def part(text: str, alignment: tuple[tuple[int, int], ...]) -> Translation:
    return Translation(text, -1.0, -1.0, tuple(in_pieces(text)), alignment=alignment)


def test_alignments_count_the_words_of_the_joined_line() -> None:
    first = SegmentTranslations(2, [part("A B", ((0, 1), (1, 0)))])
    spaced = SegmentTranslations(1, [part("C", ((0, 0),))])
    inside = SegmentTranslations(1, [part("D", ((0, 0),))], spaced=False, within_word=True)
    chinese = SegmentTranslations(1, [part("好", ((0, 0),))], spaced=False)
    (best,) = join_segments([first, spaced, inside], 1.0)
    assert (best.text, best.alignment) == ("A B CD", ((0, 1), (1, 0), (2, 2), (2, 2)))
    (best,) = join_segments([first, chinese, chinese], 1.0)
    assert (best.text, best.alignment) == ("A B好好", ((0, 1), (1, 0), (1, 1), (1, 1)))


def test_a_word_longer_than_the_model_has_seen_comes_out_in_one_piece() -> None:
    translator = untrained_translator()
    (best,) = translator.nbest(["x" * 100], 1)[0]
    found = cut_lines(["x" * 100], [""], translator.subwords, translator.recipe.data.max_length)
    texts = translator.subwords.source.decode([segment.ids for segment in found])
    assert best.segments == len(texts) >= 3
    assert "".join(texts) == "x" * 100
    assert best.text == "".join(
        text if number == 0 else text.lstrip()
        for number, text in enumerate(translator.translate(texts))
    )
