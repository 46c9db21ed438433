import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_engine import FP32, hypotheses, spread_out
from test_seq2seq import V

from nmt.data.subwords import BOS, EOS, PAD, UNK
from nmt.errors import NmtError
from nmt.inference.engine import Engine, in_pieces
from nmt.inference.packing import Kernels
from nmt.inference.shortlist import FREQUENT, STEP, Shortlist, learn_shortlist
from nmt.search.picks import Hypothesis

SIZE = 1000


def dictionary():
    """Source piece p always stands beside target piece p + 100, in sentences of three that change their neighbours."""
    random = np.random.default_rng(1)
    sources = [random.choice(np.arange(10, 60), 3, replace=False) for _ in range(300)]
    return sources, [random.permutation(source) + 100 for source in sources]


def test_a_dictionary_is_learnt_from_sentences():
    best_VX = learn_shortlist(*dictionary(), SIZE, SIZE).best_VX
    assert best_VX[10:60, 0].tolist() == list(range(110, 160))


def test_frequent_pieces_come_first():
    targets = [np.array([7, 7, 7, 9]), np.array([9, 8])]
    shortlist = learn_shortlist([np.array([5]), np.array([6])], targets, SIZE, SIZE)
    assert shortlist.frequent_V[:3].tolist() == [7, 9, 8]


def test_candidates_are_special_frequent_and_likely_pieces_in_rising_order():
    best_VX = torch.full((SIZE, 2), EOS)
    best_VX[5], best_VX[6] = torch.tensor([900, 901]), torch.tensor([902, 900])
    frequent_V = torch.arange(SIZE).flip(0)
    candidates = Shortlist(best_VX, frequent_V).candidates(torch.tensor([[5, 6, EOS], [5, EOS, PAD]])).tolist()
    assert candidates == sorted(set(candidates))
    assert candidates[:4] == [PAD, UNK, BOS, EOS]
    assert {900, 901, 902, *range(SIZE - FREQUENT, SIZE)} <= set(candidates)
    assert len(candidates) % STEP == 0


def test_a_vocabulary_smaller_than_its_frequent_pieces_is_all_candidates():
    shortlist = learn_shortlist([np.array([5])], [np.array([6])], V, V)
    assert shortlist.candidates(torch.tensor([[5, EOS]])).tolist() == list(range(V))


def test_no_pairs_give_a_shortlist_of_frequent_pieces():
    assert len(learn_shortlist([], [], SIZE, SIZE).candidates(torch.tensor([[5, EOS]]))) % STEP == 0


@pytest.mark.parametrize("kernels", [FP32, Kernels(precision="bf16"), Kernels(precision="int8", fast_bf16=True)], ids=str)
def test_a_shortlist_of_all_pieces_changes_nothing(kernels):
    model = spread_out({})
    everything = Shortlist(torch.full((V, 1), EOS), torch.arange(V))
    sources = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [4, 4], [9, 7, 5, 11]]
    plain, short = (hypotheses(Engine(model, kernels, shortlist), sources, 3) for shortlist in (None, everything))
    if kernels.precision == "int8":  # whose shortlists are not rounded to 8 bits
        assert [len(pieces) > 0 for pieces in short] == [len(pieces) > 0 for pieces in plain]
    else:
        assert short == plain


def test_a_few_sentences_are_not_worth_a_shortlist():
    engine = Engine(spread_out({}), FP32, Shortlist(torch.full((V, 1), EOS), torch.arange(V)))
    rows = [engine.encode(torch.full((count, 2), 5), torch.full((count,), 2)).candidates_C for count in (1, 3, 4)]
    assert [candidates_C is None for candidates_C in rows] == [True, True, False]


def test_columns_become_pieces():
    found = [[Hypothesis((4, 5), -1.0, -0.5)]]
    assert in_pieces(found, None) is found
    assert in_pieces(found, torch.tensor([0, 1, 2, 3, 17, 40])) == [[Hypothesis((17, 40), -1.0, -0.5)]]


def test_saved_equals_loaded(tmp_path):
    shortlist = learn_shortlist(*dictionary(), SIZE, SIZE)
    shortlist.save(tmp_path / "s.safetensors")
    loaded = Shortlist.load(tmp_path / "s.safetensors", SIZE, SIZE)
    assert torch.equal(loaded.best_VX, shortlist.best_VX)
    assert torch.equal(loaded.frequent_V, shortlist.frequent_V)


def test_a_file_that_is_no_shortlist_is_refused(tmp_path):
    with pytest.raises(NmtError, match="cannot read the shortlist"):
        Shortlist.load(tmp_path / "none", SIZE, SIZE)
    save_file({"best": torch.zeros(SIZE, 2, dtype=torch.int32)}, tmp_path / "part")
    with pytest.raises(NmtError, match="the shortlist of another model; export the model again"):
        Shortlist.load(tmp_path / "part", SIZE, SIZE)
    Shortlist(torch.zeros(SIZE, 2), torch.arange(SIZE) + 1).save(tmp_path / "beyond")
    with pytest.raises(NmtError, match="names pieces that the model does not have"):
        Shortlist.load(tmp_path / "beyond", SIZE, SIZE)
