from pathlib import Path

import pytest
import torch
from conftest import untrained_translator

from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.recipe import SubwordsConfig
from nmt.search.beam import beam_search
from nmt.search.settings import SearchSettings
from nmt.text.lines import Line
from nmt.text.subwords import SubwordPair, train_subwords
from nmt.translation.inputs import cut_lines
from nmt.translation.job import Chunk, TranslationTask
from nmt.translation.options import SearchOptions
from nmt.vocabulary import EOS

LINES = ["aap noot mies", "", "wim zus jet teun vuur gijs", "lam", "bok weide does hok duif"]
PREFIXES = ["NOOT", "AAP", "", "MIES WIM ZUS JET", "SCHAPEN DU"]


@pytest.fixture(scope="module")
def translator():
    return untrained_translator()


@pytest.mark.parametrize("engine", [True, False])
@pytest.mark.parametrize("beam", [1, 3])
def test_every_translation_begins_with_the_pieces_of_its_prefix(engine, beam):
    translator = untrained_translator(engine=engine)
    found = translator.nbest(LINES, beam, beam, prefixes=PREFIXES)
    for line, prefix, translations in zip(LINES, PREFIXES, found, strict=True):
        pieces = translator.subwords.target.pieces(translator.subwords.target.encode([prefix])[0])
        assert all(
            list(each.pieces[: len(pieces)]) == pieces and each.text.startswith(prefix)
            for each in translations
            if line
        )
    assert found[1][0].text == ""  # a blank line
    assert translator.translate(LINES, beam, prefixes=PREFIXES) == [
        translations[0].text for translations in found
    ]


def test_a_line_without_a_prefix_is_translated_as_if_no_line_had_one(translator):
    forced, plain = translator.nbest(LINES, 3, prefixes=PREFIXES)[2], translator.nbest(LINES, 3)[2]
    assert [each.pieces for each in forced] == [each.pieces for each in plain]
    assert translator.nbest(LINES, 3, prefixes=[""] * 5) == translator.nbest(LINES, 3)


def test_the_models_own_greedy_output_as_its_prefix_changes_nothing(translator):
    sources = translator.subwords.source.encode([line for line in LINES if line])
    settings = SearchSettings(beam=1, length_extra=12)
    free = [best for (best,) in beam_search(translator.network, sources, settings).hypotheses]
    prefixes = [best.pieces for best in free]
    forced = beam_search(translator.network, sources, settings, prefixes).hypotheses
    for before, (after,) in zip(free, forced, strict=True):
        assert after.pieces == before.pieces
        assert (after.log_prob, after.score) == pytest.approx(
            (before.log_prob, before.score), abs=1e-4
        )


def test_the_pieces_of_a_prefix_count_with_the_models_own_log_probabilities(translator):
    for (best,) in translator.nbest(
        ["aap noot mies", "lam"], 1, details=True, prefixes=["MIES", "SCHAPEN"]
    ):
        assert sum(best.piece_log_probs) == pytest.approx(best.log_prob, abs=1e-4)


def test_a_prefix_is_never_cut_short(translator):
    long = "SCHAPEN WEIDE " * 10
    for options in (SearchOptions(), SearchOptions(max_length=3), SearchOptions(no_repeat_ngram=2)):
        assert translator.translate(["lam"], options=options, prefixes=[long])[0].startswith(
            long.strip()
        )


def test_a_prefix_belongs_to_the_first_segment_of_its_line(translator):
    line = "aap noot mies wim zus jet teun vuur gijs lam kees bok . " * 3
    alone = translator.nbest([line], 1)[0][0]
    (best,) = translator.nbest([line], 1, prefixes=["NOOT"])[0]
    assert best.segments == alone.segments > 1
    assert best.text.count("NOOT") >= 1
    assert best.text.startswith("NOOT")
    segments = cut_lines([line], ["NOOT"], translator.subwords, 40)
    assert [bool(segment.prefix) for segment in segments] == [True] + [False] * (best.segments - 1)


def test_a_shortlist_that_lacks_a_prefixs_pieces_is_not_used_with_it():
    translator = untrained_translator()
    size, (piece, *_) = (
        translator.subwords.target.size,
        translator.subwords.target.encode(["SCHAPEN"])[0],
    )
    others = torch.tensor(
        [each for each in range(size) if each != piece] + [piece]
    )  # the shortlist never comes to the last one
    shortlist = Shortlist(torch.full((size, 1), EOS), others)
    short = untrained_translator(shortlist=shortlist)
    lines, prefixes = ["aap", "noot", "mies", "wim", "zus"], ["SCHAPEN"] * 5
    assert short.nbest(lines, 2, prefixes=prefixes) == translator.nbest(lines, 2, prefixes=prefixes)


def test_prefixes_that_do_not_go_with_their_lines_are_refused(translator):
    with pytest.raises(
        NmtError, match="line 2 has no partner; give one prefix for each line, '' for none"
    ):
        translator.translate(["aap", "noot"], prefixes=["AAP"])
    with pytest.raises(NmtError, match="prefix 2 has no partner"):
        translator.nbest(["aap"], 1, prefixes=["AAP", "NOOT"])
    with pytest.raises(
        NmtError, match="prefixes must be several lines, got the text 'AAP'; put it in a list"
    ):
        translator.translate(["aap"], prefixes="AAP")


def test_a_prefix_with_a_character_that_has_no_piece_is_refused():
    subwords = train_subwords(
        ["aap noot"], SubwordsConfig(variety=0.0, kind="char", byte_fallback=False), 50, seed=1
    )
    assert cut_lines(["Ω"], [""], SubwordPair(subwords, subwords), 9)[
        0
    ].ids  # in the source it is only unknown
    with pytest.raises(
        NmtError,
        match="prefix 'Ω': the model has no piece for some of its characters; leave them out",
    ):
        cut_lines(["aap"], ["Ω"], SubwordPair(subwords, subwords), 9)


def test_a_task_names_the_line_of_such_a_prefix():
    subwords = train_subwords(
        ["aap noot"], SubwordsConfig(variety=0.0, kind="char", byte_fallback=False), 50, seed=1
    )
    other = untrained_translator()
    other.subwords = SubwordPair(subwords, subwords)
    task = TranslationTask(
        model=Path("model"),
        device="cpu",
        precision="fp32",
        shortlist=False,
        name="in.jsonl",
        form="jsonl",
    )
    chunk = Chunk(2000, [Line("aap", {"text": "aap"}, "noot"), Line("aap", {"text": "aap"}, "Ω")])
    with pytest.raises(
        NmtError,
        match=(
            r"^in\.jsonl:2002: prefix 'Ω': the model has no piece for some of its characters; leave"
            r" them out"
        ),
    ):
        task.of(other).render(chunk)
