"""A dev set split off the training text."""

import random
from dataclasses import replace

import pytest
from training_runs import assert_same_run, stop_after

from nmt.errors import NmtError
from nmt.recipe import DataConfig
from nmt.text.clean import Audit
from nmt.text.corpus import Pair, read_pairs
from nmt.text.dev_split import HELD_OUT, read_copy, split_off, split_size, without
from nmt.training.dev_set import keep_dev, read_dev
from nmt.training.prepare import open_materials
from nmt.training.run import train

PAIRS = [Pair(f"bron {number % 70}", f"doel {number}", f"t:{number}") for number in range(100)]


@pytest.mark.parametrize(
    ("dev", "size"),
    [("1000", 1000), ("2%", 0.02), ("0.5 %", 0.005), ("corpus/dev", None), ("./1000", None)],
)
def test_a_number_or_a_share_asks_for_a_split(dev, size):
    assert split_size(dev) == size


@pytest.mark.parametrize("dev", ["0", "0%", "51%"])
def test_nothing_and_more_than_half_are_refused(dev):
    with pytest.raises(
        NmtError,
        match=(
            rf"data.dev asks for {dev} of the training text; give at least one pair and at most 50%"
        ),
    ):
        split_size(dev)


@pytest.mark.parametrize("dev", ["-5", "1.5", "50%%", "1,000"])
def test_what_looks_like_a_number_and_is_none_is_refused(dev):
    with pytest.raises(
        NmtError,
        match=(
            r"data.dev must be a number of pairs such as 1000, a share such as 2%, or the name of"
            rf" a corpus, got {dev}"
        ),
    ):
        split_size(dev)


def test_too_small_a_corpus_is_refused():
    with pytest.raises(
        NmtError,
        match=r"cannot split 51 off 100 pairs, at least 1 and at most 50% can go; name a dev set",
    ):
        split_off(PAIRS, 51, seed=1)


def test_a_split_depends_on_seed_and_text_and_not_on_order_or_repetition():
    first = split_off(PAIRS, 20, seed=1)
    assert len(set(zip(*first, strict=True))) == 20
    shuffled = PAIRS * 2
    random.Random(3).shuffle(shuffled)
    assert split_off(shuffled, 20, seed=1) == first
    assert split_off(PAIRS, 20, seed=2) != first


def test_a_larger_split_has_the_smaller_one_in_it():
    small, large = (set(zip(*split_off(PAIRS, size, seed=1), strict=True)) for size in (1, 30))
    assert small < large


def test_a_share_takes_about_so_many():
    many = [Pair(str(number), str(number), "") for number in range(10_000)]
    assert len(split_off(many, 0.02, seed=1)[0]) == pytest.approx(
        200, abs=5 * 14
    )  # five standard deviations of a binomial


def test_what_is_left_shares_no_sentence_on_either_side():
    dev, audit = split_off(PAIRS, 20, seed=1), Audit(read=len(PAIRS))
    left = list(without(PAIRS, dev, audit))
    assert not {pair.source for pair in left} & set(dev[0])
    assert not {pair.target for pair in left} & set(dev[1])
    assert len(left) == audit.kept == 100 - audit.left_out[HELD_OUT]
    assert [
        pair for pair in PAIRS if pair.source not in dev[0] and pair.target not in dev[1]
    ] == left


def test_a_run_splits_off_its_dev_set_and_resumes_exactly(tmp_path, tiny_recipe):
    recipe = replace(tiny_recipe, data=replace(tiny_recipe.data, dev="10"))
    list(train(recipe, tmp_path / "whole"))
    list(train(recipe, tmp_path / "parts", stop=stop_after(9)))
    list(train(recipe, tmp_path / "parts"))
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    dev, store = read_copy(tmp_path / "whole").pairs, open_materials(tmp_path / "whole").store
    pairs = list(read_pairs(recipe.data.train[0], "nl", "en"))
    assert set(zip(*dev, strict=True)) < {(pair.source, pair.target) for pair in pairs}
    assert len(store) == sum(
        pair.source not in dev[0] and pair.target not in dev[1] for pair in pairs
    )
    assert any(HELD_OUT in line for line in store.summary)


def test_a_split_is_made_again_for_another_text_or_seed_alone(tmp_path):
    data = DataConfig(train=("t",), dev="20", source="nl", target="en")
    first = read_dev(data, tmp_path, PAIRS, "hash", seed=1)
    assert first.pairs == split_off(PAIRS, 20, seed=1)
    keep_dev(tmp_path, first)
    assert (
        read_dev(data, tmp_path, [], "hash", seed=1).pairs == first.pairs
    )  # the copy: nothing is read
    assert read_dev(data, tmp_path, PAIRS, "hash", seed=2).pairs == split_off(PAIRS, 20, seed=2)
    assert read_dev(data, tmp_path, PAIRS[:50], "other", seed=1).pairs == split_off(
        PAIRS[:50], 20, seed=1
    )
