"""Sampled translations and minimum Bayes risk: beside greedy search, sacreBLEU, sums by hand."""

import numpy as np
import pytest
from conftest import untrained_translator
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu import sentence_chrf as sacrebleus

from nmt.errors import NmtError
from nmt.scoring.sentence_chrf import pairwise_chrf
from nmt.search.settings import Sampling
from nmt.translation.candidates import expected_utilities
from nmt.translation.options import SearchOptions

LINES = ["aap noot mies", "", "wim zus jet teun vuur gijs", "lam", "bok weide does hok duif"]
SAMPLED = SearchOptions(sampling=Sampling())
WIDE = SearchOptions(sampling=Sampling(temperature=2.0, seed=3))


@pytest.fixture(scope="module")
def translator():
    return untrained_translator()


def chrf(hypothesis, reference):
    return sacrebleus(hypothesis, [reference], eps_smoothing=False).score


@given(st.lists(st.text("ab é", max_size=12), min_size=1, max_size=4))
def test_chrf_of_each_pair_is_sacrebleus(texts):
    expected = [[chrf(text, reference) for reference in texts] for text in texts]
    assert pairwise_chrf(texts) == pytest.approx(np.array(expected), abs=1e-9)


def test_the_expected_utility_is_the_weighted_mean_over_all_candidates():
    texts, weights = ["aap noot", "aap mies", "wim zus"], [1, 2, 5]
    expected = [
        (chrf(text, texts[0]) + 2 * chrf(text, texts[1]) + 5 * chrf(text, texts[2])) / 8
        for text in texts
    ]
    assert expected_utilities(texts, weights) == pytest.approx(expected)
    assert expected_utilities(["aap"], [3]) == [100]


def test_one_likeliest_piece_to_draw_from_is_greedy_search(translator):
    options = SearchOptions(sampling=Sampling(top_k=1))
    assert translator.translate(LINES, options=options) == translator.translate(LINES, beam=1)


def test_a_sample_depends_on_its_line_and_the_seed_alone(translator):
    together = translator.translate(LINES, options=SAMPLED)
    assert list(translator.stream(LINES, options=SAMPLED, chunk_lines=1)) == together
    assert [best.text for (best,) in translator.nbest(LINES, 1, options=SAMPLED)] == together
    settings = translator.settings(SAMPLED)
    (alone,) = translator.nbest_of([(LINES[2], "")], settings, places=[(2, 0)])
    assert alone[0].text == together[2]
    other = translator.translate(LINES, options=SearchOptions(sampling=Sampling(seed=2)))
    assert [first == second for first, second in zip(together, other, strict=True)] == [
        line == "" for line in LINES
    ]


def test_the_n_best_samples_differ_and_come_best_first(translator):
    for line, found in zip(LINES, translator.nbest(LINES, 6, options=WIDE), strict=True):
        if line:
            assert len({each.pieces for each in found}) == len(found) == 6
            assert found == sorted(found, key=lambda each: -each.score)


def test_a_sample_counts_with_the_models_own_log_probabilities(translator):
    for found in translator.nbest(["aap noot mies"] * 2, 3, options=WIDE, details=True):
        for each in found:
            assert sum(each.piece_log_probs) == pytest.approx(each.log_prob, abs=1e-4)
            length = len(each.pieces) + 1
            assert each.score == pytest.approx(
                each.log_prob / length**translator.search.length_alpha
            )


def test_samples_keep_to_constraints_and_prefixes(translator):
    options = SearchOptions(sampling=Sampling(), no_repeat_ngram=1, min_length=9)
    (free,), (forced,) = translator.nbest(
        ["aap noot", "lam"], 1, options=options, prefixes=["", "NOOT"]
    )
    assert len(free.pieces) == len(set(free.pieces)) >= 9
    assert forced.text.startswith("NOOT")


def test_minimum_bayes_risk_ranks_the_beam_by_expected_chrf(translator):
    beam = translator.nbest(["aap noot mies"], 6, beam=6)[0]
    likeliest = max(each.log_prob for each in beam)
    weights = [2.718281828459045 ** (each.log_prob - likeliest) for each in beam]
    utilities = expected_utilities([each.text for each in beam], weights)
    ranked = sorted(zip(utilities, (each.text for each in beam), strict=True), reverse=True)
    found = translator.nbest(["aap noot mies"], 3, options=SearchOptions(beam=6, mbr=6))[0]
    assert [each.score for each in found] == pytest.approx([score for score, _ in ranked[:3]])
    assert [each.text for each in found] == [text for _, text in ranked[:3]]


def test_minimum_bayes_risk_counts_a_sample_as_often_as_it_was_drawn(translator, monkeypatch):
    from nmt.search.hypotheses import Hypothesis

    pieces = [translator.subwords.target.encode([text])[0] for text in ("AAP", "NOOT", "NOOT")]
    drawn = [
        Hypothesis(tuple(ids), log_prob, log_prob)
        for ids, log_prob in zip(pieces, (-1.0, -2.0, -2.0), strict=True)
    ]
    monkeypatch.setattr("nmt.translation.candidates.sample", lambda *arguments: drawn)
    options = SearchOptions(sampling=Sampling(), mbr=3)
    ((best, second),) = translator.nbest(["aap"], 2, options=options)
    assert (best.text, second.text) == ("NOOT", "AAP")
    assert best.score == pytest.approx((2 * 100 + chrf("NOOT", "AAP")) / 3)


def test_the_score_of_a_line_in_segments_is_the_mean_of_their_expected_chrf(translator):
    line = "aap noot mies wim zus jet teun vuur gijs lam kees bok . " * 3
    ((best,),) = translator.nbest([line], 1, options=SearchOptions(beam=4, mbr=4))
    assert best.segments > 1
    assert 0 < best.score <= 100


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 4, "sampling": Sampling()}, "samples are drawn, not searched for, got beam = 4"),
        ({"coverage": 0.2, "mbr": 4}, "coverage ranks what a beam has found, got coverage = 0.2"),
        ({"mbr": -1}, "mbr must be at least 0 and at most 1,000, got -1"),
        ({"mbr": 2.5}, "mbr must be a whole number, got 2.5"),
    ],
)
def test_options_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(NmtError, match=message):
        SearchOptions(**settings)


def test_more_candidates_than_the_beam_has_are_refused(translator):
    with pytest.raises(NmtError, match=r"mbr must be at least n_best \(1\) and at most the beam"):
        translator.translate(LINES, options=SearchOptions(beam=4, mbr=5))
    with pytest.raises(NmtError, match=r"mbr must be at least n_best \(4\)"):
        translator.nbest(LINES, 4, options=SearchOptions(beam=4, mbr=3))
