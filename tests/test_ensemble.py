"""Ensembles against one network alone, and against means taken piece by piece."""

import math

import pytest
import torch
from conftest import WORDS, untrained_translator, write_untrained
from reference_search import beam_without_early_stop
from test_beam import assert_same

from nmt.engines.ensemble import Ensemble
from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.recipe import dump_recipe
from nmt.search.beam import beam_search
from nmt.search.settings import SearchSettings
from nmt.translation.options import SearchOptions
from nmt.translation.translator import Translator
from nmt.vocabulary import BOS, EOS, PAD, UNK

LINES = ["aap noot mies", "", "wim zus jet teun vuur gijs", "lam"]
FORMS = [
    {},
    {"cell": "gru", "hidden_size": 24, "decoder_layers": 1},
    {"cell": "peephole", "attention": "additive", "input_feeding": True},
]


def member(form, engine=True, seed=1):
    return untrained_translator(seed, engine, **FORMS[form])


def together(*translators):
    network = Ensemble([translator.network for translator in translators])
    return Translator(network, translators[0].subwords, translators[0].recipe)


def next_log_probs(models, source):
    """The mean of the models' probabilities, one prefix at a time."""

    def mean(prefix):
        rows = []
        for model in models:
            state = model.encode(torch.tensor([[*source, EOS]]), torch.tensor([len(source) + 1]))
            for piece in (BOS, *prefix):
                logits_NV, state = model.step(torch.tensor([piece]), state)
            rows.append(logits_NV[0].double().softmax(0).tolist())
        return [
            math.log(sum(probabilities) / len(models)) for probabilities in zip(*rows, strict=True)
        ]

    return mean


def assert_translations_agree(found, expected):
    assert [each.pieces for best in found for each in best] == [
        each.pieces for best in expected for each in best
    ]
    for ours, theirs in zip(
        (each for best in found for each in best),
        (each for best in expected for each in best),
        strict=True,
    ):
        assert (ours.log_prob, ours.score) == pytest.approx(
            (theirs.log_prob, theirs.score), abs=1e-3
        )
        assert ours.piece_log_probs == pytest.approx(theirs.piece_log_probs, abs=1e-4)
        assert ours.alignment == theirs.alignment


@pytest.mark.parametrize("engine", [True, False])
@pytest.mark.parametrize("beam", [1, 3])
def test_an_ensemble_of_a_model_and_itself_is_the_model(engine, beam):
    alone = member(0, engine)
    twice = together(alone, alone, alone)
    assert_translations_agree(
        twice.nbest(LINES, beam, beam, details=True), alone.nbest(LINES, beam, beam, details=True)
    )
    assert twice.translate(LINES, beam) == alone.translate(LINES, beam)


@torch.inference_mode()
@pytest.mark.parametrize("engine", [True, False])
@pytest.mark.parametrize("beam", [1, 3])
def test_an_ensemble_searches_with_the_mean_of_all_probabilities(engine, beam):
    translators = [member(form, engine) for form in range(3)]
    ensemble = together(*translators)
    sources = ensemble.subwords.source.encode([line for line in LINES if line])
    settings = SearchSettings(beam=beam, n_best=beam, length_alpha=0.8, length_extra=6)
    for source, hypotheses in zip(
        sources, beam_search(ensemble.network, sources, settings).hypotheses, strict=True
    ):
        mean = next_log_probs(ensemble.network.models, source)
        slow = {
            "max_length": 6,
            "beam": beam,
            "length_alpha": 0.8,
            "eos": EOS,
            "forbidden": (PAD, UNK, BOS),
        }
        assert_same(hypotheses, beam_without_early_stop(mean, **slow))


def test_force_decoding_takes_the_same_mean_and_the_mean_of_the_attention():
    translators = [member(form) for form in range(3)]
    ensemble = together(*translators)
    source, target = (subwords.encode(["aap noot"])[0] for subwords in ensemble.subwords)
    (pair,) = ensemble.network.force_decode([source], [target])
    with torch.inference_mode():
        mean = next_log_probs(ensemble.network.models, source)
        expected = [mean(target[:position])[piece] for position, piece in enumerate([*target, EOS])]
    assert pair.log_probs == pytest.approx(expected, abs=1e-4)
    weights = [
        translator.network.force_decode([source], [target])[0].weights_TS
        for translator in translators
    ]
    torch.testing.assert_close(pair.weights_TS, sum(weights) / 3)
    assert ensemble.score(["aap noot"], ["aap noot"])[0].log_prob == pytest.approx(
        sum(expected), abs=1e-3
    )


def test_scores_of_pieces_are_those_of_the_search():
    for (best,) in together(member(0), member(1)).nbest(["aap noot", "lam"], 1, details=True):
        assert sum(best.piece_log_probs) == pytest.approx(best.log_prob, abs=1e-4)


def test_the_order_of_the_members_does_not_matter():
    translators = [member(form) for form in range(3)]
    found = [
        together(*order).nbest(LINES, 2, details=True) for order in (translators, translators[::-1])
    ]
    assert_translations_agree(*found)


def test_an_ensemble_keeps_to_constraints_and_prefixes():
    ensemble = together(member(0), member(1))
    options = SearchOptions(no_repeat_ngram=1, min_length=12, coverage=0.5)
    (free,), (forced,) = ensemble.nbest(
        ["aap noot", "lam"], 1, options=options, prefixes=["", "NOOT AAP"]
    )
    assert len(free.pieces) == len(set(free.pieces)) >= 12
    assert forced.text.startswith("NOOT AAP")


def test_shortlists_are_off_in_an_ensemble():
    size = member(0).subwords.target.size
    few = Shortlist(torch.full((size, 1), EOS), torch.arange(size).flip(0))
    short = untrained_translator(shortlist=few)
    sources = [[5, 6, 7]] * 8
    settings = SearchSettings(beam=2, n_best=2, length_extra=6)
    listed, free = (Ensemble([each.network] * 2) for each in (short, member(0)))
    assert beam_search(listed, sources, settings) == beam_search(free, sources, settings)


def write_run(translator, folder):
    write_untrained(translator.network.models[0], folder / "last")
    (folder / "recipe.toml").write_text(dump_recipe(translator.recipe), encoding="utf-8")
    translator.subwords.save(folder)
    return folder


def test_models_are_loaded_as_an_ensemble(tmp_path):
    first, *others = (write_run(member(form), tmp_path / str(form)) for form in range(3))
    loaded = Translator.load(first, "cpu", "fp32", ensemble=[str(other) for other in others])
    assert_translations_agree(
        loaded.nbest(LINES, 2, details=True),
        together(*map(member, range(3))).nbest(LINES, 2, details=True),
    )
    assert [
        bool(text) for text in Translator.load(first, "cpu", "int8", others).translate(["aap", ""])
    ] == [True, False]


def test_a_model_that_is_named_twice_is_refused(tmp_path):
    first, second = (write_run(member(form), tmp_path / str(form)) for form in range(2))
    for others in ([first], [second, second], [tmp_path / "1" / ".." / "0"]):
        with pytest.raises(
            NmtError,
            match=(
                r"the model is in the ensemble already, and twice the same changes nothing; name"
                r" each model once"
            ),
        ):
            Translator.load(first, "cpu", "fp32", ensemble=others)


def test_a_model_with_other_subwords_is_refused(tmp_path):
    first, second = (write_run(member(form), tmp_path / str(form)) for form in range(2))
    other = write_run(untrained_translator(words=WORDS[:9]), tmp_path / "other")
    with pytest.raises(
        NmtError,
        match=(
            r"/other: its subwords are not those of .*/0; an ensemble needs models with the same"
            r" subwords"
        ),
    ):
        Translator.load(first, "cpu", "fp32", ensemble=[second, other])
