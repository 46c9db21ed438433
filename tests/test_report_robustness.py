import random

from hypothesis import given
from hypothesis import strategies as st

from nmt.scoring.perturbations import (
    FOLDS,
    conditions,
    invisible,
    joined,
    stops_repeated,
    typos,
    unpunctuated,
    unseen,
    unstopped,
)
from nmt.scoring.robustness import measure_robustness

SOURCES = [f"Dit is zin nummer {number}." for number in range(8)]
REFERENCES = [f"This is sentence number {number}." for number in range(8)]
line = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=40)


@given(line, st.integers(0, 100))
def test_a_typo_changes_no_number_of_words(text: str, seed: int) -> None:
    assert typos(text, random.Random(seed), share=1.0).count(" ") == text.count(" ")


@given(line, st.integers(0, 100))
def test_a_typo_changes_at_most_one_letter_of_a_word(text: str, seed: int) -> None:
    for before, after in zip(
        text.split(" "), typos(text, random.Random(seed), share=1.0).split(" "), strict=True
    ):
        assert abs(len(after) - len(before)) <= 1
        assert len(before) > 1 or after == before


@given(line, st.integers(0, 100))
def test_an_unseen_character_is_one_word_more(text: str, seed: int) -> None:
    assert unseen(text, random.Random(seed)).count(" ") == text.count(" ") + 1


def test_the_final_stop_goes_and_only_that() -> None:
    assert [unstopped(text) for text in ("Ja. Nee.", "Ja!  ", "Ja", "", ".")] == [
        "Ja. Nee",
        "Ja",
        "Ja",
        "",
        "",
    ]


def test_a_repeated_stop_is_scored_as_one() -> None:
    assert stops_repeated("Ja!", random.Random(1)) in ("Ja!!", "Ja!!!")
    assert stops_repeated("Ja", random.Random(1)) == "Ja"
    assert FOLDS["stops"]("Yes!!! No.. Well") == "Yes! No. Well"


def test_no_punctuation_is_left_but_inside_words() -> None:
    assert unpunctuated("'Ja', zei ze: het is tv-tijd's (3,5)!") == "Ja zei ze het is tv-tijd's 3 5"


@given(line, st.integers(0, 100))
def test_an_invisible_character_changes_no_letter(text: str, seed: int) -> None:
    changed = invisible(text, random.Random(seed))
    letters = [each for each in text if each.isalnum()]
    assert [each for each in changed if each.isalnum()] == letters


def test_what_a_condition_adds_is_not_scored() -> None:
    assert FOLDS["unseen"]("I ☃ go 𝄞") == "I go"
    assert FOLDS["quotes"]("„It’s“ «fine»") == '"It\'s" "fine"'
    assert FOLDS["case"]("THE End") == "the end"


def test_a_share_is_of_the_plain_score_compared_in_the_same_way() -> None:
    outcomes = measure_robustness(
        lambda lines: [line.upper() for line in lines], SOURCES, SOURCES, ("bleu",)
    )
    shares = {outcome.condition: outcome.share for outcome in outcomes}
    assert shares["as it is"] == 1
    assert outcomes[0].scores[0].value < 100
    assert shares["upper case"] == 1  # both perfect without case


def test_joined_lines_leave_out_what_is_left_over() -> None:
    assert joined(["a", "b", "c", "d", "e"], 2) == ["a b", "c d"]


def test_conditions_are_the_same_each_time_and_stay_line_for_line() -> None:
    made = conditions(SOURCES, REFERENCES)
    assert made == conditions(SOURCES, REFERENCES)
    assert made[0].sources == SOURCES
    assert all(len(each.sources) == len(each.references) for each in made)
    assert len({each.name for each in made}) == len(made) == 19
    assert len(conditions(["een"], ["one"])) == 14


def test_a_system_that_knows_the_answers_loses_nothing() -> None:
    answers = {
        source: reference
        for each in conditions(SOURCES, REFERENCES)
        for source, reference in zip(each.sources, each.references, strict=True)
    }
    outcomes = measure_robustness(
        lambda lines: [answers[each] for each in lines], SOURCES, REFERENCES, ("bleu",)
    )
    assert all(
        outcome.scores[0].value > 99.9 and outcome.health.length_ratio == 1 for outcome in outcomes
    )
    assert [outcome.lines for outcome in outcomes] == [8] * 14 + [4, 2, 2, 1, 1]


def test_a_system_that_repeats_itself_is_found_out() -> None:
    outcomes = measure_robustness(
        lambda lines: ["no no no no"] * len(lines), SOURCES, REFERENCES, ("bleu",)
    )
    assert all(outcome.health.repeating == 1 for outcome in outcomes)
