"""The shortlist is learnt by model 1 from an even sample of the store, and copies are always
candidates."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from conftest import WORDS, write_corpus

from nmt.data.batches import padded
from nmt.data.store import build_store
from nmt.engines import lexicon
from nmt.engines import shortlist as shortlist_module
from nmt.engines.lexicon import (
    BEST,
    added,
    best_targets,
    copies_of,
    learn_shortlist,
    link_counts,
    sampled_rows,
)
from nmt.recipe import DataConfig, SubwordsConfig
from nmt.text.clean import Audit
from nmt.text.corpus import read_pairs
from nmt.text.subwords import train_subword_pair
from nmt.vocabulary import EOS

SIZE = 200


def dictionary():
    """Source piece p always stands beside target piece p + 100, in sentences of three that
    change their neighbours."""
    random = np.random.default_rng(1)
    sources = [random.choice(np.arange(10, 60), 3, replace=False) for _ in range(300)]
    return sources, [random.permutation(source) + 100 for source in sources]


def slow_counts(sources, targets, rounds):
    """Model 1 (Brown et al. 1993, eqs. 16 and 17) in plain Python: {(source piece, target
    piece): expected count}."""
    probabilities = defaultdict(lambda: 1.0)
    for _ in range(rounds):
        counts, totals = defaultdict(float), defaultdict(float)
        for source, target in zip(sources, targets, strict=True):
            for piece in target:
                norm = sum(probabilities[other, piece] for other in (*source, EOS))
                for other in (*source, EOS):
                    counts[int(other), int(piece)] += probabilities[other, piece] / norm
        for (source_piece, _), count in counts.items():
            totals[source_piece] += count
        probabilities = {pair: count / totals[pair[0]] for pair, count in counts.items()}
    return counts


def test_counts_are_those_of_model_1():
    random = np.random.default_rng(2)
    sources = [random.integers(4, 12, random.integers(1, 6)) for _ in range(40)]
    targets = [random.integers(4, 12, random.integers(1, 6)) for _ in range(40)]
    keys, counts = link_counts(sources, targets, SIZE)
    assert keys.tolist() == sorted(keys.tolist())
    found = {
        (int(key) // SIZE, int(key) % SIZE): count for key, count in zip(keys, counts, strict=True)
    }
    assert found == pytest.approx(dict(slow_counts(sources, targets, lexicon.ROUNDS)))
    assert counts.sum() == pytest.approx(
        sum(map(len, targets))
    )  # each target piece is called for once


def test_a_dictionary_is_learnt_from_sentences():
    best_VX = best_targets(link_counts(*dictionary(), SIZE), [[]] * SIZE, SIZE)
    assert best_VX[10:60, 0].tolist() == list(range(110, 160))
    assert (best_VX[60:] == EOS).all()


def test_counts_of_parts_are_added_key_by_key():
    keys, counts = added(
        (np.array([3, 7]), np.array([1.0, 2.0])), (np.array([1, 7]), np.array([4.0, 0.5]))
    )
    assert (keys.tolist(), counts.tolist()) == ([1, 3, 7], [4.0, 1.0, 2.5])


def test_the_best_are_followed_by_copies_that_are_never_crowded_out():
    size = 2 * BEST
    counts = (
        np.arange(size),
        np.arange(size, 0.0, -1),
    )  # source piece 0 with every target piece, the first ones most often
    best_VX = best_targets(counts, [[150, 151], [7]], size)
    assert best_VX[0].tolist() == [*range(BEST - 2), 150, 151]
    assert best_VX[1].tolist() == [EOS] * (BEST - 1) + [7]


def test_the_sample_is_even_and_bounded(monkeypatch):
    monkeypatch.setattr(lexicon, "ROWS", 400)
    monkeypatch.setattr(lexicon, "LINKS", 1000)
    monkeypatch.setattr(lexicon, "CHUNK", 300)
    lengths = (
        np.full(1000, 4, np.int32),
        np.full(1000, 2, np.int32),
    )  # 10 links a pair, the end of sentence included
    # Every 3rd of 1000 rows is within ROWS, 334 of them; every 4th of those is within LINKS, 84 of
    # them with 840 links.
    parts = list(sampled_rows(*lengths))
    assert np.concatenate(parts).tolist() == list(range(0, 1000, 12))
    assert [10 * len(part) for part in parts] == [290, 300, 250]
    monkeypatch.undo()
    assert [part.tolist() for part in sampled_rows(*lengths)] == [list(range(1000))]


def pair_of(source_lines, target_lines, joint=True, **settings):
    config = SubwordsConfig(variety=0.0, vocab_size=0, joint=joint, **settings)
    return train_subword_pair(zip(source_lines, target_lines, strict=True), config, seed=1)


SOURCE_LINES = [f"tuin {number} kat\u00e9 zee" for number in range(200)]
TARGET_LINES = [f"garden {number} cat sea" for number in range(200)]


def test_with_joint_subwords_each_piece_is_its_own_copy():
    subwords = pair_of(SOURCE_LINES, TARGET_LINES)
    assert copies_of(subwords) == [[piece] for piece in range(subwords.source.size)]


def test_with_separate_subwords_a_copy_is_the_same_text():
    subwords = pair_of(SOURCE_LINES, TARGET_LINES, joint=False)
    size = subwords.source.size
    copies = dict(zip(subwords.source.pieces(range(size)), copies_of(subwords), strict=True))
    shared = set(copies) & set(subwords.target.pieces(range(subwords.target.size)))
    assert all(subwords.target.pieces(copies[text]) == [text] for text in shared)
    foreign = [text for text in copies if text not in shared]
    assert any("\u00e9" in text for text in foreign)  # the target knows no such letter: two bytes
    for text in foreign:
        assert (
            b"".join(spelt(piece) for piece in subwords.target.pieces(copies[text])).decode()
            == text
        )


def spelt(piece):
    return bytes([int(piece[3:5], 16)]) if piece.startswith("<0x") else piece.encode()


def test_without_byte_pieces_what_cannot_be_copied_is_left_out():
    subwords = pair_of(SOURCE_LINES, TARGET_LINES, joint=False, byte_fallback=False)
    (letter,) = [
        piece
        for piece in range(subwords.source.size)
        if subwords.source.pieces([piece]) == ["\u00e9"]
    ]
    assert copies_of(subwords)[letter] == []


@pytest.fixture(params=[lexicon.CHUNK, 5000], ids=["in one part", "in parts"])
def learnt(tmp_path, monkeypatch, request):
    """The shortlist of a made-up corpus of some 20,000 links, and its subwords."""
    monkeypatch.setattr(lexicon, "CHUNK", request.param)
    monkeypatch.setattr(shortlist_module, "FREQUENT", 5)  # of few pieces in all
    data = DataConfig(
        train=(write_corpus(tmp_path / "train", 400),), dev="d", source="nl", target="en"
    )
    pairs = list(read_pairs(data.train[0], "nl", "en"))
    subwords = train_subword_pair(
        [(pair.source, pair.target) for pair in pairs],
        SubwordsConfig(variety=0.0, vocab_size=330),
        seed=1,
    )
    store = build_store(tmp_path / "store", pairs, subwords, data, Audit())
    assert (len(list(sampled_rows(store.source_lengths, store.target_lengths))) > 1) == (
        request.param == 5000
    )
    return learn_shortlist(store, subwords), subwords


def candidates(shortlist, subwords, line):
    """The pieces that the translation of this line may have."""
    candidates_C, allowed_BC = shortlist.candidates(
        padded(subwords.source.encode([line]), suffix=(EOS,))[0]
    )
    return set(candidates_C[allowed_BC[0]].tolist())


def test_a_word_calls_for_its_translation_and_itself(learnt):
    for word in WORDS:
        for text in (word, word.upper()):
            assert set(learnt[1].target.encode([text])[0]) <= candidates(*learnt, word)


def test_a_rare_character_calls_for_all_bytes_and_others_do_not(learnt):
    every_byte = set(learnt[1].target.byte_pieces)
    assert len(every_byte) == 256
    assert every_byte <= candidates(*learnt, "aap \u732b")
    assert not every_byte <= candidates(*learnt, "aap")


def test_frequent_pieces_come_first(learnt, tmp_path):
    shortlist, subwords = learnt
    counts = Counter(
        piece
        for ids in subwords.target.encode((tmp_path / "train.en").read_text().splitlines())
        for piece in ids
    )
    assert [counts[piece] for piece in shortlist.frequent_V.tolist()] == sorted(
        (counts[p] for p in range(330)), reverse=True
    )
