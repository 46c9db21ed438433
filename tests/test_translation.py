import pytest
from conftest import untrained_translator

LINES = ["aap noot mies", "", "wim zus jet teun vuur gijs"]


@pytest.fixture(scope="module")
def translator():
    return untrained_translator()


def test_attention_is_that_of_force_decoding(translator):
    names = translator.subwords.target.pieces(range(translator.subwords.target.size))
    for line, translations in zip(LINES, translator.nbest(LINES, 2, attention=True), strict=True):
        source = translator.subwords.source.encode([line])[0]
        for each in translations if line else ():
            pieces = [names.index(piece) for piece in each.pieces]
            (forced,) = translator.network.force_decode([source], [pieces])
            assert [list(row) for row in each.attention] == [
                pytest.approx(row, abs=1e-5) for row in forced.weights_TS.tolist()
            ]
            assert list(each.source_pieces) == [*translator.subwords.source.pieces(source), "</s>"]
            assert (each.piece_log_probs, each.alignment) == ((), ())


def test_segments_attend_to_their_own_source(translator):
    line = "aap noot mies wim zus jet teun vuur gijs lam kees bok . " * 3
    (best,) = translator.nbest([line], 1, attention=True, details=True)[0]
    assert best.segments > 1
    assert len(best.attention) == len(best.piece_log_probs) == len(best.pieces) + best.segments
    ends = [place + 1 for place, piece in enumerate(best.source_pieces) if piece == "</s>"]
    assert len(ends) == best.segments
    assert ends[-1] == len(best.source_pieces)
    spans = list(zip([0, *ends], ends, strict=False))
    homes = [
        next(number for number, (start, end) in enumerate(spans) if sum(row[start:end]) > 0.5)
        for row in best.attention
    ]
    assert homes == sorted(homes)
    for home, row in zip(homes, best.attention, strict=True):
        start, end = spans[home]
        assert len(row) == len(best.source_pieces)
        assert sum(row[start:end]) == pytest.approx(1, abs=1e-5)
        assert not any(row[:start] + row[end:])


def test_nobody_else_pays_for_attention(translator):
    for (best,) in translator.nbest(["aap"], 1, details=True):
        assert (best.attention, best.source_pieces) == ((), ())
