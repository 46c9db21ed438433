"""What the size of the corpus decides, and what `nmt train` says of it."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt import defaults
from nmt.defaults import choices, default_batch_pieces, default_epochs, default_vocab_size
from nmt.recipe import parse_recipe

RECIPE = parse_recipe('[data]\ntrain = ["a"]\ndev = "b"\nsource = "nl"\ntarget = "en"\n', "r")


@pytest.mark.parametrize(
    ("pairs", "epochs"), [(100, 20), (30_000, 14), (120_000, 7), (100_000_000, 3)]
)
def test_larger_corpora_are_read_fewer_times(pairs, epochs):
    assert default_epochs(pairs) == epochs


@pytest.mark.parametrize(
    ("pairs", "pieces"), [(100, 2048), (99_999, 2048), (100_000, 4096), (1_000_000, 8192)]
)
def test_larger_corpora_have_larger_batches(pairs, pieces):
    assert default_batch_pieces(pairs) == pieces


@pytest.mark.parametrize(
    ("pairs", "size"),
    [(1, 500), (50_000, 4000), (200_000, 8000), (4_000_000, 32_000), (10**9, 32_000)],
)
def test_default_sizes(pairs: int, size: int) -> None:
    assert default_vocab_size(pairs) == size


@settings(deadline=None)
@given(pairs=st.integers(0, 10**8))
def test_default_sizes_never_fall(pairs: int) -> None:
    assert default_vocab_size(pairs) <= default_vocab_size(pairs + 1000)


def test_the_table_of_the_module_is_what_it_chooses() -> None:
    rows = re.findall(r"^\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| (\d+) \|$", defaults.__doc__, re.M)
    assert len(rows) == 5
    for row in rows:
        pairs, *expected = (int(cell.replace(",", "")) for cell in row)
        chosen = default_vocab_size(pairs), default_batch_pieces(pairs), default_epochs(pairs)
        assert list(chosen) == expected


def test_only_what_was_left_to_nmt_is_told() -> None:
    resolved = replace(
        RECIPE,
        subwords=replace(RECIPE.subwords, vocab_size=2000),
        training=replace(RECIPE.training, epochs=20, batch_pieces=2048),
    )
    assert choices(RECIPE, resolved, "10,000 pairs") == (
        "chosen for 10,000 pairs: subwords.vocab_size = 2000, training.batch_pieces = 2048,"
        " training.epochs = 20"
    )
    asked = replace(RECIPE, subwords=resolved.subwords, training=replace(RECIPE.training, epochs=9))
    assert choices(asked, resolved, "9 pairs") == (
        "chosen for 9 pairs: training.batch_pieces = 2048"
    )
    assert choices(resolved, resolved, "9 pairs") == ""
