"""`python -m evaluation robustness`: made-up entities, odd lines, and the measures of them."""

import pytest

from evaluation.compare import refuse_misfits
from evaluation.robustness import entity_measures, markdown, measures_of, odd_conditions
from evaluation.robustness.carriers import CARRIERS
from evaluation.robustness.entities import KINDS, Entity, Example, examples
from evaluation.robustness.odd_lines import Shares, shares, single_words, symbol_lines
from nmt.errors import NmtError
from nmt.scoring.robustness import measure_robustness

LINES = [f"sentence number {number} of all these." for number in range(8)]


@pytest.mark.parametrize("language", CARRIERS)
def test_a_copied_example_is_exact_and_a_line_without_it_is_not(language: str) -> None:
    made = examples(language, 12)
    assert {example.kind for example in made} == set(KINDS)
    assert all(example.is_exact(example.source) for example in made)
    assert not any(example.is_exact("Nothing of it is here.") for example in made)
    assert not any(example.is_exact(f"{example.source} {example.source}") for example in made)


def test_examples_are_a_function_of_the_seed() -> None:
    assert examples("nl", 5, seed=3) == examples("nl", 5, seed=3) != examples("nl", 5, seed=4)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(NmtError, match="no sentences to put entities into in 'xx'"):
        examples("xx", 1)


@pytest.mark.parametrize(
    ("output", "exact"),
    [
        ("It cost 12.500 euros.", True),
        ("It cost 12,500 euros.", True),
        ("It cost 12500.", True),
        ("It cost 12.5 euros.", False),
        ("It cost 112.500 euros.", False),
        ("It cost 12.500,5 euros.", False),
        ("It cost 12,500 or 12.500 euros.", False),
    ],
)
def test_a_number_may_change_its_format_but_not_its_value(output: str, exact: bool) -> None:
    number = Entity(("12.500", "12,500", "12 500", "12500"))
    assert Example("n", "", (number,)).is_exact(output) is exact


def test_markup_must_come_in_order_and_code_by_itself() -> None:
    tags = Example("m", "", (Entity(("<b>",)), Entity(("</b>",))))
    assert tags.is_exact("a <b>b</b>")
    assert not tags.is_exact("a </b>b<b>")
    assert not tags.is_exact("a <b>b")
    assert not Example("c", "", (Entity(("{x}",)),)).is_exact("{{x}}")


def test_english_numbers_have_a_decimal_point_dutch_ones_a_comma() -> None:
    def sources(language: str) -> str:
        made = examples(language, 8)
        return " ".join(each.source for each in made if each.kind == "decimals")

    assert "," in sources("nl")
    assert "," not in sources("en")


def test_empty_repeating_and_long_outputs_are_counted() -> None:
    outputs = ["", "no no no no", " ".join(f"w{number}" for number in range(11)), "fine"]
    assert shares(["one"] * 4, outputs) == Shares(empty=0.25, repeating=0.25, too_long=0.25)
    assert shares([" "], [""]).empty == 0


def test_single_words_begin_with_the_most_frequent() -> None:
    words = single_words(["of of of these", "one of two"], 4)
    assert words[0] == "of"
    assert len(set(words)) == 4


def test_symbol_lines_have_no_letters() -> None:
    assert not any(each.isalpha() for line in symbol_lines(40) for each in line)


def test_a_copying_system_gets_everything_but_the_changed_text() -> None:
    outcomes = measure_robustness(lambda lines: lines, LINES, LINES, ("bleu",), confidence=True)
    made = examples("en", 2)
    found = (
        measures_of(outcomes)
        | entity_measures(made, [example.source for example in made])
        | odd_conditions(lambda lines: lines, LINES, LINES, seed=1)
    )
    refuse_misfits("robustness", found)
    values = {name: measure["value"] for name, measure in found.items()}
    assert values["as it is: BLEU"] == 100
    assert values["typos: share of plain BLEU"] < 1
    typos = found["typos: BLEU"]["noise"] / 100  # the plain BLEU is 100
    assert found["typos: share of plain BLEU"]["noise"] == pytest.approx(typos, abs=6e-4)
    assert values["upper case: share of plain BLEU"] == 1
    assert values["unseen characters: kept"] == 1
    assert values["symbols alone: exact"] == values["blank lines: blank"] == 1
    assert {values[f"{kind}: exact"] for kind in KINDS} == {1}
    assert values["doubled: too long"] == 0
    assert "bs:1000" in found["as it is: BLEU"]["unit"]
    assert "| typos |" in markdown(found)
    assert "| markup | 100.0% |" in markdown(found)
