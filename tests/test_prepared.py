import json
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
from conftest import untrained_translator

from nmt.engines.packed.layers import Kernels
from nmt.engines.packed.network import PackedNetwork
from nmt.errors import NmtError
from nmt.model.translation import Seq2Seq
from nmt.recipe import DataConfig, ModelConfig, Recipe, SearchConfig, SubwordsConfig
from nmt.search.required import is_faithful
from nmt.text.lines import json_lines
from nmt.text.markup import ALL, MARK, PLACEHOLDERS
from nmt.text.subwords import SubwordPair, train_subwords
from nmt.translation.job import Chunk, TranslationTask
from nmt.translation.prepared import Unit, restored, unit_places, units_of
from nmt.translation.result import Translation
from nmt.translation.translator import Translator

TEXTS = ["de kat zit op de mat.", "Kan Tom mij horen? Ja!", "wie zag dat, jij?"] * 30
SUBWORDS = train_subwords(TEXTS, SubwordsConfig(), 330, seed=1)
PAIR = SubwordPair(SUBWORDS, SUBWORDS)
ONE, TWO = PLACEHOLDERS["number"][:2]
ENTITY = PLACEHOLDERS["entity"][0]


def texts(line, language="nl"):
    return [unit.text for unit in units_of([(line, "")], PAIR, language)]


def test_a_line_becomes_sentences_with_placeholders_and_full_stops():
    assert texts("Kan ik 12.500 zien?  ZIE DAT A@B.NL") == [
        f"Kan ik {ONE} zien?",
        f"Zie dat {ENTITY}.",
    ]


def test_what_no_piece_has_is_copied_and_neighbours_are_one():
    assert texts("de kat 😀 Ωμέγα Ψ zit") == [f"de kat {ENTITY} {PLACEHOLDERS['entity'][1]} zit."]


def test_names_are_copied_but_not_nouns_with_capitals():
    assert texts("de Kizhmog zit.") == [f"de {ENTITY} zit."]
    assert texts("de Kizhmog zit.", "de") == ["de Kizhmog zit."]


def test_a_prefix_a_blank_line_and_a_model_without_placeholders_leave_a_line_alone():
    assert units_of([("KOM! JA", "a"), (" ", "")], PAIR, "nl") == [
        Unit(0, "KOM! JA", "a"),
        Unit(1, " "),
    ]
    older = untrained_translator().subwords
    assert units_of([("KOM! JA 5", "")], older, "nl") == [Unit(0, "KOM! JA 5")]


def test_what_a_translation_left_out_comes_at_its_end_and_is_named():
    unit = Unit(0, "", spans=MappingProxyType({ONE: "12.500", TWO: "7"}))
    (found,) = restored([Translation(f"a {TWO} b {TWO} c", 0.0, 0.0, ())], unit)
    assert found.text == "a 7 b  c 12.500"
    assert found.unplaced == ("12.500",)


def test_a_faithful_translation_has_each_placeholder_of_its_source_once():
    marks = SUBWORDS.placeholders
    assert marks == list(range(4, 4 + len(ALL)))
    assert is_faithful([4, 50, 5], [5, 60, 4], marks)
    assert not is_faithful([4, 50], [50], marks)
    assert not is_faithful([4, 50], [4, 4], marks)
    assert not is_faithful([50], [4], marks)


def test_the_first_unit_of_a_line_has_its_place_and_the_others_a_number_behind_it():
    units = [Unit(0, "a"), Unit(0, "b"), Unit(0, "c"), Unit(1, "d")]
    assert unit_places(units, [(3, 0), (4, 0)]) == [(3, 0), (3, 0, 1), (3, 0, 2), (4, 0)]


@pytest.fixture(scope="module")
def translator():
    recipe = Recipe(
        data=DataConfig(train=("train",), dev="dev", source="nl", target="en"),
        model=ModelConfig(embedding_size=12, hidden_size=16),
        search=SearchConfig(beam=3, max_length_factor=1.0, max_length_extra=6),
    )
    torch.manual_seed(1)
    model = Seq2Seq(recipe.model, SUBWORDS.size, SUBWORDS.size, shared=True).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return Translator(PackedNetwork(model, Kernels(precision="fp32")), PAIR, recipe)


LINES = [
    "Kan ik 12.500 zien? Mail a@b.nl of <b>kom</b>.",
    "",
    "KAN 5 KAT",
    "de kat 😀",
    " ".join(map(str, range(100, 140))),
    "wie zag dat, jij?",
]


def test_nothing_to_copy_is_ever_lost_even_by_a_network_that_has_learnt_nothing(translator):
    found = translator.translate(LINES)
    assert len(found) == len(LINES)
    assert not MARK.search("".join(found))
    for part in ("12.500", "a@b.nl", "<b>", "</b>"):
        assert found[0].count(part) == 1
    assert found[1] == ""
    assert found[2].count("5") == 1
    assert found[3].count("😀") == 1


def test_neighbours_change_no_translation(translator):
    assert translator.translate(LINES) == [translator.translate([line])[0] for line in LINES]


def test_details_of_a_line_of_several_sentences_are_of_all_its_pieces(translator):
    (best, *_) = translator.nbest([LINES[0]], 2, details=True)[0]
    assert len(best.piece_log_probs) == len(best.pieces) + 2  # two ends of sentence
    assert best.segments == 1


def test_a_required_term_is_written_even_by_a_network_that_has_learnt_nothing(translator):
    lines = ["de kat zit.", "De kat zag mij.", "wie zag dat?"]
    found = translator.translate(lines, terms={"kat": "FELINE"})
    assert [text.count("FELINE") for text in found] == [1, 1, 0]


def test_terms_need_placeholders():
    with pytest.raises(NmtError, match="terms need a model with placeholder pieces"):
        untrained_translator().translate(["a"], terms={"a": "b"})


def test_a_json_line_may_bring_its_terms(translator):
    lines = [{"text": "de kat zit.", "terms": {"kat": "FELINE"}}, {"text": "de kat zit."}]
    raw = [json.dumps(line).encode() for line in lines]
    task = TranslationTask(
        model=Path("m"), device="cpu", precision="fp32", shortlist=False, name="in", form="jsonl"
    )
    chunk = Chunk(0, list(json_lines(raw, "in", print)))
    written = [json.loads(line)["translation"] for line in task.of(translator).render(chunk).lines]
    assert ["FELINE" in text for text in written] == [True, False]
    wrong = Chunk(4, list(json_lines([b'{"text": "a", "terms": 3}'], "in", print)))
    with pytest.raises(NmtError, match="in:5: terms must be an object"):
        task.of(translator).render(wrong)


def test_tags_stand_apart_for_the_network_and_close_to_their_words_again():
    (unit,) = units_of([("de <b>kat</b> zit <i> hier.", "")], PAIR, "nl")
    one, two, three = PLACEHOLDERS["entity"][:3]
    assert unit.text == f"de {one} kat {two} zit {three} hier."
    text = f"the {two} cat {one} sits {three} here."  # the network exchanged two of them
    (found,) = restored([Translation(text, 0.0, 0.0, ())], unit)
    assert found.text == "the <b>cat</b> sits <i> here."
