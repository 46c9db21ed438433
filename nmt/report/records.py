"""What a run has written so far, read without disturbing it: a missing part is a gap, a damaged
one is named."""

import fcntl
from pathlib import Path
from typing import NamedTuple

from nmt.errors import NmtError
from nmt.files import open_file, read_json
from nmt.recipe import Recipe, load_recipe
from nmt.run_folder import CARD, POINTERS, STATE, Row, RunFolder


class RunRecord(NamedTuple):
    """A run folder (or an exported model) as a report sees it."""

    path: Path
    name: str
    recipe: Recipe
    updates: list[Row]  # rows of metrics.jsonl
    validations: list[Row]
    state: Row  # of the last checkpoint; empty without one
    hashes: dict[str, str]  # SHA-256 of the best checkpoint's files
    status: str  # training, finished, stopped or exported
    corpus: Row  # data/store.json; empty without it
    card: Row  # model.json of an exported model; empty without it

    @property
    def best(self) -> Row | None:
        """The validation of the best checkpoint, which an exported model has in its card."""
        recorded = self.card.get("validation")
        return next(
            (row for row in reversed(self.validations) if row.get("best")),
            recorded if isinstance(recorded, dict) else None,
        )

    @property
    def minutes(self) -> float | None:
        """Of training, by its recorded speed; without validations and saving. None without a
        record."""
        spent, before = 0.0, 0.0
        for row in self.updates:
            pieces, speed = row.get("pieces"), row.get("pieces_per_second")
            if isinstance(pieces, int | float) and isinstance(speed, int | float) and speed > 0:
                spent += max(0.0, pieces - before) / speed
                before = pieces
        return spent / 60 if spent else None


def read_run(path: Path, name: str = "") -> RunRecord:
    """Reads recipe, metrics and the state of the checkpoints.

    Raises:
        NmtError: no such folder, no recipe, or a file that is damaged.
    """
    if not path.is_dir():
        raise NmtError(f"{path}: no such run folder; name a folder that nmt train has written")
    run = RunFolder(path)
    if not run.recipe.exists():
        raise NmtError(f"{path}: no run of nmt train (no recipe.toml); check the path")
    recipe = load_recipe(run.recipe, path)
    rows = run.metrics()
    best, last = (run.pointed(name) or path / name for name in POINTERS)
    state = _table(last / STATE, "state")
    return RunRecord(
        path=path,
        name=name or path.name,
        recipe=recipe,
        updates=[row for row in rows if row.get("kind") == "update"],
        validations=[row for row in rows if row.get("kind") == "validation"],
        state=state,
        hashes=_table(best / STATE, "sha256") or _table(path / CARD, "sha256"),
        status=_status(path, recipe, state),
        corpus=_json(run.store_card),
        card=_json(path / CARD),
    )


def read_runs(paths: list[Path]) -> list[RunRecord]:
    """Several runs; those with the same folder name are called by their whole path."""
    names = [path.resolve().name for path in paths]
    return [
        read_run(path, name if names.count(name) == 1 else str(path))
        for path, name in zip(paths, names, strict=True)
    ]


def is_training(path: Path) -> bool:
    """Whether a process holds the run's lock."""
    try:
        with open_file(RunFolder(path).lock, within=path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _status(path: Path, recipe: Recipe, state: Row) -> str:
    if (path / CARD).exists():
        return "exported"
    if is_training(path):
        return "training"
    limits = recipe.training
    seconds = sum(each.get("seconds", 0) for each in state.get("sessions", []))
    done = (
        state.get("epoch", 0) > limits.epochs > 0
        or 0 < limits.patience <= state.get("stale", 0)
        or 0 < limits.updates <= state.get("update", 0)
        or 0 < 60 * limits.minutes <= seconds
    )
    return "finished" if done else "stopped"


def _table(path: Path, key: str) -> Row:
    """An object within the object in a file; empty if there is no file (yet).

    Raises: NmtError if it is damaged.
    """
    found = _json(path).get(key, {})
    if not isinstance(found, dict):
        raise NmtError(
            f"{path}: damaged ({key} is no object); delete the checkpoint it belongs to, or copy"
            " the folder again"
        )
    return found


def _json(path: Path) -> Row:
    """An object in a file; empty if there is none (yet).

    Raises: NmtError if it is damaged.
    """
    try:
        found = read_json(path, within=path.parent)
    except OSError:
        return {}
    except ValueError as error:
        raise NmtError(
            f"{path}: damaged ({error}); delete the checkpoint it belongs to, or copy the folder"
            " again"
        ) from None
    return found if isinstance(found, dict) else {}
