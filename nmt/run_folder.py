"""The run folder: the name of every file that training writes, its checkpoints and its curves.

An exported model is a folder with some of the same files. This module loads no torch.
"""

import json
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from nmt.errors import NmtError
from nmt.files import JSON_BYTES, open_file, parse_json, read_file, read_json, sync, writing

RECIPE = "recipe.toml"  # every key written out
SUBWORDS = "subwords.model"  # one for both languages, or the next two
SOURCE_SUBWORDS, TARGET_SUBWORDS = "subwords.source.model", "subwords.target.model"
SHORTLIST = "shortlist.safetensors"  # the pieces that a source may call for
LENGTHS = "lengths.json"  # of the longest lines in training
CARD = "model.json"  # makes a folder an exported model
WEIGHTS = "model.safetensors"  # of an exported model, and of a checkpoint as they were trained
AVERAGED = "averaged.safetensors"  # of a checkpoint: the running average, which translates
OPTIMIZER = "optimizer.safetensors"  # of a checkpoint
CARRIED = "carried.safetensors"  # of a checkpoint: states of running text, where it has such
STATE = "state.json"  # of a checkpoint: all numbers, and the hashes of its files
STORE_CARD = "store.json"  # of the data in pieces
BEST, LAST = "best", "last"
POINTERS = (BEST, LAST)  # names in a run that stand for one of its checkpoints
CHECKPOINT = re.compile("update-[0-9]{6,}")  # the names that training gives to checkpoints
POINTER_BYTES = 1000  # of the text file that may stand for a link
ROW_BYTES = 1 << 16  # of one row of metrics.jsonl; training writes less than a kilobyte
METRICS_BYTES = 1 << 30  # of all of them
SESSION = {  # what training notes of each start
    "started": str,
    "where": str,
    "first_update": int,
    "seconds": float,
}

Row = dict[str, Any]


class RunFolder(NamedTuple):
    """A folder that `nmt train` writes, whatever part of it is there."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The recipe with every key written out."""
        return self.path / RECIPE

    @property
    def begun(self) -> Path:
        """Hashes of what the run was begun with, and the folder it was begun in."""
        return self.path / "begun.json"

    @property
    def dev(self) -> Path:
        """The run's own copy of the dev set."""
        return self.path / "dev.jsonl"

    @property
    def data(self) -> Path:
        """The training data in pieces."""
        return self.path / "data"

    @property
    def store_card(self) -> Path:
        """What the training data are; there once they are whole."""
        return self.data / STORE_CARD

    @property
    def shortlist(self) -> Path:
        """The pieces that a source may call for."""
        return self.path / SHORTLIST

    @property
    def lengths(self) -> Path:
        """The longest lines in training."""
        return self.path / LENGTHS

    @property
    def metrics_file(self) -> Path:
        """The curves, one JSON object a line; read them with `metrics`."""
        return self.path / "metrics.jsonl"

    @property
    def lock(self) -> Path:
        """The file that the process that trains here has locked."""
        return self.path / ".lock"

    @property
    def tensorboard(self) -> Path:
        """The curves as TensorBoard reads them."""
        return self.path / "tensorboard"

    @property
    def has_subwords(self) -> bool:
        """Whether subwords were learnt: of two models the target's is written last."""
        return (self.path / SUBWORDS).exists() or (self.path / TARGET_SUBWORDS).exists()

    @property
    def checkpoints_folder(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    def checkpoint(self, update: int) -> Path:
        """The folder of the checkpoint after an update, whether there is one or not."""
        return self.checkpoints_folder / f"update-{update:06d}"

    def checkpoints(self) -> list[Path]:
        """All checkpoints, whole or damaged, the oldest first; files under other names, such as
        copies, are ignored."""
        found = self.checkpoints_folder.glob("*")
        return sorted((each for each in found if CHECKPOINT.fullmatch(each.name)), key=update_of)

    @property
    def best(self) -> Path | None:
        """The checkpoint with the best validation; as `pointed`."""
        return self.pointed(BEST)

    @property
    def last(self) -> Path | None:
        """The newest checkpoint; as `pointed`."""
        return self.pointed(LAST)

    def pointed(self, name: str) -> Path | None:
        """The checkpoint that RUN/best or RUN/last stands for, None where it stands for none (yet).

        The name is a link, a text file with the link's target where the file system has no links,
        or the checkpoint's copy, made by a program that followed the link. Where a copy of the run
        has lost the name, its newest checkpoint tells.

        Raises:
            NmtError: the file is not what training wrote.
        """
        path = self.path / name
        if path.is_symlink() or path.is_dir():
            own = next((each for each in self.checkpoints() if _is_copy(path, each)), None)
            return own or (path.resolve() if path.is_symlink() else path)
        if path.exists():
            text = _pointer_text(path)
            if not CHECKPOINT.fullmatch(text.removeprefix("checkpoints/")):
                raise NmtError(
                    f"{path}: names no checkpoint, got {text[:60]!r}; delete it, the newest"
                    " checkpoint is used then"
                )
            return self.checkpoints_folder / text.removeprefix("checkpoints/")
        found = self.checkpoints()
        if not found or name == LAST:
            return found[-1] if found else None
        best = _best_update(found[-1])
        return next((folder for folder in found if update_of(folder) == best), None)

    def sessions(self) -> list[Row]:
        """Start, place and wall time in seconds of each session, as the last checkpoint has them;
        empty for other folders."""
        last = self.last
        try:
            found = read_json(last / STATE, within=last)["state"]["sessions"] if last else []
            return [{key: kind(each[key]) for key, kind in SESSION.items()} for each in found]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def metrics(self) -> list[Row]:
        """The rows of the curves in the order of the updates, `kind` "update" or "validation";
        empty without any. A last line that is still being written is left out.

        Raises:
            NmtError: a row is damaged; it is named.
        """
        try:
            lines = enumerate(self._metrics_lines(), start=1)
            return [
                _checked_row(line, f"{self.metrics_file}:{number}")
                for number, line in lines
                if line.endswith(b"\n") or len(line) == ROW_BYTES
            ]
        except OSError as error:
            raise NmtError(
                f"{self.metrics_file}: cannot be read ({error.strerror}); copy the folder again"
            ) from None

    def best_validation(self) -> Row | None:
        """The dev scores of the best checkpoint; None where there is no record of them. Rows that
        are no JSON are passed over.

        Raises:
            NmtError: what is recorded is not what training writes.
        """
        best = None
        try:
            for line in self._metrics_lines():
                row = _parsed(line)
                if row.get("kind") == "validation" and row.get("best"):
                    best = checked_validation(row)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise NmtError(
                f"{self.metrics_file}: damaged ({reason}); delete it to go without the scores"
            ) from None
        return best

    def _metrics_lines(self) -> Iterator[bytes]:
        if self.metrics_file.exists():
            with open_file(self.metrics_file, METRICS_BYTES, self.path) as file:
                yield from iter(partial(file.readline, ROW_BYTES), b"")


class MetricsWriter:
    """Writes metrics.jsonl: a row for each report and validation, in the order of the updates."""

    def __init__(self, run: Path, size: int) -> None:
        """Cuts the file to its first `size` bytes: rows of updates that will be made again are
        dropped.

        Raises:
            NmtError: it cannot be written.
        """
        self.path = RunFolder(run).metrics_file
        with writing(self.path):
            self.path.touch()
            self.lost = max(
                0, size - self.path.stat().st_size
            )  # bytes that somebody else took away
            if self.lost:  # whole rows stay; cutting to `size` would fill the file up with zeros
                size = self.path.read_bytes().rfind(b"\n") + 1
            os.truncate(self.path, size)

    def write(self, row: Row) -> int:
        """Appends a row, all of it or nothing; returns the file's size.

        Raises:
            NmtError: the disk is full.
        """
        with writing(self.path), open(self.path, "ab", buffering=0) as file:
            start, left = file.tell(), json.dumps(row).encode() + b"\n"
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:
                file.truncate(start)
                raise
            return file.tell()

    def sync(self) -> None:
        """The rows are on the disk before a checkpoint counts on them."""
        sync(self.path)


def update_of(folder: Path) -> int:
    """The update number in a checkpoint's name."""
    return int(folder.name.rpartition("-")[2])


def checked_validation(found: object) -> Row | None:
    """What training records of a validation, as far as others use it: its scores, each with metric
    and value.

    Raises:
        ValueError: it is something else.
    """
    if found is None:
        return None
    scores = found.get("scores", []) if isinstance(found, dict) else None
    if (
        not isinstance(found, dict)
        or not isinstance(scores, list)
        or not all(_is_score(score) for score in scores)
    ):
        raise ValueError("a validation without scores")
    return found


def _is_score(score: object) -> bool:
    if not isinstance(score, dict) or not isinstance(score.get("value"), int | float):
        return False
    texts = isinstance(score.get("metric"), str) and isinstance(score.get("signature", ""), str)
    return texts and abs(score["value"]) < 10**6  # False for NaN


def _parsed(line: bytes) -> Row:
    """Empty for what is no object."""
    try:
        row = parse_json(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _checked_row(line: bytes, where: str) -> Row:
    try:
        row = parse_json(line.decode(errors="replace"))
        if not isinstance(row, dict) or not _is_update(row.get("update")):
            raise ValueError("no object with an update")
        if row.get("kind") == "validation":
            checked_validation(row)
    except ValueError as error:
        raise NmtError(f"{where}: damaged ({error}); delete this line to see the rest") from None
    return row


def _is_update(value: object) -> bool:
    return type(value) is int and 0 <= value < 10**12


def _pointer_text(path: Path) -> str:
    try:
        return read_file(path, POINTER_BYTES).decode(errors="replace").strip()
    except OSError as error:
        raise NmtError(
            f"{path}: names no checkpoint ({error.strerror}); delete it, the newest checkpoint is"
            " used then"
        ) from None


def _is_copy(path: Path, checkpoint: Path) -> bool:
    """Whether a folder is a checkpoint, or a copy of it: the state has the hashes of all files."""
    try:
        return path.samefile(checkpoint) or read_file(path / STATE, JSON_BYTES) == read_file(
            checkpoint / STATE, JSON_BYTES
        )
    except OSError:
        return False


def _best_update(checkpoint: Path) -> int | None:
    """The update of the run's best checkpoint, by the state of a later one."""
    try:
        best = read_json(checkpoint / STATE, within=checkpoint)["state"]["best_update"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return best if isinstance(best, int) else None
