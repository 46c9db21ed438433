"""Checkpoints: everything that matters for an exact continuation, written atomically, verified by
hash, without pickle.

No random state is among it: all randomness is a function of the seed and of the place in the run.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from nmt.errors import NmtError
from nmt.files import file_hash, move, read_json, sync, writing
from nmt.model.weights import (
    HEADER_BYTES,
    array_shapes,
    copy_weights,
    largest_file,
    named_weights,
    read_weights,
    save_weights,
)
from nmt.run_folder import AVERAGED, CARRIED, LAST, OPTIMIZER, STATE, WEIGHTS, RunFolder, update_of
from nmt.training.optimizer import WeightAverage
from nmt.training.state import Session, TrainingState, Window, fits

# raised whenever a run would go on otherwise than it began: other state, other batches, other
# random numbers
FORMAT = 4
FILES = (WEIGHTS, AVERAGED, OPTIMIZER)
MOMENTS = (
    3  # arrays that the optimizer may keep for each of the network's; AdamW has two and a number
)
UNFINISHED = ".writing"  # ends the names of what may be half written
NAMES = sorted(field.name for kind in (TrainingState, Window) for field in fields(kind))


class Checkpoint:
    """The four things that training changes, saved and restored together."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage | None,
        state: TrainingState,
        carried: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.carried = dict(carried or {})  # of a task, written in place
        self.model, self.optimizer, self.average, self.state = model, optimizer, average, state

    def save(self, run: Path) -> Path:
        """Writes RUN/checkpoints/update-NNNNNN and then lets RUN/last point to it; a kill in
        between leaves the checkpoint before whole.

        Raises:
            NmtError: the disk is full, or the folder cannot be written.
        """
        folder = RunFolder(run).checkpoint(self.state.update)
        if not is_whole(folder):
            temporary = folder.with_name(f".{folder.name}{UNFINISHED}")
            with writing(folder, "the checkpoint"):
                for left_behind in folder.parent.glob(f".*{UNFINISHED}"):
                    shutil.rmtree(left_behind, ignore_errors=True)
                temporary.mkdir(parents=True)
                try:
                    self._write(temporary)
                    shutil.rmtree(folder, ignore_errors=True)  # a damaged one
                    move(temporary, folder)
                except BaseException:
                    shutil.rmtree(temporary, ignore_errors=True)
                    raise
        point(run, LAST, folder)
        return folder

    def _write(self, folder: Path) -> None:
        weights = named_weights(self.model)
        averaged = dict(zip(weights, self.average.values, strict=True)) if self.average else weights
        for name, tensors in zip(
            FILES, (weights, averaged, self._optimizer_tensors()), strict=True
        ):
            save_weights(tensors, folder / name)
        values = {
            "format": FORMAT,
            "state": asdict(self.state),
            "average_updates": self.average.updates if self.average else 0,
        }
        if self.carried:
            save_weights(self.carried, folder / CARRIED)
        names = [*FILES, *([CARRIED] if self.carried else [])]
        hashes = {name: file_hash(folder / name) for name in names}
        text = json.dumps({**values, "sha256": {**hashes, STATE: _values_hash(values)}}, indent=1)
        (folder / STATE).write_text(text, encoding="utf-8")

    def _optimizer_tensors(self) -> dict[str, Tensor]:
        tensors = {}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"{key}.{name}"] = value
        return tensors

    def load(self, folder: Path) -> None:
        """Restores everything from a checkpoint that `newest` has verified.

        Raises:
            NmtError: the checkpoint is of another network.
        """
        saved = read_state(folder)
        copy_weights(read_weights(folder / WEIGHTS, self.model), self.model)
        if self.average:
            averaged = read_weights(folder / AVERAGED, self.model)
            for (name, _), value in zip(
                self.model.named_parameters(), self.average.values, strict=True
            ):
                value.copy_(averaged[name])
            self.average.updates = saved["average_updates"]
        self._restore_optimizer(folder / OPTIMIZER)
        self._restore_carried(folder / CARRIED)
        values = dict(saved["state"])
        window, sessions = (
            Window(**values.pop("window")),
            [Session(**each) for each in values.pop("sessions")],
        )
        self.state.__dict__.update(values, window=window, sessions=sessions)

    def _restore_optimizer(self, path: Path) -> None:
        names = dict(self.model.named_parameters())
        try:
            found = array_shapes(path, MOMENTS * largest_file(self.model))
            if not all(key.partition(".")[2] in names for key in found):
                raise NmtError(
                    f"{path}: of another network; put the checkpoint back, or choose another --run"
                )
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise NmtError(
                f"{path}: cannot be read ({error}); put the checkpoint back, or choose another"
                " --run"
            ) from error
        for key, value in tensors.items():
            kind, _, name = key.partition(".")
            if value.numel() > 1 and value.shape != names[name].shape:
                raise NmtError(
                    f"{path}: {key} has another shape than the network's; put the checkpoint back,"
                    " or choose another --run"
                )
            self.optimizer.state[names[name]][kind] = value.to(names[name].device)

    def _restore_carried(self, path: Path) -> None:
        if not self.carried:
            return
        try:
            limit = HEADER_BYTES + 8 + sum(4 * each.numel() for each in self.carried.values())
            found = {name: shape.shape for name, shape in array_shapes(path, limit).items()}
            if found != {name: tuple(each.shape) for name, each in self.carried.items()}:
                raise SafetensorError("other shapes than the recipe asks for")
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise NmtError(
                f"{path}: cannot be read ({error}); put the checkpoint back, or choose another"
                " --run"
            ) from error
        for name, value in tensors.items():
            self.carried[name].copy_(value)


def read_state(folder: Path) -> dict[str, Any]:
    """The values of a checkpoint: format, state, average_updates, and the hash of each file.

    Raises:
        ValueError: they are not what was written.
        NmtError: another version of nmt wrote them.
    """
    saved = read_json(folder / STATE)
    if not isinstance(saved, dict) or not isinstance(saved.get("sha256"), dict):
        raise ValueError("no hashes")
    hashes = saved.pop("sha256")
    other_format = isinstance(saved.get("format"), int) and saved["format"] != FORMAT
    if not other_format and hashes.get(STATE) != _values_hash(saved):
        raise ValueError("not the values that were written")
    if other_format or _names(saved) != NAMES:
        version = (
            f"format {saved['format']}, this one writes {FORMAT}"
            if other_format
            else "other values in its state"
        )
        raise NmtError(
            f"{folder}: a checkpoint of another version of nmt ({version}); use that version, or"
            " choose another --run"
        )
    if not fits(saved["state"], TrainingState) or not fits(saved.get("average_updates"), int):
        raise ValueError("values of other types than were written")
    return {**saved, "sha256": hashes}


def _names(saved: dict[str, Any]) -> list[str] | None:
    """The names of all values of the state."""
    state = saved.get("state")
    window = state.get("window") if isinstance(state, dict) else None
    return (
        sorted([*state, *window]) if isinstance(state, dict) and isinstance(window, dict) else None
    )


def _values_hash(values: dict[str, Any]) -> str:
    return sha256(json.dumps(values).encode()).hexdigest()


def is_whole(folder: Path) -> bool:
    """Whether all files are there with the hashes they were written with.

    Raises:
        NmtError: another version of nmt wrote them.
    """
    try:
        hashes = read_state(folder)["sha256"]
        names = [*FILES, *([CARRIED] if CARRIED in hashes else [])]
        return all(file_hash(folder / name) == hashes[name] for name in names)
    except (OSError, ValueError, KeyError):
        return False


def newest(run: Path) -> tuple[Path | None, list[Path]]:
    """The newest whole checkpoint, None where there is none yet, and the damaged ones newer than
    it.

    Raises:
        NmtError: all are damaged, or one is of another version of nmt.
    """
    damaged: list[Path] = []
    for folder in reversed(RunFolder(run).checkpoints()):
        if is_whole(folder):
            return folder, damaged
        damaged.append(folder)
    if damaged:
        names = ", ".join(folder.name for folder in damaged)
        raise NmtError(
            f"{RunFolder(run).checkpoints_folder}: every checkpoint is damaged ({names}); put one"
            " back, or delete the folder to start over"
        )
    return None, damaged


def prune(run: Path, keep: int, needed: Path | None = None) -> None:
    """Removes all but the newest `keep` checkpoints, the best and `needed`, and the damaged ones
    that lie ahead of the run."""
    folders, best, newest_one = (
        RunFolder(run).checkpoints(),
        RunFolder(run).best,
        RunFolder(run).last,
    )
    last = update_of(newest_one) if newest_one else 0
    behind = [folder for folder in folders if update_of(folder) <= last]
    ahead = [folder for folder in folders if update_of(folder) > last]
    for folder in (*ahead, *behind[:-keep]):
        if folder not in (best, needed):
            shutil.rmtree(folder)


def point(run: Path, name: str, folder: Path) -> None:
    """Lets RUN/name point to a checkpoint, atomically: a link, or a text file where there are no
    links. Writes nothing if it does.

    Raises:
        NmtError: it cannot be written.
    """
    path, temporary, target = (
        run / name,
        run / f".{name}{UNFINISHED}",
        folder.relative_to(run).as_posix(),
    )
    is_folder = path.is_dir() and not path.is_symlink()
    if not is_folder and os.path.lexists(path) and RunFolder(run).pointed(name) == folder:
        return
    with writing(path, "the link"):
        if (
            is_folder and RunFolder(run).pointed(name) != path
        ):  # a copy of a checkpoint, left by a program that followed the link
            shutil.rmtree(path)
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(target)
        except OSError:
            temporary.write_text(f"{target}\n", encoding="utf-8")
        os.replace(temporary, path)
        sync(run)
