import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from nmt.data.batches import padded
from nmt.engines.shortlist import FREQUENT, STEP, Shortlist
from nmt.errors import NmtError
from nmt.vocabulary import BOS, EOS, PAD, UNK

SIZE = 1000
BYTES = [10, 11, 12]  # of the source
TARGET_BYTES = [800, 801, 802]


def some_shortlist():
    """Source piece p calls for the target pieces p and p + 300; the last pieces are the most
    frequent ones."""
    best_VX = torch.arange(SIZE)[:, None] + torch.tensor([0, 300])
    best_VX[600:] = EOS
    return Shortlist(best_VX, torch.arange(SIZE).flip(0), BYTES, TARGET_BYTES)


def allowed(sources):
    """The pieces that each of these sentences may use when they are one batch."""
    candidates_C, allowed_BC = some_shortlist().candidates(padded(sources, suffix=(EOS,))[0])
    return [set(candidates_C[row_C].tolist()) for row_C in allowed_BC]


ALWAYS = {
    PAD,
    UNK,
    BOS,
    EOS,
    303,
    *range(SIZE - FREQUENT, SIZE),
}  # the end of sentence is a source piece too


def test_a_sentence_may_use_what_is_special_frequent_or_called_for():
    assert allowed([[20, 30], [40]]) == [ALWAYS | {20, 320, 30, 330}, ALWAYS | {40, 340}]


@given(
    st.lists(st.lists(st.integers(4, SIZE - 1), min_size=1, max_size=12), min_size=1, max_size=9)
)
def test_what_a_sentence_may_use_does_not_depend_on_its_batch(sources):
    assert allowed(sources) == [allowed([source])[0] for source in sources]


def test_candidates_rise_and_are_filled_up_to_a_multiple_of_64_with_padding_that_nobody_may_use():
    candidates_C, allowed_BC = some_shortlist().candidates(
        torch.tensor([[20, 30, EOS], [40, EOS, PAD]])
    )
    expected = sorted(ALWAYS | {20, 320, 30, 330, 40, 340})
    missing = -len(expected) % STEP
    assert missing > 0
    assert candidates_C.tolist() == expected + [PAD] * missing
    assert expected[:4] == [PAD, UNK, BOS, EOS]
    assert allowed_BC.dtype == torch.bool
    assert allowed_BC.is_contiguous()
    assert allowed_BC.shape == (2, len(expected) + missing)
    assert allowed_BC.any(0).tolist() == [True] * len(expected) + [False] * missing


def test_a_byte_in_the_source_calls_for_all_bytes():
    for byte in BYTES:
        with_byte, without = allowed([[20, byte], [20]])
        assert with_byte - without == {byte, byte + 300, *TARGET_BYTES}
        assert not without & set(TARGET_BYTES)


def test_a_small_vocabulary_is_all_candidates():
    candidates_C, allowed_BC = Shortlist(torch.full((20, 1), EOS), torch.arange(20)).candidates(
        torch.tensor([[5, EOS]])
    )
    assert candidates_C[allowed_BC[0]].tolist() == list(range(20))


def test_saved_equals_loaded(tmp_path):
    shortlist = some_shortlist()
    shortlist.save(tmp_path / "s.safetensors")
    loaded = Shortlist.load(tmp_path / "s.safetensors", SIZE, SIZE)
    source_BS = torch.from_numpy(np.random.default_rng(1).integers(4, SIZE, (5, 7)))
    for ours, theirs in zip(
        loaded.candidates(source_BS), shortlist.candidates(source_BS), strict=True
    ):
        assert torch.equal(ours, theirs)


def parts(**changed):
    nothing = torch.zeros(0, dtype=torch.int32)
    best, frequent = (
        torch.full((SIZE, 2), EOS, dtype=torch.int32),
        torch.arange(SIZE, dtype=torch.int32),
    )
    return {
        "best": best,
        "frequent": frequent,
        "source_bytes": nothing,
        "target_bytes": nothing,
    } | changed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"best": torch.zeros(SIZE, dtype=torch.int32)}, "not a shortlist"),
        ({"more": torch.zeros(1)}, "not a shortlist"),
        ({"best": torch.zeros(SIZE - 1, 2, dtype=torch.int32)}, "the shortlist of another model"),
        ({"frequent": torch.arange(SIZE + 1, dtype=torch.int32)}, "the shortlist of another model"),
        (
            {"frequent": torch.arange(SIZE, dtype=torch.int32) + 1},
            "names pieces that the model does not have",
        ),
        (
            {"best": torch.full((SIZE, 2), -1, dtype=torch.int32)},
            "names pieces that the model does not have",
        ),
        ({"best": torch.zeros(SIZE, 2)}, "names pieces that the model does not have"),
        (
            {"source_bytes": torch.tensor([SIZE], dtype=torch.int32)},
            "names pieces that the model does not have",
        ),
        (
            {"target_bytes": torch.tensor([SIZE], dtype=torch.int32)},
            "names pieces that the model does not have",
        ),
    ],
)
def test_the_shortlist_of_something_else_is_refused(changed, message, tmp_path):
    save_file(parts(), tmp_path / "good")
    Shortlist.load(tmp_path / "good", SIZE, SIZE)
    save_file(parts(**changed), tmp_path / "bad")
    with pytest.raises(
        NmtError, match=f"bad: {message}; delete it, and the `nmt train` of this run makes it again"
    ):
        Shortlist.load(tmp_path / "bad", SIZE, SIZE)


@pytest.mark.parametrize("content", [None, b"", b"no shortlist at all"])
def test_a_file_that_is_missing_or_damaged_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "s").write_bytes(content)
    with pytest.raises(NmtError, match="cannot read the shortlist"):
        Shortlist.load(tmp_path / "s", SIZE, SIZE)
