import math
import random
import subprocess
import sys
from collections import Counter

import pytest

from nmt.recipe import SubwordsConfig
from nmt.text.subwords import Subwords, train_subwords

GENERATOR = random.Random(1)
SYLLABLES = ["ka", "lo", "mi", "ren", "sta", "vo", "ui", "ge", "ën", "🙂"]
WORDS = ["".join(GENERATOR.choices(SYLLABLES, k=GENERATOR.randint(1, 4))) for _ in range(300)]
LINES = [" ".join(GENERATOR.choices(WORDS, k=GENERATOR.randint(1, 9))) for _ in range(400)]


def trained(kind: str) -> Subwords:
    return train_subwords(
        LINES, SubwordsConfig(variety=0.0, kind=kind, vocab_size=380), 380, seed=1
    )


UNIGRAM, BPE = trained("unigram"), trained("bpe")
HARD = [*LINES, "", "  twee  spaties ", "Ω nooit gezien", "x" * 100]


@pytest.mark.parametrize("subwords", [UNIGRAM, BPE], ids=["unigram", "bpe"])
def test_samples_spell_the_same_text(subwords):
    assert subwords.decode(subwords.sample(HARD, 0.3, 1)) == subwords.decode(subwords.encode(HARD))


def test_bpe_that_drops_next_to_nothing_is_sentencepieces_own_segmentation():
    assert BPE.sample(HARD, 1e-15, 1) == BPE.encode(HARD)


def test_unigram_sampling_at_a_high_alpha_is_as_probable_as_the_best_segmentation():
    def score(ids):
        return sum(UNIGRAM._processor.get_score(piece) for piece in ids)

    for sampled, best in zip(UNIGRAM.sample(HARD, 1e6, 1), UNIGRAM.encode(HARD), strict=True):
        assert score(sampled) == pytest.approx(score(best), abs=1e-3)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_words_are_segmented_as_often_as_their_probability_says(alpha):
    word = max(WORDS, key=len)
    candidates = UNIGRAM._processor.nbest_encode(word, nbest_size=64)
    weights = [
        math.exp(alpha * sum(UNIGRAM._processor.get_score(piece) for piece in ids))
        for ids in candidates
    ]
    n = 20_000
    counts = Counter(map(tuple, UNIGRAM.sample([word] * n, alpha, 7)))
    for ids, weight in zip(candidates, weights, strict=True):
        p = weight / sum(weights)
        assert abs(counts[tuple(ids)] - n * p) < 5 * math.sqrt(n * p * (1 - p)) + 1


def test_everything_dropped_leaves_characters():
    (ids,) = BPE.sample(["kalo"], 1.0, 1)
    assert "".join(BPE.pieces(ids)) == "▁kalo"
    assert all(len(piece) == 1 for piece in BPE.pieces(ids))


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_other_processes_draw_the_same(tmp_path, kind):
    subwords = {"unigram": UNIGRAM, "bpe": BPE}[kind]
    subwords.save(tmp_path / "model")
    code = (
        "import sys, pathlib; from nmt.text.subwords import Subwords;"
        " print(Subwords.load(pathlib.Path(sys.argv[1])).sample(['kalomi renstavo', 'uigeën'],"
        " 0.2, 3))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(subwords.sample(["kalomi renstavo", "uigeën"], 0.2, 3))
