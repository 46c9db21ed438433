"""Recipes: read back equal, checked where they are made, and every mistake answered with what to
do."""

import math
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.errors import NmtError
from nmt.limits import LIMITS
from nmt.recipe import (
    TABLES,
    DataConfig,
    ModelConfig,
    Recipe,
    SearchConfig,
    SubwordsConfig,
    TrainingConfig,
    dump_recipe,
    load_recipe,
    parse_recipe,
    with_settings,
)

DATA = '[data]\ntrain = ["corpus/train"]\ndev = "corpus/dev"\nsource = "nl"\ntarget = "en"\n'
RECIPE = Recipe(
    data=DataConfig(train=("corpus/train",), dev="corpus/dev", source="nl", target="en")
)


def test_a_recipe_needs_only_the_data() -> None:
    assert parse_recipe(DATA, "r.toml") == RECIPE


def test_tables_are_the_fields_of_a_recipe() -> None:
    assert (
        ["task", *TABLES]
        == ["task", "data", "subwords", "model", "training", "search"]
        == [item.name for item in fields(Recipe)]
    )


def test_values_take_the_type_of_their_field() -> None:
    recipe = parse_recipe(
        DATA + "max_ratio = 3\n[model]\ncell = 'gru'\ninput_feeding = true\n[search]\nbeam = 4",
        "r.toml",
    )
    assert (recipe.data.max_ratio, type(recipe.data.max_ratio)) == (3.0, float)
    assert (recipe.model.cell, recipe.model.input_feeding, recipe.search.beam) == ("gru", True, 4)


def test_one_training_corpus_needs_no_list() -> None:
    assert parse_recipe(DATA.replace('["corpus/train"]', '"corpus/train"'), "r.toml") == RECIPE


def test_the_language_code_no_stays_a_language() -> None:
    assert parse_recipe(DATA.replace('"nl"', '"no"'), "r.toml").data.source == "no"


def test_load_recipe_reads_utf8(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(DATA.replace("corpus/dev", "корпус/dev"), encoding="utf-8")
    assert load_recipe(path).data.dev == "корпус/dev"


def test_dump_reads_back_equal_with_every_key_written() -> None:
    text = dump_recipe(RECIPE)
    assert parse_recipe(text, "r.toml") == RECIPE
    assert all(f"\n{item.name} = " in text for kind in TABLES.values() for item in fields(kind))


@given(
    train=st.lists(
        st.text(min_size=1).filter(lambda text: text.strip() and "\0" not in text),
        min_size=1,
        max_size=3,
    ),
    rate=st.floats(min_value=0, exclude_min=True, max_value=1000),
    beam=st.integers(1, 100),
    joint=st.booleans(),
)
def test_any_recipe_survives_dump_and_parse(
    train: list[str], rate: float, beam: int, joint: bool
) -> None:
    recipe = replace(
        RECIPE,
        data=replace(RECIPE.data, train=tuple(train), dev=train[0]),
        subwords=SubwordsConfig(joint=joint),
        training=TrainingConfig(learning_rate=rate),
        search=SearchConfig(beam=beam),
    )
    assert parse_recipe(dump_recipe(recipe), "r.toml") == recipe


def test_settings_replace_single_values() -> None:
    settings = [
        "model.heads=4",
        "model.tie_embeddings=false",
        "training.learning_rate=2e-3",
        "search.length_alpha=1",
        "data.dev = other/dev",
    ]
    recipe = with_settings(RECIPE, settings)
    assert (recipe.model.heads, recipe.model.tie_embeddings, recipe.training.learning_rate) == (
        4,
        False,
        2e-3,
    )
    assert (recipe.search.length_alpha, recipe.data.dev, recipe.data.source) == (
        1.0,
        "other/dev",
        "nl",
    )


def test_settings_are_applied_together() -> None:
    swapped = with_settings(RECIPE, ["data.source=en", "data.target=nl"])
    assert (swapped.data.source, swapped.data.target) == ("en", "nl")


def test_a_setting_may_hold_equals_signs_and_lists() -> None:
    assert with_settings(RECIPE, ["data.train=a=b"]).data.train == ("a=b",)
    assert with_settings(RECIPE, ['data.train=["a", "b"]']).data.train == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DATA + "[model]\nheads = four", r"^r.toml: not TOML: .*line 7"),
        (DATA + "[modle]", r"^r.toml: unknown table \[modle\]; did you mean model\?$"),
        (
            "epochs = 3\n" + DATA,
            r"^r.toml: unknown table \[epochs\]; did you mean training.epochs\?$",
        ),
        ("[zzz]", r"unknown table \[zzz\]; known are data, subwords, model, training, search$"),
        (
            "model = 3\n" + DATA,
            r"^r.toml: model must be a table, got 3; write \[model\] above its keys$",
        ),
        (
            DATA + "[model]\nhiden_size = 4",
            r"^r.toml: unknown key model.hiden_size; did you mean hidden_size\?$",
        ),
        (
            DATA + "[model]\nepochs = 4",
            r"unknown key model.epochs; did you mean training.epochs\?$",
        ),
        (
            DATA + "[search]\nzzz = 4",
            r"unknown key search.zzz; known are beam, length_alpha, .*, batch_pieces$",
        ),
        (DATA + "[model]\nheads = '4'", r"^r.toml: model.heads must be a whole number, got '4'$"),
        (DATA + "[model]\nheads = true", r"model.heads must be a whole number, got True$"),
        (DATA + "[model]\nheads = 1.0", r"model.heads must be a whole number, got 1.0$"),
        (DATA + "[model]\ndropout = true", r"model.dropout must be a number, got True$"),
        (DATA + "[model]\ncell = 1", r"model.cell must be a string, got 1$"),
        (DATA + "[model]\ninput_feeding = 1", r"model.input_feeding must be true or false, got 1$"),
        (
            DATA.replace('["corpus/train"]', "[1]"),
            r"data.train must be a list of strings, got \[1\]$",
        ),
        (
            DATA.replace('dev = "corpus/dev"\n', ""),
            r"^r.toml: data.dev is missing; write dev = \.\.\. under \[data\]$",
        ),
        ("", r"^r.toml: data.train is missing"),
        (
            DATA + "[search]\nbeam = 0",
            r"^r.toml: search.beam must be at least 1 and at most 100, got 0$",
        ),
    ],
)
def test_mistakes_in_a_recipe_are_named(text: str, message: str) -> None:
    with pytest.raises(NmtError, match=message):
        parse_recipe(text, "r.toml")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("beam=3", r"a setting has the form table.key=value, got 'beam=3'"),
        ("search.beam", r"a setting has the form table.key=value, got 'search.beam'"),
        ("serch.beam=3", r"unknown table in setting 'serch.beam=3'; did you mean search\?"),
        ("search.bean=3", r"unknown key search.bean; did you mean beam\?"),
        ("search.beam=many", r"search.beam must be a whole number, got 'many'"),
        ("model.input_feeding=True", r"model.input_feeding must be true or false, got 'True'"),
        ("search.beam=0", r"search.beam must be at least 1 and at most 100, got 0"),
        ("search.beam=3\nx=4", r"search.beam must be a whole number, got '3\\nx=4'"),
    ],
)
def test_mistakes_in_a_setting_are_named(setting: str, message: str) -> None:
    with pytest.raises(NmtError, match=message):
        with_settings(RECIPE, [setting])


@pytest.mark.parametrize(
    ("table", "key", "value", "message"),
    [
        ("data", "train", (), r"data.train is empty; name at least one corpus"),
        ("data", "train", ("",), r"data.train must not be empty"),
        ("data", "dev", " ", r"data.dev must not be empty"),
        ("data", "dev", "a\udcff", r"data.dev must be valid Unicode"),
        ("data", "dev", "a\0b", r"data.dev must have no NUL character, got 'a\\x00b'"),
        (
            "data",
            "target",
            "../en",
            r"data.target must be a language code, the end of a file name, got '../en'",
        ),
        (
            "data",
            "source",
            "en",
            r"data.source and data.target are both 'en'; name two different languages",
        ),
        (
            "data",
            "max_ratio",
            0.5,
            r"data.max_ratio must be at least 1 and at most 1,000,000, got 0.5",
        ),
        (
            "subwords",
            "kind",
            "wordpiece",
            r"subwords.kind must be one of unigram, bpe, char, got 'wordpiece'",
        ),
        (
            "subwords",
            "character_coverage",
            0.0,
            r"subwords.character_coverage must be above 0 and at most 1, got 0.0",
        ),
        (
            "subwords",
            "sampling",
            1.5,
            r"subwords.sampling must be at least 0 and at most 1, got 1.5",
        ),
        (
            "model",
            "cell",
            "typo",
            r"model.cell must be one of lstm, gru, peephole, tanh, got 'typo'",
        ),
        (
            "model",
            "attention",
            "dot",
            r"model.attention must be one of multiplicative, additive, got 'dot'",
        ),
        ("model", "dropout", 1.0, r"model.dropout must be at least 0 and below 1, got 1.0"),
        ("model", "hidden_size", 511, r"model.hidden_size must be even .*, got 511"),
        ("model", "heads", 3, r"model.heads must divide model.hidden_size \(512\), got 3"),
        ("training", "device", "tpu", r"training.device must be one of auto, cpu, cuda, got 'tpu'"),
        (
            "training",
            "precision",
            "fp16",
            r"training.precision must be one of auto, fp32, bf16, got 'fp16'",
        ),
        (
            "training",
            "schedule",
            "linear",
            (
                r"training.schedule must be one of cosine, inverse-sqrt, constant, plateau, got"
                r" 'linear'"
            ),
        ),
        (
            "training",
            "select",
            "ter",
            r"training.select must be one of bleu, chrf, loss, got 'ter'",
        ),
        (
            "training",
            "accumulate",
            0,
            r"training.accumulate must be at least 1 and at most 10,000, got 0",
        ),
        (
            "training",
            "plateau",
            0,
            r"training.plateau must be at least 1 and at most 1,000,000,000, got 0",
        ),
        (
            "training",
            "r_drop",
            -1.0,
            r"training.r_drop must be at least 0 and at most 1,000,000, got -1.0",
        ),
        (
            "model",
            "word_dropout",
            1.0,
            r"model.word_dropout must be at least 0 and below 1, got 1.0",
        ),
        (
            "model",
            "weight_drop",
            -0.1,
            r"model.weight_drop must be at least 0 and below 1, got -0.1",
        ),
        (
            "training",
            "learning_rate",
            math.nan,
            r"training.learning_rate must be above 0 and at most 1,000, got nan",
        ),
        (
            "training",
            "learning_rate",
            math.inf,
            r"training.learning_rate must be above 0 and at most 1,000, got inf",
        ),
        ("training", "seed", -1, r"training.seed must be at least 0 and at most [0-9,]+, got -1"),
        (
            "training",
            "average_decay",
            1.0,
            r"training.average_decay must be at least 0 and below 1, got 1.0",
        ),
        (
            "search",
            "length_alpha",
            -0.1,
            r"search.length_alpha must be at least 0 and at most 10, got -0.1",
        ),
        (
            "search",
            "max_length_factor",
            1e308,
            r"search.max_length_factor must be above 0 and at most 20, got 1e\+308",
        ),
        (
            "search",
            "max_length_factor",
            0.0,
            r"search.max_length_factor must be above 0 and at most 20, got 0.0",
        ),
    ],
)
def test_values_are_checked_where_they_are_made(
    table: str, key: str, value: object, message: str
) -> None:
    with pytest.raises(NmtError, match=message):
        replace(getattr(RECIPE, table), **{key: value})


def test_sampling_is_refused_where_it_would_do_nothing() -> None:
    with pytest.raises(
        NmtError,
        match=(
            r"subwords.sampling has no meaning for single characters, got 0.1 with kind 'char'; set"
            r" it to 0"
        ),
    ):
        SubwordsConfig(kind="char", sampling=0.1)


def test_heads_may_equal_the_hidden_size() -> None:
    assert ModelConfig(hidden_size=6, heads=6).heads == 6


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(NmtError, match=r"none.toml: no such recipe; check the path$"):
        load_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["folder", "latin1.toml"])
def test_what_is_no_text_file_is_no_recipe(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin1.toml").write_bytes(b'[data]\ndev = "\xe9"')
    with pytest.raises(NmtError, match=rf"{name}: cannot be read as a recipe \(.*\)$"):
        load_recipe(tmp_path / name)


def test_weight_drop_and_input_feeding_exclude_each_other() -> None:
    with pytest.raises(NmtError, match=r"model.weight_drop needs model.input_feeding = false"):
        ModelConfig(weight_drop=0.2, input_feeding=True)


NUMBERS = [
    (f"{table}.{item.name}", item.type)
    for table, kind in TABLES.items()
    for item in fields(kind)
    if item.type in (int, float)
]


@pytest.mark.parametrize(("key", "kind"), NUMBERS, ids=[key for key, _ in NUMBERS])
def test_every_number_is_bounded(key: str, kind: type) -> None:
    limit = LIMITS[key]
    assert not math.isinf(limit.low)
    assert not math.isinf(limit.high)
    senseless = [
        10**30,
        10**400,
        -1,
        -(10**400),
        "[[1]]",
        "{a = {b = 1}}",
        "0x" + "f" * 5000,
        "[0x" + "f" * 5000 + "]",
        "'many'",
    ]
    for value in [*senseless, *(["nan", "inf", "-inf"] if kind is float else ["nan", "1.5"])]:
        with pytest.raises(NmtError, match=f"^{key} must be ") as refused:
            with_settings(RECIPE, [f"{key}={value}"])
        assert len(str(refused.value)) < 250


def test_all_limits_are_of_numbers_of_the_recipe() -> None:
    assert [key for key, _ in NUMBERS if key not in LIMITS] == []
    assert LIMITS.keys() == {key for key, _ in NUMBERS}


@pytest.mark.parametrize(
    "key", [f"{table}.{item.name}" for table, kind in TABLES.items() for item in fields(kind)]
)
@pytest.mark.parametrize("value", ["[[[[1]]]]", "{a = 1}", "[" * 100_000, "1979-05-27"])
def test_no_key_takes_a_value_of_another_shape(key: str, value: str) -> None:
    table, _, name = key.partition(".")
    text = f"[{table}]\n{name} = {value}\n"
    with pytest.raises(
        NmtError, match=r"^r.toml: (not TOML|data\.|subwords\.|model\.|training\.|search\.)"
    ):
        parse_recipe(text, "r.toml")


def test_a_recipe_that_python_would_read_for_hours_is_refused_at_once() -> None:
    with pytest.raises(NmtError, match=r"^r.toml: not TOML: a key of more than 32 parts$"):
        parse_recipe("a" + ".a" * 100_000 + " = 1", "r.toml")


def test_names_with_many_dots_are_no_keys() -> None:
    dotted = ".".join("a" * 30)
    assert parse_recipe(DATA.replace("corpus/dev", dotted), "r.toml").data.dev == dotted


@pytest.mark.parametrize("within", [True, False])
def test_a_recipe_larger_than_any_is_not_read(tmp_path: Path, within: bool) -> None:
    path = tmp_path / "r.toml"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(NmtError, match=r"r.toml: cannot be read as a recipe \(.* bytes.*\)$"):
        load_recipe(path, tmp_path if within else None)
