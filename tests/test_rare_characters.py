from itertools import product

from nmt.recipe import SubwordsConfig
from nmt.text.rare_characters import RANGES, sprinkle
from nmt.text.subwords import SubwordPair, train_subwords

LINES = [
    " ".join(words)
    for words in product(("de kat", "een hond"), ("ziet", "hoort"), ("mij", "jou", "ons"))
] * 20
SUBWORDS = train_subwords(LINES, SubwordsConfig(variety=0.0), 300, seed=1)
PAIR = SubwordPair(SUBWORDS, SUBWORDS)
IDS = SUBWORDS.encode(LINES)


def is_rare(word):
    return all(any(first <= ord(character) <= last for first, last in RANGES) for character in word)


def test_both_sides_get_the_same_word_and_keep_the_rest():
    sources, targets = sprinkle(IDS, IDS[::-1], PAIR, 1.0, seed=1)
    places = set()
    for new_source, new_target, source, target in zip(
        SUBWORDS.decode(sources), SUBWORDS.decode(targets), LINES, LINES[::-1], strict=True
    ):
        added = [
            [word for word in line.split() if is_rare(word)] for line in (new_source, new_target)
        ]
        assert added[0] == added[1]
        assert len(added[0]) == 1
        assert [word for word in new_source.split() if not is_rare(word)] == source.split()
        assert [word for word in new_target.split() if not is_rare(word)] == target.split()
        places.add(new_source.split().index(added[0][0]) / len(source.split()))
    assert {0.0, 1.0} < places


def changed(share, seed):
    return sum(a != b for a, b in zip(sprinkle(IDS, IDS, PAIR, share, seed)[0], IDS, strict=True))


def test_the_share_is_kept_over_many_batches_and_gathered_in_a_few():
    assert changed(0.0, seed=1) == 0
    assert changed(1.0, seed=1) == len(IDS)
    counts = [changed(0.1, seed) for seed in range(300)]
    # A batch has rare characters with probability 0.4, then each of its rows with 0.25.
    assert abs(sum(count > 0 for count in counts) / 300 - 0.4) < 4 * (0.4 * 0.6 / 300) ** 0.5
    assert abs(sum(counts) / (300 * len(IDS)) - 0.1) < 4 * 0.25 * (0.4 * 0.6 / 300) ** 0.5 + 0.005


def test_the_seed_decides():
    assert (
        sprinkle(IDS, IDS, PAIR, 0.5, seed=3)
        == sprinkle(IDS, IDS, PAIR, 0.5, seed=3)
        != sprinkle(IDS, IDS, PAIR, 0.5, seed=4)
    )


def test_an_empty_side_takes_the_word_too():
    sources, targets = sprinkle([[]], [IDS[0]], PAIR, 1.0, seed=1)
    assert is_rare(SUBWORDS.decode(sources)[0])
    assert len(targets[0]) == len(IDS[0]) + len(sources[0])
