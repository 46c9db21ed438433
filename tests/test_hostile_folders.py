"""Model folders of an attacker, who computes every hash anew: one line, no crash, no wait."""

import json
import os
import random
import re
import shutil
from pathlib import Path

import pytest
import torch
from conftest import untrained_run
from hostile import DEEP, NAMES, hash_again, refused, set_recipe
from safetensors.torch import load_file, save_file

from nmt.commands.main import main
from nmt.errors import NmtError, printable


@pytest.fixture
def model(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "model"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "hidden_size = 1000000000000000000",
            "model.hidden_size must be at least 1 and at most 65,536",
        ),
        ("hidden_size = 65536", "hidden_size|has shape"),
        ("embedding_size = 9223372036854775808", "model.embedding_size must be"),
        ("encoder_layers = 1000000", "model.encoder_layers must be"),
        ("decoder_layers = 64", "these are the weights of another network"),
        (f"beam = {10**30}", "search.beam must be at least 1 and at most 100"),
        ("beam = 100000", "search.beam must be"),
        ("max_length_extra = 1000000", "search.max_length_extra must be"),
        ("max_length_factor = 1000.0", "search.max_length_factor must be above 0 and at most 20"),
        (f"seed = {10**30}", "training.seed must be"),
        ("dropout = nan", "model.dropout must be"),
        (f"heads = {DEEP}", "not TOML: nested too deeply"),
        ("heads = [[[[1]]]]", "model.heads must be a whole number, got"),
        ("heads = {a = {b = 1}}", "model.heads must be a whole number, got"),
        ("heads = {a" + ".a" * 10_000 + " = 1}", "a key of more than 32 parts"),
        ('source = "../../etc/x"', "data.source must be a language code"),
        ('dev = "a\\u0000b"', "data.dev must have no NUL character"),
        ('cell = "\\u001b[2J"', r"model.cell must be one of .* got '\\x1b\[2J'"),
    ],
)
def test_a_recipe_that_asks_for_too_much(model, capsys, line, message):
    set_recipe(model, line)
    assert re.search(message, refused(capsys, "info", model))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"validation": 3}, "a validation without scores"),
        ({"validation": {"scores": [3]}}, "a validation without scores"),
        (
            {"validation": {"scores": [{"metric": [], "value": 1, "signature": ""}]}},
            "a validation without scores",
        ),
        (
            {"validation": {"scores": [{"metric": "BLEU", "value": 1e999, "signature": ""}]}},
            "a validation without scores",
        ),
        ({"sha256": {"recipe.toml": 3}}, "a hash that is no string"),
        ({"sha256": [[1]]}, "not the card"),
        ({"sha256": {"\ud800": ""}}, "names a file that no export has"),
        ({"sha256": {"..": ""}}, "names a file"),
        ({"sha256": {"../../etc/passwd": ""}}, "names a file outside the folder"),
        ({"sha256": {"zeros": ""}}, "names a file that no export has"),
        ({"format": 10**400}, "format a int too large|format 1000"),
        ({"format": "\x1b[2J"}, "format '"),
    ],
)
@pytest.mark.parametrize("command", ["info", "export"])
def test_a_card_of_other_types(model, tmp_path, capsys, command, changed, message):
    card = json.loads((model / "model.json").read_text()) | changed
    (model / "model.json").write_text(json.dumps(card))
    found = refused(capsys, command, model, *([tmp_path / "out"] if command == "export" else []))
    assert re.search(message, found)
    assert "\x1b" not in found


@pytest.mark.parametrize(
    "content",
    [DEEP, '{"a":' * 200_000, "3", "null", "[]", "1" * 6000, '{"sha256": null}', "\xff\xfe"],
)
def test_a_card_that_is_none(model, capsys, content):
    (model / "model.json").write_text(content, encoding="latin-1")
    assert "not the card of an exported model" in refused(capsys, "info", model)


def replace_by(path, kind, outside):
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(10**12)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "zeros" else outside)


@pytest.mark.parametrize("kind", ["fifo", "zeros", "sparse", "folder", "outside"])
@pytest.mark.parametrize("name", NAMES)
def test_only_regular_files_of_the_folder_are_read(model, exported, capsys, name, kind):
    replace_by(model / name, kind, exported / name)
    assert name in refused(capsys, "info", model)


@pytest.mark.parametrize("kind", ["fifo", "zeros", "sparse", "outside"])
@pytest.mark.parametrize(
    "name",
    [
        "recipe.toml",
        "subwords.model",
        "metrics.jsonl",
        "last/state.json",
        "last/averaged.safetensors",
    ],
)
def test_only_regular_files_of_a_run_are_read(tmp_path, capsys, name, kind):
    (tmp_path / "run").mkdir()
    untrained_run(tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text("{}\n")
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    replace_by(tmp_path / "run" / name, kind, tmp_path / "other" / name)
    assert name.rpartition("/")[2] in refused(capsys, "info", tmp_path / "run")


def test_a_link_within_the_folder_is_followed(model, capsys):
    (model / "recipe.toml").rename(model / "real.toml")
    (model / "recipe.toml").symlink_to("real.toml")
    assert main(["info", str(model)]) == 0
    capsys.readouterr()


def header(arrays, size=0):
    text = json.dumps(arrays).encode()
    return (size or len(text)).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        header({}, 2**63),
        header({}, 2**21),
        header({"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 4]}}) + b"\0" * 4,
        header(
            {name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in ("a", "b")}
        )
        + b"\0" * 4,
        header({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}) + b"\0" * 4,
        header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}) + b"\0" * 4,
        header(
            {
                f"\x1b{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
                for i in range(3000)
            }
        ),
    ],
)
def test_weights_that_are_none(model, capsys, content):
    (model / "model.safetensors").write_bytes(content)
    hash_again(model)
    found = refused(capsys, "info", model)
    assert "model.safetensors" in found
    assert "\x1b" not in found


@pytest.mark.parametrize("dtype", [torch.int32, torch.float64, torch.bool])
def test_weights_of_another_type(model, capsys, dtype):
    arrays = {
        name: value.to(dtype) for name, value in load_file(model / "model.safetensors").items()
    }
    save_file(arrays, model / "model.safetensors")
    hash_again(model)
    assert "model.safetensors" in refused(capsys, "info", model)


def test_an_export_tells_nothing_of_the_exporters_machine(tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    untrained_run(run)
    recipe = (run / "recipe.toml").read_text()
    names = '["/home/someone/secret/train", "hf://owner/set", "hf:///home/someone/set#train"]'
    recipe = recipe.replace('train = ["train"]', f"train = {names}").replace(
        'dev = "dev"', 'dev = "/home/someone/secret/dev"'
    )
    (run / "recipe.toml").write_text(recipe)
    assert main(["export", str(run), str(tmp_path / "model")]) == 0
    assert main(["export", str(run), str(tmp_path / "local"), "--paths"]) == 0
    capsys.readouterr()
    written = [file.read_bytes() for file in (tmp_path / "model").iterdir()]
    assert not any(b"someone" in content or os.fsencode(tmp_path) in content for content in written)
    assert (
        'train = ["train", "hf://owner/set", "hf://set#train"]'
        in (tmp_path / "model" / "recipe.toml").read_text()
    )
    assert "/home/someone/secret/dev" in (tmp_path / "local" / "recipe.toml").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc", "a b c"),
        ("x\u202ey", r"x\u202ey"),
        ("\ud800", r"\ud800"),
        ("\x9b31m", r"\x9b31m"),
        ("é 中", "é 中"),
    ],
)
def test_names_cannot_command_a_terminal(text, shown):
    assert printable(text) == shown
    assert str(NmtError(text)) == shown


def test_info_prints_names_escaped(model, capsys):
    set_recipe(model, 'dev = "\\u001b]0;x\\u0007"')
    hash_again(
        model, validation={"scores": [{"metric": "\x1b[2J", "value": 1.0, "signature": "\u202e"}]}
    )
    assert main(["info", str(model)]) == 0
    assert r"\x1b]0;x\x07: \x1b[2J = 1.0 \u202e" in capsys.readouterr().out


def test_random_damage_to_any_file_is_one_line(model, exported, capsys):
    generator = random.Random(5)
    for _ in range(40):
        name = generator.choice(NAMES)
        content = bytearray((exported / name).read_bytes())
        content[generator.randrange(min(len(content), 4000))] = generator.randrange(256)
        shutil.copytree(exported, model, dirs_exist_ok=True)
        (model / name).write_bytes(content)
        if name != "model.json":
            hash_again(model)
        assert main(["info", str(model)]) in (0, 1)
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "row",
    [
        {
            "kind": "validation",
            "update": 1,
            "best": True,
            "scores": [{"metric": "<b onclick=x>", "value": 1.0, "signature": "<script>"}],
        },
        {
            "kind": "update",
            "update": 1,
            "loss": [[1]],
            "cross_entropy": "<script>",
            "epoch": {"a": 1},
        },
        {"kind": "update", "update": 1, "cross_entropy": 1e999, "pieces_per_second": float("nan")},
    ],
)
def test_a_report_runs_nothing_that_a_run_names(tmp_path, capsys, row):
    (tmp_path / "run").mkdir()
    untrained_run(tmp_path / "run")
    recipe = (tmp_path / "run" / "recipe.toml").read_text()
    (tmp_path / "run" / "recipe.toml").write_text(
        recipe.replace('dev = "dev"', 'dev = "<img src=x onerror=alert(1)>"')
    )
    (tmp_path / "run" / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    assert main(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "&lt;img src=x onerror" in page
    assert not any(
        text in page for text in ("<img src=x", "<b onclick", "<script>\n<", "><script>")
    )
    capsys.readouterr()
