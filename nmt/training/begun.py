"""What a run was begun with, as hashes of contents: names may change and folders may move, the
text and the settings may not."""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from nmt.errors import NmtError
from nmt.files import file_hash, read_json, write_atomically
from nmt.folders import open_folder
from nmt.recipe import TABLES, Recipe
from nmt.run_folder import RunFolder
from nmt.text.subwords import SubwordPair

# What may differ when a run is taken up again; all else would make it another run.
KEYS = (
    "device",
    "threads",
    "epochs",
    "updates",
    "minutes",
    "patience",
    "keep",
    "save_minutes",
    "report_every",
)
CHANGEABLE = {f"training.{key}" for key in KEYS}
CONTENTS = {
    "train": "the training data have",
    "subwords": "the subwords have",
    "dev": "the dev text has",
}
NAMES = {"data.train", "data.dev", "training.start_from"}  # of what is compared by its content


def settings(recipe: Recipe) -> dict[str, Any]:
    """The values by their keys that must stay as they are."""
    flat = {
        f"{table}.{key}": value
        for table in TABLES
        for key, value in asdict(getattr(recipe, table)).items()
    }
    if recipe.task != "translation":  # which the runs before there were others do not name
        flat["task"] = recipe.task
    return {
        key: value
        for key, value in flat.items()
        if key not in CHANGEABLE | NAMES and not key.startswith("search.")
    }


def begun(recipe: Recipe, subwords: SubwordPair, content: str, dev: str = "") -> dict[str, Any]:
    """What `write_begun` keeps; `content` is the hash of the training text, `dev` that of the dev
    text where the run has no copy of it."""
    pieces = sha256(b"\0".join(subwords.models)).hexdigest()
    start = recipe.training.start_from
    return {
        "folder": str(Path.cwd()), "train": content, "subwords": pieces,
        "start_from": [start, _weights_hash(start)], "recipe": settings(recipe),
        **({"dev": dev} if dev else {}),
    }  # fmt: skip


def names(recipe: Recipe) -> list[str]:
    """Those that may be relative to a folder."""
    return [*recipe.data.train, recipe.data.dev, recipe.training.start_from]


def write_begun(run: Path, values: dict[str, Any], moved: bool) -> None:
    """Writes it at the beginning of a run; later only the folder that the recipe's names are
    relative to changes, where they have `moved`.

    Raises:
        NmtError: it cannot be written.
    """
    before = read_begun(run) if RunFolder(run).checkpoints() else {}
    if before:
        values = {**before, "folder": values["folder"]} if moved else before
    if values != before:
        write_atomically(RunFolder(run).begun, json.dumps(values, indent=1) + "\n")


def _weights_hash(start_from: str) -> str:
    """Empty where there is no such model (any more)."""
    try:
        return file_hash(open_folder(Path(start_from)).weights) if start_from else ""
    except NmtError:
        return ""


def read_begun(run: Path) -> dict[str, Any]:
    """What a run was begun with; empty where that is not known.

    Raises:
        NmtError: the file is not what was written.
    """
    path = RunFolder(run).begun
    try:
        return dict(read_json(path, within=run))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise NmtError(f"{path}: damaged ({error}); delete it, or choose another --run") from None


def refuse_changes(run: Path, now: dict[str, Any]) -> None:
    """Raises NmtError, naming what, where a run with checkpoints is not what it was begun with."""
    before = read_begun(run)
    if not before or not RunFolder(run).checkpoints():
        return
    for key, name in CONTENTS.items():
        if before.get(key) != now.get(key):
            raise NmtError(
                f"{run}: {name} changed since this run began; put them back or choose another --run"
            )
    (start, weights), (start_now, weights_now) = (
        before.get("start_from", ["", ""]),
        now["start_from"],
    )
    if start != start_now and (weights != weights_now or not start or not start_now):
        raise NmtError(
            f"{run}: training.start_from is {start_now!r}, but the run began with {start!r}; choose"
            " another --run"
        )
    refuse_other_settings(run, before.get("recipe", {}), now["recipe"])


def refuse_other_settings(run: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises NmtError, naming the first, where settings are not those of the run's recipe."""
    different = [key for key in before if before[key] != now.get(key)]
    if different:
        key = different[0]
        raise NmtError(
            f"{run}: holds a run of another recipe ({key} is {before[key]!r} there,"
            f" {now.get(key)!r}"
            f" here{f', and {len(different) - 1} more' if len(different) > 1 else ''}); choose"
            " another --run, or delete it"
        )
