"""Helpers of the tests of strangers' folders: damage with hashes that fit, one-line errors."""

import json
import time

from conftest import failure

from nmt.files import file_hash

DEEP = "[" * 200_000
NAMES = ("model.json", "recipe.toml", "subwords.model", "model.safetensors")


def hash_again(model, **changed):
    """Writes the card that fits whatever the files are now."""
    card = json.loads((model / "model.json").read_text())
    card["sha256"] = {
        name: file_hash(model / name) for name in card["sha256"] if (model / name).is_file()
    }
    (model / "model.json").write_text(json.dumps(card | changed))


def set_recipe(model, line):
    key = line.partition(" ")[0]
    lines = (model / "recipe.toml").read_text().splitlines()
    (model / "recipe.toml").write_text(
        "\n".join(line if each.startswith(f"{key} = ") else each for each in lines) + "\n"
    )
    hash_again(model)


def refused(capsys, *arguments):
    """The error of a command that must say one line, soon."""
    start = time.monotonic()
    message = failure(capsys, *map(str, arguments))
    assert time.monotonic() - start < 20
    assert len(message) < 1500
    return message
