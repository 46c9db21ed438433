import pytest

from nmt.training.folder import default_batch_pieces, default_epochs


@pytest.mark.parametrize(("pairs", "epochs"), [(100, 20), (30_000, 14), (120_000, 7), (100_000_000, 3)])
def test_larger_corpora_are_read_fewer_times(pairs, epochs):
    assert default_epochs(pairs) == epochs


@pytest.mark.parametrize(("pairs", "pieces"), [(100, 2048), (99_999, 2048), (100_000, 4096), (1_000_000, 8192)])
def test_larger_corpora_have_larger_batches(pairs, pieces):
    assert default_batch_pieces(pairs) == pieces
