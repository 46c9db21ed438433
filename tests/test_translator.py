import json
import math
import random
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from nmt.engines.export import average_checkpoints, export_model
from nmt.engines.packed.layers import Kernels
from nmt.engines.packed.network import PackedNetwork
from nmt.errors import NmtError
from nmt.files import file_hash
from nmt.folders import open_folder
from nmt.model.weights import read_weights
from nmt.run_folder import RunFolder
from nmt.training.run import train
from nmt.translation.translator import Translator, choose_device
from nmt.vocabulary import EOS

FP32 = Kernels(precision="fp32")
LINES = [
    "aap noot mies",
    "",
    "wim zus jet teun vuur gijs",
    "lam",
    "   ",
    "🙂 kees a\u2028b",
    "bok weide does hok duif schapen aap noot",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from conftest import write_corpus

    from nmt.recipe import DataConfig, ModelConfig, Recipe, SubwordsConfig, TrainingConfig

    folder = tmp_path_factory.mktemp("model")
    recipe = Recipe(
        data=DataConfig(
            train=(write_corpus(folder / "train", 400),),
            dev=write_corpus(folder / "dev", 5, seed=2),
            source="nl",
            target="en",
            max_length=60,
        ),
        subwords=SubwordsConfig(variety=0.0, vocab_size=340),
        model=ModelConfig(embedding_size=32, hidden_size=32, dropout=0.1),
        training=TrainingConfig(
            epochs=10, batch_pieces=256, warmup=20, learning_rate=1e-2, precision="fp32"
        ),
    )
    list(train(recipe, folder / "run"))
    return folder / "run"


@pytest.fixture(scope="module")
def translator(run):
    return Translator.load(run, device="cpu", precision="fp32")


def test_as_many_lines_out_as_in_and_blank_stays_blank(translator):
    translations = translator.translate(LINES)
    assert [bool(text) for text in translations] == [bool(line.strip()) for line in LINES]


@pytest.mark.parametrize("beam", [1, 5])
def test_a_translation_depends_on_no_batch_no_order_and_no_neighbour(translator, beam):
    together = translator.nbest(LINES, 1, beam=beam)
    order = random.Random(1).sample(range(len(LINES)), len(LINES))
    shuffled = translator.nbest([LINES[index] for index in order], 1, beam=beam)
    for index, line in enumerate(LINES):
        for other in (translator.nbest([line], 1, beam=beam)[0], shuffled[order.index(index)]):
            assert other[0].text == together[index][0].text
            assert other[0].log_prob == pytest.approx(together[index][0].log_prob, abs=1e-4)


def test_streaming_is_translating(translator, monkeypatch):
    from nmt.translation import translator as module

    whole = translator.translate([f"{line}\n" for line in LINES])
    monkeypatch.setattr(module, "CHUNK_LINES", 2)
    assert list(translator.stream(iter(LINES))) == whole


def test_the_score_of_a_translation_is_what_search_gave_it(translator):
    for source, best in zip(LINES[2:4], translator.nbest(LINES[2:4], 1, details=True), strict=True):
        assert sum(best[0].piece_log_probs) == pytest.approx(best[0].log_prob, abs=1e-4)
        assert best[0].score == pytest.approx(
            best[0].log_prob / (len(best[0].pieces) + 1) ** translator.search.length_alpha
        )
        # The text may be cut into other pieces than search wrote; where it is not, scoring the text
        # gives the same.
        pieces = translator.subwords.target.pieces(
            translator.subwords.target.encode([best[0].text])[0]
        )
        if tuple(pieces) == best[0].pieces:
            assert translator.score([source], [best[0].text])[0].log_prob == pytest.approx(
                best[0].log_prob, abs=1e-4
            )


def test_n_best_lists_are_sorted_and_differ(translator):
    for translations in translator.nbest(["aap noot mies", "wim"], 4, beam=6):
        scores = [translation.score for translation in translations]
        assert scores == sorted(scores, reverse=True)
        assert len({translation.pieces for translation in translations}) == 4


def test_alignments_link_existing_words(translator):
    source = "aap noot mies wim"
    (best,) = translator.nbest([source], 1, details=True)[0]
    assert [target for _, target in best.alignment] == list(range(len(best.text.split())))
    assert all(0 <= word < 4 for word, _ in best.alignment)


def test_a_long_line_is_translated_in_segments_and_none_is_lost(translator):
    sentence = "aap noot mies wim ."
    pieces = len(translator.subwords.source.encode([sentence])[0])
    fitting = translator.lengths.source // pieces
    long_line = " ".join([sentence] * 3 * fitting)
    alone = translator.translate([" ".join([sentence] * fitting)])[0]
    assert translator.translate([long_line])[0] == " ".join([alone] * 3)
    (best,) = translator.nbest([long_line], 1, details=True)[0]
    assert best.segments == 3
    assert max(source for source, _ in best.alignment) >= 2 * fitting * 5
    assert len(best.piece_log_probs) == len(best.pieces) + 3


def test_wrong_settings_are_refused(run, translator):
    with pytest.raises(
        NmtError, match="n_best must be at least 1 and at most the beam of 5, got 6"
    ):
        translator.nbest(["aap"], 6, beam=5)
    with pytest.raises(NmtError, match="1 source lines but 2 target lines"):
        translator.score(["aap"], ["APE", "NUT"])
    with pytest.raises(NmtError, match="unknown precision 'fp8'"):
        Translator.load(run, precision="fp8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_reported():
    with pytest.raises(
        NmtError,
        match=r"no usable GPU; use cpu or auto \(--device, or training.device in a recipe\)",
    ):
        choose_device("cuda")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_exported_model_translates_like_its_run(run, tmp_path, translator, precision):
    export_model(run, tmp_path / "model", precision)
    exported = Translator.load(tmp_path / "model", precision="fp32")
    if precision == "fp32":
        assert exported.translate(LINES) == translator.translate(LINES)
    else:
        ours, theirs = (
            exported.score(["aap noot"], ["NOOT AAP"])[0],
            translator.score(["aap noot"], ["NOOT AAP"])[0],
        )
        assert ours.log_prob == pytest.approx(theirs.log_prob, rel=0.05, abs=0.05)
    card = json.loads((tmp_path / "model" / "model.json").read_text())
    assert card["validation"]["scores"][0]["signature"].startswith("nrefs:1|case:mixed")
    assert (
        card["validation"]["scores"][0]["signature"]
        in (tmp_path / "model" / "README.md").read_text()
    )


def test_export_overwrites_nothing(run, tmp_path):
    with pytest.raises(NmtError, match="exists already; name a new folder"):
        export_model(run, tmp_path)


def test_a_changed_file_of_an_exported_model_is_noticed(run, tmp_path):
    for name in ("model.safetensors", "recipe.toml", "subwords.model"):
        export_model(run, tmp_path / name)
        content = bytearray((tmp_path / name / name).read_bytes())
        content[-1] ^= 1
        (tmp_path / name / name).write_bytes(content)
        with pytest.raises(NmtError, match=f"{name}: not the file that was exported"):
            Translator.load(tmp_path / name)
        (tmp_path / name / name).unlink()
        with pytest.raises(NmtError, match=f"{name}: missing; copy the model folder again"):
            Translator.load(tmp_path / name)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("{", "not the card of an exported model"),
        ('{"sha256": {}, "format": 7}', "format 7, this version reads 1"),
        ('{"sha256": {"../x": ""}, "format": 1}', "names a file outside the folder"),
    ],
)
def test_a_strangers_card_is_checked(tmp_path, card, message):
    (tmp_path / "model.json").write_text(card)
    with pytest.raises(NmtError, match=message):
        Translator.load(tmp_path)


def test_a_recipe_that_promises_another_network_allocates_nothing(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy, symlinks=True)
    recipe = (copy / "recipe.toml").read_text()
    (copy / "recipe.toml").write_text(recipe.replace("hidden_size = 32", "hidden_size = 65536"))
    with pytest.raises(NmtError, match=r"has shape .*, the recipe asks for"):
        Translator.load(copy)


def test_what_is_no_model_is_named(run, tmp_path, translator):
    with pytest.raises(NmtError, match="no such model folder; name a run"):
        Translator.load(tmp_path / "nowhere")
    with pytest.raises(NmtError, match="neither a run nor an exported model"):
        Translator.load(tmp_path)
    shutil.copy(run / "recipe.toml", tmp_path)
    with pytest.raises(NmtError, match="the run has no checkpoint yet"):
        Translator.load(tmp_path)
    shutil.copytree(run, tmp_path / "damaged", symlinks=True)
    (tmp_path / "damaged" / "best" / "averaged.safetensors").write_bytes(b"no weights")
    with pytest.raises(NmtError, match=r"averaged.safetensors: not the file that training wrote"):
        Translator.load(tmp_path / "damaged")
    (tmp_path / "damaged" / "best" / "state.json").unlink()
    with pytest.raises(NmtError, match=r"state.json: missing or damaged; use another checkpoint"):
        Translator.load(tmp_path / "damaged")
    with pytest.raises(NmtError, match="cannot read the weights"):
        read_weights(
            tmp_path / "damaged" / "best" / "averaged.safetensors", translator.network.models[0]
        )


@pytest.mark.parametrize("missing", ["averaged.safetensors", "."])
def test_a_best_checkpoint_that_is_not_there_is_not_replaced_by_the_last(run, tmp_path, missing):
    copy = tmp_path / "run"
    shutil.copytree(run, copy, symlinks=True)
    gone = (copy / "best").resolve() / missing
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    (tmp_path / "link").symlink_to(run)
    assert Translator.load(tmp_path / "link")
    with pytest.raises(
        NmtError,
        match=(
            r"averaged.safetensors: missing, the checkpoint is damaged or was deleted; name"
            r" another one"
        ),
    ):
        Translator.load(copy)


def test_one_checkpoint_of_a_run_is_a_model_too(run, translator):
    checkpoint = (run / "best").resolve()
    assert Translator.load(checkpoint, precision="fp32").translate(LINES) == translator.translate(
        LINES
    )


def test_averaging_takes_the_mean_of_the_last_checkpoints(run, tmp_path):
    from safetensors.torch import load_file

    used = average_checkpoints(run, 2, tmp_path / "mean")
    first, second = (load_file(folder / "model.safetensors") for folder in used)
    mean = load_file(tmp_path / "mean" / "model.safetensors")
    for name, value in mean.items():
        torch.testing.assert_close(value, (first[name] + second[name]) / 2)
    assert len(Translator.load(tmp_path / "mean").translate(LINES)) == len(LINES)
    shutil.copytree(run, tmp_path / "damaged", symlinks=True)
    weights = tmp_path / "damaged" / "checkpoints" / used[-1].name / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(NmtError, match=r"model.safetensors: not the file that training wrote"):
        average_checkpoints(tmp_path / "damaged", 2, tmp_path / "other")
    with pytest.raises(NmtError, match=r"cannot average 99 checkpoints, there are \d"):
        average_checkpoints(run, 99, tmp_path / "other")


def test_copied_checkpoints_are_not_averaged(run, tmp_path):
    used = average_checkpoints(run, 2, tmp_path / "mean")
    copied = tmp_path / "run"
    shutil.copytree(run, copied, symlinks=True)
    for name in ("update-000009 (copy)", "update-000009.bak", "update-", "update-9"):
        shutil.copytree(copied / "checkpoints" / used[-1].name, copied / "checkpoints" / name)
    assert [folder.name for folder in average_checkpoints(copied, 2, tmp_path / "other")] == [
        folder.name for folder in used
    ]


def test_a_shortlist_is_found_wherever_its_model_is(run, tmp_path):
    export_model(run, tmp_path / "exported")
    export_model(tmp_path / "exported", tmp_path / "again")
    average_checkpoints(run, 2, tmp_path / "mean")
    made = (run / "shortlist.safetensors").read_bytes()
    for path in (
        run,
        run / "best",
        (run / "last").resolve(),
        tmp_path / "exported",
        tmp_path / "again",
        tmp_path / "mean",
    ):
        assert open_folder(path).shortlist.read_bytes() == made
        assert Translator.load(path, "cpu", "bf16").network.shortlist is not None
        assert Translator.load(path, "cpu", "bf16", shortlist=False).network.shortlist is None
        assert Translator.load(path, "cpu", "fp32").network.shortlist is None
    card = json.loads((tmp_path / "exported" / "model.json").read_text())
    assert card["sha256"]["shortlist.safetensors"] == file_hash(run / "shortlist.safetensors")


def test_a_model_without_a_shortlist_does_without(run, tmp_path):
    shutil.copytree(run, tmp_path / "run", symlinks=True)
    (tmp_path / "run" / "shortlist.safetensors").unlink()
    export_model(tmp_path / "run", tmp_path / "exported")
    for path in (tmp_path / "run", tmp_path / "exported"):
        assert open_folder(path).shortlist is None
        assert Translator.load(path, "cpu", "bf16").network.shortlist is None


def test_a_damaged_shortlist_is_one_line_and_can_be_left_unused(run, tmp_path):
    shutil.copytree(run, tmp_path / "run", symlinks=True)
    (tmp_path / "run" / "shortlist.safetensors").write_bytes(
        made_short := (run / "shortlist.safetensors").read_bytes()[:-1]
    )
    with pytest.raises(
        NmtError,
        match=(
            r"run/shortlist.safetensors: cannot read the shortlist .*; delete it, and the `nmt"
            r" train`"
        ),
    ):
        Translator.load(tmp_path / "run", "cpu", "bf16")
    assert Translator.load(tmp_path / "run", "cpu", "bf16", shortlist=False).translate(["aap"])
    export_model(run, tmp_path / "exported")
    (tmp_path / "exported" / "shortlist.safetensors").write_bytes(made_short)
    with pytest.raises(NmtError, match=r"shortlist.safetensors: not the file that was exported"):
        Translator.load(tmp_path / "exported", "cpu", "bf16")


@pytest.mark.parametrize("beam", [1, 5])
def test_a_translation_found_with_a_shortlist_depends_on_no_neighbour(run, beam):
    narrow = Translator.load(run, "cpu", "bf16")
    network = PackedNetwork(narrow.network.models[0], FP32, narrow.network.shortlist)
    translator = Translator(network, narrow.subwords, narrow.recipe)
    together = translator.nbest(LINES, 1, beam=beam)
    for line, (best,) in zip(LINES, together, strict=True):
        (alone,) = translator.nbest([line], 1, beam=beam)[0]
        assert alone.text == best.text
        assert alone.log_prob == pytest.approx(best.log_prob, abs=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "auto"])
def test_a_gpu_translates_as_a_processor_does(run, translator, precision):
    assert Translator.load(run, "cuda", precision).translate(LINES) == translator.translate(LINES)


def test_rare_characters_can_be_copied_with_a_shortlist(run):
    translator = Translator.load(run, "cpu", "bf16")
    line = "aap \U0001f642 noot"
    wanted = set(translator.subwords.target.encode([line])[0])
    candidates_C, allowed_BC = translator.network.shortlist.candidates(
        torch.tensor([[*translator.subwords.source.encode([line])[0], EOS]])
    )
    assert wanted <= set(candidates_C[allowed_BC[0]].tolist())


def test_links_to_checkpoints_are_models_and_weights_can_be_read_by_others(run, translator):
    assert Translator.load(run / "best", precision="fp32").translate(LINES) == translator.translate(
        LINES
    )
    assert (run / "best" / "averaged.safetensors").stat().st_mode == (
        run / "recipe.toml"
    ).stat().st_mode


def test_a_half_written_record_is_passed_over(run, tmp_path):
    shutil.copytree(run, tmp_path / "run", symlinks=True)
    with open(tmp_path / "run" / "metrics.jsonl", "a") as out:
        out.write('{"kind": "upd')
    assert (
        RunFolder(tmp_path / "run").best_validation()
        == RunFolder(run).best_validation()
        is not None
    )


def test_a_text_in_place_of_lines_and_unknown_devices_are_refused(run, translator):
    for call in (translator.translate, lambda text: translator.nbest(text, 1)):
        with pytest.raises(
            NmtError, match="lines must be several lines, got the text 'aap noot'; put it in a list"
        ):
            call("aap noot")
    with pytest.raises(NmtError, match="unknown device 'gpu'; use auto, cpu, cuda"):
        Translator.load(run, device="gpu")


def test_a_model_in_bf16_translates_nearly_the_same(run, translator):
    narrow = Translator.load(run, precision="bf16").score(["aap noot mies"], ["MIES NOOT AAP"])[0]
    assert narrow.log_prob == pytest.approx(
        translator.score(["aap noot mies"], ["MIES NOOT AAP"])[0].log_prob, rel=0.1, abs=0.1
    )
    assert math.isfinite(narrow.log_prob)


def test_translating_imports_nothing_that_only_training_needs(run):
    code = (
        "import sys; from nmt.translation.translator import Translator;"
        f" Translator.load({str(run)!r}).translate(['aap']); print([name for name in ('datasets',"
        " 'pyarrow', 'nmt.training.loop', 'sacrebleu') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_it_learns_to_turn_sentences_round(tmp_path, tiny_recipe):
    from conftest import write_corpus

    recipe = replace(
        tiny_recipe,
        data=replace(tiny_recipe.data, train=(write_corpus(tmp_path / "more", 3000, seed=3),)),
        model=replace(tiny_recipe.model, embedding_size=48, hidden_size=48, dropout=0.1),
        training=replace(
            tiny_recipe.training,
            epochs=20,
            batch_pieces=800,
            learning_rate=8e-3,
            warmup=60,
            validate_every=0,
        ),
    )
    events = list(train(recipe, tmp_path / "run"))
    assert events[-1].best_value > 90  # chance is far below 1: the 16 words come in any order
