from collections import Counter
from dataclasses import replace
from itertools import chain
from random import Random

import pytest

from nmt.text.augmentation import joined, shared_names, varied, with_typos
from nmt.text.markup import MARK
from nmt.training.plans import placed_batches
from nmt.training.prepare import prepare

PAIRS = [
    ("Tom zag Boston op 5 mei.", "Tom saw Boston on 5 May."),
    ("de kat zit hier.", "the cat sits here."),
    ("Ja", "Yes"),
]


def test_both_sides_have_the_same_placeholders_each_once():
    marked = 0
    for seed in range(2000):
        source, target = varied(*PAIRS[seed % 3], Random(seed))
        ours, theirs = Counter(MARK.findall(source)), Counter(MARK.findall(target))
        assert ours == theirs
        assert set(ours.values()) <= {1}
        marked += bool(ours)
    assert marked > 800


def test_the_generator_decides():
    results = [[varied(*PAIRS[0], Random(seed)) for seed in range(50)] for _ in range(2)]
    assert results[0] == results[1]
    assert len(set(results[0])) > 20


def test_names_are_words_with_a_capital_on_both_sides():
    assert shared_names("Tom zag Tom en Ann bij Jan.", "Tom saw Tom and Ann with John.") == ["Ann"]


def test_typos_change_a_letter_or_two():
    for seed in range(200):
        changed = with_typos("De kat zit op de mat.", Random(seed))
        assert abs(len(changed) - 21) <= 1
        assert changed[-1] == "."


def test_joined_neighbours_keep_all_pieces_in_order_and_the_limit():
    sources = [[number] * 3 for number in range(40)]
    targets = [[number] * 4 for number in range(40)]
    for seed in range(20):
        ours, theirs = joined(sources, targets, 12, Random(seed))
        assert [*chain(*ours)] == [*chain(*sources)]
        assert [*chain(*theirs)] == [*chain(*targets)]
        assert max(map(len, theirs)) <= 12
        assert len(ours) == len(theirs) < 40


@pytest.mark.parametrize("sampling", [0.0, 0.3])
def test_changed_batches_are_the_same_whether_training_was_interrupted_or_not(
    tmp_path, tiny_recipe, sampling
):
    subwords = replace(tiny_recipe.subwords, variety=0.9, vocab_size=360, sampling=sampling)
    recipe = replace(tiny_recipe, subwords=subwords)
    (tmp_path / "run").mkdir()
    *_, materials = prepare(recipe, tmp_path / "run")
    data = materials.store, materials.subwords, recipe
    whole = list(placed_batches(*data, 1, 0))
    changed = replace(recipe, subwords=replace(subwords, variety=0.0))
    plain = list(placed_batches(materials.store, materials.subwords, changed, 1, 0))
    assert any(
        ours.batches[0].source_BS.tolist() != theirs.batches[0].source_BS.tolist()
        for ours, theirs in zip(whole, plain, strict=True)
    )
    resumed = list(placed_batches(*data, 1, 3))
    assert len(resumed) == len(whole) - 3 > 0
    for ours, theirs in zip(resumed, whole[3:], strict=True):
        assert ours[:4] == theirs[:4]
        for a, b in zip(ours.batches[0], theirs.batches[0], strict=True):
            assert a.tolist() == b.tolist()
