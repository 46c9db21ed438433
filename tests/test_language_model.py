"""Language models: stepping, truncated back-propagation, exact resume, and what is measured."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_runs import stop_after

from nmt.data.text_batches import Carried, TextBatch, collate_lines
from nmt.data.text_store import TextLine, build_text_store
from nmt.errors import NmtError
from nmt.folders import load_language_model, load_translation_model, open_folder
from nmt.model.language_model import LanguageModel
from nmt.recipe import (
    CELLS,
    DataConfig,
    ModelConfig,
    Recipe,
    SubwordsConfig,
    TrainingConfig,
    default_recipe,
    parse_recipe,
)
from nmt.run_folder import RunFolder
from nmt.scoring.perplexity import text_scores
from nmt.text.subwords import train_subwords
from nmt.training.events import Validated
from nmt.training.language_task import dev_batches, running_plans, windows
from nmt.training.prepare_text import DevText
from nmt.training.run import train
from nmt.vocabulary import EOS, PAD

CPU = torch.device("cpu")
TEXT = "".join(f"the {word} sat on the mat .\n" for word in ("cat", "dog", "cow", "hen") * 30)


def small(cell="lstm", size=11, layers=2, dropout=0.0):
    torch.manual_seed(3)
    config = ModelConfig(
        cell=cell, embedding_size=6, hidden_size=8, decoder_layers=layers, dropout=dropout
    )
    return LanguageModel(config, size)


def recipe_for(folder, running=True, **training):
    (folder / "train.txt").write_text(TEXT)
    (folder / "dev.txt").write_text(TEXT[:400])
    data = DataConfig(
        train=(str(folder / "train.txt"),), dev=str(folder / "dev.txt"), running=running, window=10
    )
    data = data if running else replace(data, window=DataConfig.window)
    settings = {"batch_pieces": 200, "epochs": 2, "warmup": 2, "validate_every": 6, "threads": 1}
    return Recipe(
        task="language-model",
        data=data,
        subwords=SubwordsConfig(kind="char", byte_fallback=False),
        model=ModelConfig(embedding_size=8, hidden_size=64, decoder_layers=2, dropout=0.2),
        training=TrainingConfig(select="loss", label_smoothing=0.0, **(settings | training)),
    )


@pytest.mark.parametrize("cell", CELLS)
def test_stepping_equals_teacher_forcing(cell):
    model = small(cell).eval()
    pieces_BT = torch.randint(4, 11, (3, 7))
    vectors_BTE, after = model(pieces_BT)
    state = model.initial_state(3)
    for position in range(7):
        logits_NV, state = model.step(pieces_BT[:, position], state)
        torch.testing.assert_close(logits_NV, model.output(vectors_BTE[:, position]))
    for ours, theirs in zip(state.layers, after.layers, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_of_the_compiled_recurrence_is_that_of_the_steps(cell):
    torch.manual_seed(1)
    model = LanguageModel(
        ModelConfig(cell=cell, embedding_size=64, hidden_size=64, decoder_layers=2), 11
    ).eval()
    pieces_BT = torch.randint(4, 11, (4, 9))
    with torch.no_grad():
        _, expected = model(pieces_BT)
        with torch.autocast("cpu", torch.bfloat16):
            _, found = model(pieces_BT)
    for ours, theirs in zip(found.layers, expected.layers, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one.float(), other, atol=0.03, rtol=0.05)


def carried_for(model, rows):
    return tuple(tuple(torch.zeros_like(part) for part in layer) for layer in
                 model.initial_state(rows).layers)  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
def test_two_windows_have_the_loss_of_one_that_covers_both(cell):
    model = small(cell)
    pieces_BT = torch.randint(4, 11, (2, 13))
    whole = TextBatch(pieces_BT[:, :-1], pieces_BT[:, 1:])
    zeros, middle, end = (carried_for(model, 2) for _ in range(3))
    first = TextBatch(pieces_BT[:, :6], pieces_BT[:, 1:7], Carried(zeros, middle))
    second = TextBatch(pieces_BT[:, 6:12], pieces_BT[:, 7:], Carried(middle, end))
    parts = [model.loss(batch, 0.0).cross_entropy for batch in (first, second)]
    torch.testing.assert_close(sum(parts), model.loss(whole, 0.0).cross_entropy)


def test_a_window_that_covers_all_has_the_gradient_of_full_back_propagation():
    pieces_BT = torch.randint(4, 11, (2, 9))
    grads = []
    for carried in (True, False):
        model = small()
        states = Carried(carried_for(model, 2), carried_for(model, 2)) if carried else None
        model.loss(TextBatch(pieces_BT[:, :-1], pieces_BT[:, 1:], states), 0.1).smoothed.backward()
        grads.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)


def test_no_gradient_crosses_the_border_of_a_window():
    model = small()
    pieces_BT = torch.randint(4, 11, (2, 9))
    middle = carried_for(model, 2)
    model.loss(TextBatch(pieces_BT[:, :4], pieces_BT[:, 1:5], Carried(carried_for(model, 2), middle)), 0.0)  # noqa: E501  # fmt: skip
    assert all(
        not part.requires_grad and part.abs().sum() > 0 for layer in middle for part in layer
    )


def test_rows_of_a_part_write_their_own_states():
    model = small().eval()
    pieces_BT = torch.randint(4, 11, (4, 6))
    whole, parts = carried_for(model, 4), carried_for(model, 4)
    states = Carried(carried_for(model, 4), whole)
    model.loss(TextBatch(pieces_BT[:, :-1], pieces_BT[:, 1:], states), 0.0)
    batch = TextBatch(pieces_BT[:, :-1], pieces_BT[:, 1:], Carried(carried_for(model, 4), parts))
    for rows in (slice(0, 1), slice(1, 4)):
        model.loss(batch.part(rows), 0.0)
    for one, other in zip(whole, parts, strict=True):
        for ours, theirs in zip(one, other, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_padding_changes_no_loss():
    model = small()
    lines = [[5, 6, 7], [8]]
    together = model.loss(collate_lines(lines), 0.1)
    alone = [model.loss(collate_lines([line]), 0.1) for line in lines]
    torch.testing.assert_close(together.smoothed, alone[0].smoothed + alone[1].smoothed)


def test_scores_of_a_hand_made_distribution():
    """Four pieces of probability 1/2 and four of 1/8: 4 ln 2 + 4 ln 8 = 16 ln 2 nats."""
    perplexity, bits = text_scores(16 * math.log(2), pieces=8, characters=10)
    assert perplexity.value == pytest.approx(2 ** (16 / 8))
    assert bits.value == pytest.approx(16 / 10)
    assert (perplexity.metric, bits.metric) == ("perplexity", "bits per character")


def test_an_epoch_of_running_text_reads_each_place_at_most_once(tmp_path):
    recipe = recipe_for(tmp_path)
    sizes = windows(1003, recipe)
    assert (sizes.streams, sizes.width, sizes.updates) == (20, 10, 5)  # 1003 // 20 // 10
    plans = list(running_plans(sizes, recipe.training, 1, 0))
    first = [plan for plan in plans if plan.epoch == 1]
    read = [
        place for plan in first for start in plan.batches[0] for place in range(start, start + 10)
    ]
    assert len(read) == len({place % 1003 for place in read}) == 1000
    assert [plan.last for plan in first] == [False] * 4 + [True]
    for ours, theirs in zip(plans[7:], running_plans(sizes, recipe.training, 2, 2), strict=True):
        assert ours[:3] == theirs[:3]
        assert np.array_equal(ours.batches[0], theirs.batches[0])


def test_the_dev_text_is_read_once_and_whole():
    dev = DevText(("", "", ""), ((5, 6), (), (7,)))
    recipe = default_recipe("language-model", DataConfig(train=("a",), dev="b", running=True))
    ((batch,),) = dev_batches(dev, recipe, CPU)
    assert batch.output_BT[batch.mask_BT].tolist() == [5, 6, EOS, EOS, 7, EOS]
    assert batch.input_BT[batch.mask_BT].tolist() == [EOS, 5, 6, EOS, EOS, 7]


def test_a_store_keeps_running_text_and_counts_what_it_leaves_out_of_lines(tmp_path):
    lines = [TextLine(text, 0, number) for number, text in enumerate(("abc", "", "ab"), 1)]
    subwords = train_subwords(
        ["abc"], SubwordsConfig(kind="char", byte_fallback=False, variety=0), 20, 1
    )
    ((start, a, b, c),) = subwords.encode(["abc"])
    running = build_text_store(tmp_path / "running", lines, ["t"], subwords, None, "x")
    assert running.pieces.tolist() == [start, a, b, c, EOS, EOS, start, a, b, EOS]
    assert [running.where(running.row_at(place)) for place in (0, 4, 5, 6)] == [
        "t:1",
        "t:1",
        "t:2",
        "t:3",
    ]
    short = build_text_store(tmp_path / "lines", lines, ["t"], subwords, 3, "x")
    assert short.pieces.tolist() == [start, a, b, EOS]
    assert short.where(0) == "t:3"
    assert short.summary[1:] == (
        "1 blank lines left out",
        "1 lines longer than 3 pieces (data.max_length) left out",
    )


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_interrupted_run_ends_with_the_bits_of_an_undisturbed_one(tmp_path, running, precision):
    recipe = recipe_for(tmp_path, running, precision=precision)
    list(train(recipe, tmp_path / "whole"))
    for stop in (4, 9):
        list(train(recipe, tmp_path / "parts", stop=stop_after(stop)))
    assert list(train(recipe, tmp_path / "parts"))[-1].finished
    whole, parts = (RunFolder(tmp_path / name).last for name in ("whole", "parts"))
    assert whole
    assert parts
    assert whole.name == parts.name
    for name in ("model", "averaged", "optimizer", *(["carried"] if running else [])):
        one, other = (folder / f"{name}.safetensors" for folder in (whole, parts))
        assert one.read_bytes() == other.read_bytes(), name


def test_a_language_model_learns_its_text(tmp_path):
    recipe = recipe_for(tmp_path, epochs=30, learning_rate=0.01, average_decay=0.9)
    looks = [event for event in train(recipe, tmp_path / "run") if isinstance(event, Validated)]
    assert looks[-1].validation.loss < 0.3 < 2 < looks[0].validation.loss
    folder = open_folder(tmp_path / "run")
    assert load_language_model(folder, CPU).config == recipe.model
    with pytest.raises(NmtError, match="a language model, which does not translate"):
        load_translation_model(folder, CPU)


DATA = '[data]\ntrain = "a"\ndev = "b"\n'


def test_the_recipe_of_a_language_model_needs_no_languages():
    recipe = parse_recipe('task = "language-model"\n' + DATA, "r.toml")
    assert (recipe.data.source, recipe.training.select) == ("", "loss")
    assert recipe.training.label_smoothing == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DATA, "data.source is missing"),
        ('task = "poetry"\n' + DATA, "task must be one of translation, language-model"),
        (
            'task = "language-model"\n' + DATA + 'source = "nl"\n',
            "source = 'nl' has no effect",
        ),
        ('task = "language-model"\n' + DATA + '[training]\nselect = "chrf"\n', "selected by their"),
    ],
)
def test_a_recipe_that_contradicts_its_task_is_refused(text, message):
    with pytest.raises(NmtError, match=message):
        parse_recipe(text, "r.toml")


@pytest.mark.parametrize(
    ("table", "values", "message"),
    [
        ("model", {"heads": 2}, "model.heads = 2 has no effect"),
        ("training", {"r_drop": 1.0}, "training.r_drop = 1.0 has no effect"),
        ("training", {"accumulate": 2}, "cannot be with data.running"),
        ("data", {"max_length": 7}, "data.max_length has no effect with data.running"),
        ("data", {"dev": "none.txt"}, "none.txt: no such text file; a language model's data.dev"),
    ],
)
def test_settings_without_effect_and_missing_files_are_named(tmp_path, table, values, message):
    recipe = recipe_for(tmp_path)
    recipe = replace(recipe, **{table: replace(getattr(recipe, table), **values)})
    with pytest.raises(NmtError, match=message):
        list(train(recipe, tmp_path / "run"))


def test_padding_pieces_are_never_written():
    batch = collate_lines([[5], [6, 7, 8]])
    assert batch.pieces == 2 + 4
    assert (batch.output_BT == PAD).sum() == 2
