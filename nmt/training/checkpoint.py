"""Checkpoints: everything that matters for an exact continuation, written atomically, verified by hash, without pickle.

No random state is among it: all randomness is a function of the seed and of the place in the run.
"""

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from nmt.errors import NmtError
from nmt.hashing import file_hash
from nmt.model.weights import copy_weights, named_weights, read_weights, save_weights
from nmt.training.average import WeightAverage
from nmt.training.state import TrainingState, Window

FORMAT = 1
FILES = ("model.safetensors", "averaged.safetensors", "optimizer.safetensors")


class Checkpoint:
    """The four things that training changes, saved and restored together."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage | None, state: TrainingState) -> None:
        self.model, self.optimizer, self.average, self.state = model, optimizer, average, state

    def save(self, run: Path) -> Path:
        """Writes RUN/checkpoints/update-NNNNNN and then lets RUN/last point to it; a kill in between leaves the checkpoint before whole."""
        folder = run / "checkpoints" / checkpoint_name(self.state.update)
        if not is_whole(folder):
            temporary = folder.with_name(f".{folder.name}.writing")
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
            temporary.mkdir(parents=True)
            try:
                self._write(temporary)
            except (OSError, SafetensorError) as error:
                shutil.rmtree(temporary, ignore_errors=True)
                raise NmtError(
                    f"{folder}: cannot write the checkpoint ({error}); free some space, then run the same command again"
                ) from error
            os.replace(temporary, folder)
            _sync(folder.parent)
        point(run, "last", folder)
        return folder

    def _write(self, folder: Path) -> None:
        weights = named_weights(self.model)
        averaged = dict(zip(weights, self.average.values, strict=True)) if self.average else weights
        for name, tensors in zip(FILES, (weights, averaged, self._optimizer_tensors()), strict=True):
            save_weights(tensors, folder / name)
        hashes = {}
        for name in FILES:
            _sync(folder / name)
            hashes[name] = file_hash(folder / name)
        state = {
            "format": FORMAT,
            "state": asdict(self.state),
            "average_updates": self.average.updates if self.average else 0,
            "sha256": hashes,
        }
        with open(folder / "state.json", "w", encoding="utf-8") as out:
            json.dump(state, out, indent=1)
            out.flush()
            os.fsync(out.fileno())

    def _optimizer_tensors(self) -> dict[str, Tensor]:
        tensors = {}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"{key}.{name}"] = value
        return tensors

    def load(self, folder: Path) -> None:
        """Restores everything from a checkpoint that `newest` has verified.

        Raises:
            NmtError: the checkpoint is of another network or of another version of nmt.
        """
        saved = read_state(folder)
        copy_weights(read_weights(folder / "model.safetensors", self.model), self.model)
        if self.average:
            averaged = read_weights(folder / "averaged.safetensors", self.model)
            for (name, _), value in zip(self.model.named_parameters(), self.average.values, strict=True):
                value.copy_(averaged[name])
            self.average.updates = saved["average_updates"]
        self._restore_optimizer(load_file(folder / "optimizer.safetensors"))
        values = dict(saved["state"])
        window = Window(**values.pop("window"))
        self.state.__dict__.update(values, window=window)

    def _restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        names = dict(self.model.named_parameters())
        for key, value in tensors.items():
            kind, name = key.split(".", 1)
            if kind != "random":
                self.optimizer.state[names[name]][kind] = value.to(names[name].device)


def read_state(folder: Path) -> dict[str, Any]:
    """state.json of a checkpoint."""
    saved: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    if saved.get("format") != FORMAT:
        raise NmtError(f"{folder}: checkpoint format {saved.get('format')}, this version reads {FORMAT}; use the nmt version that wrote it")
    return saved


def is_whole(folder: Path) -> bool:
    """Whether all files are there with the hashes they were written with."""
    try:
        hashes = json.loads((folder / "state.json").read_text(encoding="utf-8"))["sha256"]
        return all(file_hash(folder / name) == hashes[name] for name in FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def newest(run: Path) -> tuple[Path | None, list[Path]]:
    """The newest whole checkpoint, and the damaged ones newer than it."""
    damaged: list[Path] = []
    for folder in sorted(run.glob("checkpoints/update-*"), key=update_of, reverse=True):
        if is_whole(folder):
            return folder, damaged
        damaged.append(folder)
    return None, damaged


def prune(run: Path, keep: int) -> None:
    """Removes all but the newest `keep` checkpoints and the best."""
    best = (run / "best").resolve()
    for folder in sorted(run.glob("checkpoints/update-*"), key=update_of)[:-keep]:
        if folder.resolve() != best:
            shutil.rmtree(folder)


def point(run: Path, name: str, folder: Path) -> None:
    """Lets the link RUN/name point to a checkpoint, atomically."""
    temporary = run / f".{name}.writing"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.relative_to(run))
    os.replace(temporary, run / name)
    _sync(run)


def checkpoint_name(update: int) -> str:
    """The folder's name of the checkpoint after an update."""
    return f"update-{update:06d}"


def update_of(folder: Path) -> int:
    """The update number in a checkpoint's name."""
    return int(folder.name.rpartition("-")[2])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
