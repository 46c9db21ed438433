import math
from dataclasses import replace

import pytest
import torch
from conftest import untrained_translator

from nmt.engines.force_decoding import ScoredTarget
from nmt.translation.options import SearchOptions
from nmt.translation.result import Translation, coverage_penalty, penalised

LINES = ["aap noot mies", "", "wim zus jet teun", "lam"]
BETA = 0.7
SHORT = SearchOptions(beam=4, max_length=3)  # too short to read everything


@pytest.fixture(scope="module")
def translator():
    return untrained_translator()


@pytest.mark.parametrize(
    ("weights", "penalty"),
    [
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], 0.0),  # each piece read once
        ([[0.5, 0.0, 0.5], [0.5, 0.25, 0.25]], math.log(0.25)),
        (
            [[0.9, 0.1, 0.0], [0.9, 0.1, 0.0]],
            math.log(0.2),
        ),  # more than once is no better than once
        ([[0.5, 0.1, 0.4]], math.log(0.5) + math.log(0.1)),
        ([[1.0]], 0.0),  # nothing but the end of source
    ],
)
def test_penalties_by_hand(weights, penalty):
    assert coverage_penalty(torch.tensor(weights)) == pytest.approx(penalty)


def test_a_piece_without_any_attention_has_a_finite_penalty():
    assert -90 < coverage_penalty(torch.tensor([[0.0, 1.0]])) < -80


@pytest.mark.parametrize("n", [1, 4])
def test_the_beams_hypotheses_are_ranked_by_score_and_penalty(translator, n):
    plain = translator.nbest(LINES, 4, options=SHORT)
    ranked = translator.nbest(LINES, n, options=replace(SHORT, coverage=BETA))
    assert any(each.coverage < 0 for translations in ranked for each in translations)
    for line, before, after in zip(LINES, plain, ranked, strict=True):
        if line:
            source = translator.subwords.source.encode([line])[0]
            expected = [
                each.score + BETA * penalty(translator, source, each) / normaliser(translator, each)
                for each in before
            ]
            assert [each.score for each in after] == pytest.approx(
                sorted(expected, reverse=True)[:n], abs=1e-5
            )
            for each in after:
                assert each.score == pytest.approx(
                    (each.log_prob + each.coverage) / normaliser(translator, each), abs=1e-5
                )
    assert ranked[1] == plain[1]


def penalty(translator, source, translation):
    names = translator.subwords.target.pieces(range(translator.subwords.target.size))
    pieces = [names.index(piece) for piece in translation.pieces]
    return coverage_penalty(translator.network.force_decode([source], [pieces])[0].weights_TS)


def normaliser(translator, translation):
    return (len(translation.pieces) + 1) ** translator.search.length_alpha


def test_the_penalty_counts_as_log_probability_does_whatever_the_length(translator):
    pieces = ("a",) * 9
    scored = ScoredTarget(
        log_probs=(-0.5,) * 10, weights_TS=torch.tensor([[0.05, 0.05]] * 10)
    )  # of the only piece half is covered
    for alpha in (0.0, 0.2, 1.0):
        plain = Translation("", -5.0, -5.0 / 10**alpha, pieces)
        worse = Translation(
            "", -5.0 + 0.2 * math.log(0.5), 0.0, pieces
        )  # as improbable as the penalty makes it
        assert penalised(plain, scored, 0.2, alpha).score == pytest.approx(
            worse.log_prob / 10**alpha
        )


def test_the_penalty_changes_translations_and_streams_are_ranked_too(translator):
    lines = [
        f"{first} {second}"
        for first in ("aap", "noot", "mies", "wim")
        for second in ("zus", "jet", "teun")
    ]
    options = replace(SHORT, coverage=20.0)
    ranked = translator.translate(lines, options=options)
    assert ranked == [best.text for (best,) in translator.nbest(lines, 1, options=options)]
    assert ranked != translator.translate(lines, options=SHORT)


def test_details_are_those_of_the_ranked_translations(translator):
    for (best,) in translator.nbest(
        ["aap noot mies", "lam"], 1, details=True, options=replace(SHORT, coverage=20.0)
    ):
        assert sum(best.piece_log_probs) == pytest.approx(best.log_prob, abs=1e-4)


def test_the_score_of_a_line_in_segments_has_the_penalties_of_all(translator):
    line = "aap noot mies wim zus jet teun vuur gijs lam kees bok . " * 3
    (best,) = translator.nbest([line], 1, options=replace(SHORT, coverage=BETA))[0]
    assert best.segments > 1
    assert best.coverage < 0
    assert best.score == pytest.approx(
        (best.log_prob + best.coverage)
        / (len(best.pieces) + best.segments) ** translator.search.length_alpha
    )


def test_nothing_is_decoded_twice_without_a_penalty(translator, monkeypatch):
    monkeypatch.setattr(translator.network, "force_decode", None)
    translator.nbest(LINES, 2)
    translator.translate(
        LINES, beam=1, options=SearchOptions(coverage=BETA)
    )  # one hypothesis, and nobody asks for its score
