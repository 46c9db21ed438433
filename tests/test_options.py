import pytest
import torch
from conftest import untrained_translator
from reference_search import repeats

import nmt
from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.translation.options import SearchOptions

LINES = [
    "aap noot mies",
    "",
    "wim zus jet teun vuur gijs",
    "lam",
    "bok weide does hok duif schapen aap noot",
]


@pytest.fixture(scope="module")
def translator():
    return untrained_translator()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "beam must be at least 1 and at most 10,000, got 0"),
        (
            {"beam": 10**30},
            "beam must be at least 1 and at most 10,000, got 1000000000000000000000000000000",
        ),
        (
            {"length_alpha": -1.0},
            "length_alpha must be at least 0 and at most 10, got -1.0",
        ),
        (
            {"length_alpha": 1e6},
            "length_alpha must be at least 0 and at most 10, got 1000000.0",
        ),
        ({"length_alpha": float("nan")}, "length_alpha must be at least 0 and at most 10, got nan"),
        (
            {"no_repeat_ngram": -2},
            "no_repeat_ngram must be at least 0 and at most 1,000,000,000, got -2",
        ),
        ({"min_length": -1}, "min_length must be at least 0 and at most 100,000, got -1"),
        (
            {"min_length": 10**12},
            "min_length must be at least 0 and at most 100,000, got 1000000000000",
        ),
        ({"max_length": 0}, "max_length must be at least 1, got 0"),
        ({"coverage": -0.1}, "coverage must be at least 0 and at most 1,000,000, got -0.1"),
        (
            {"min_length": 5, "max_length": 4},
            "max_length must be at least 5, got 4; raise it or lower min_length",
        ),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(NmtError, match=message):
        SearchOptions(**options)


def test_options_are_at_the_front_door():
    assert nmt.SearchOptions is SearchOptions


def test_beam_and_length_alpha_are_options_too_and_arguments_go_first(translator):
    alone = translator.nbest(LINES, 2, beam=4, length_alpha=0.2)
    assert translator.nbest(LINES, 2, options=SearchOptions(beam=4, length_alpha=0.2)) == alone
    assert (
        translator.nbest(
            LINES, 2, beam=4, length_alpha=0.2, options=SearchOptions(beam=2, length_alpha=1.5)
        )
        == alone
    )
    assert translator.translate(LINES, options=SearchOptions(beam=4, length_alpha=0.2)) == [
        best[0].text for best in alone
    ]
    with pytest.raises(NmtError, match="beam must be at least 1 and at most 10,000, got 0"):
        translator.translate(LINES, beam=0)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("engine", [True, False])
def test_lengths_lie_within_their_limits(beam, engine):
    translator = untrained_translator(engine=engine)
    found = translator.nbest(LINES, beam, beam, options=SearchOptions(min_length=15, max_length=16))
    assert {
        len(each.pieces) for translations in found[:1] + found[2:] for each in translations
    } <= {15, 16}
    found = translator.nbest(LINES, beam, beam, options=SearchOptions(max_length=2))
    assert {len(each.pieces) for translations in found for each in translations} <= {0, 1, 2}


def test_a_shortest_length_beyond_the_recipes_longest_makes_room(translator):
    (best,) = translator.nbest(["lam"], 1, options=SearchOptions(min_length=40))[0]
    assert len(best.pieces) == 40


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("engine", [True, False])
def test_no_n_gram_comes_twice(beam, engine):
    translator = untrained_translator(engine=engine)
    options = {
        size: SearchOptions(beam=beam, min_length=30, no_repeat_ngram=size) for size in (0, 1, 2)
    }
    found = {
        size: [best for (best,) in translator.nbest(LINES, 1, options=each)]
        for size, each in options.items()
    }
    for size in (1, 2):
        assert all(
            not repeats(best.pieces[:end], size)
            for best in found[size]
            for end in range(len(best.pieces) + 1)
        )
        assert translator.translate(LINES, options=options[size]) == [
            best.text for best in found[size]
        ]
    assert any(
        repeats(best.pieces[:end], 2) for best in found[0] for end in range(len(best.pieces) + 1)
    )


def test_constraints_go_with_a_shortlist():
    size = untrained_translator().subwords.target.size
    everything = Shortlist(torch.arange(4, size).repeat(size, 1), torch.arange(size))
    options = SearchOptions(no_repeat_ngram=1, min_length=9)
    plain, short = (
        untrained_translator(shortlist=each).nbest(["aap noot"] * 6, 2, options=options)
        for each in (None, everything)
    )
    assert [each.pieces for best in short for each in best] == [
        each.pieces for best in plain for each in best
    ]


def test_constrained_translations_have_the_models_own_scores(translator):
    for (best,) in translator.nbest(
        ["aap noot mies", "lam"],
        1,
        details=True,
        options=SearchOptions(min_length=12, no_repeat_ngram=1),
    ):
        assert sum(best.piece_log_probs) == pytest.approx(best.log_prob, abs=1e-4)
