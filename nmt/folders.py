"""Model folders: a training run or an exported model, checked before it is used."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nmt.engines.shortlist import largest_shortlist
from nmt.errors import NmtError
from nmt.files import TABLE_BYTES, file_hash, read_json
from nmt.limits import shown
from nmt.model.language_model import LanguageModel
from nmt.model.network import TrainableNetwork
from nmt.model.translation import Seq2Seq
from nmt.model.weights import adopt_weights, largest_file, read_weights
from nmt.recipe import Recipe, load_recipe
from nmt.run_folder import (
    AVERAGED,
    CARD,
    LENGTHS,
    POINTERS,
    RECIPE,
    SHORTLIST,
    STATE,
    WEIGHTS,
    RunFolder,
    checked_validation,
)
from nmt.text.segments import Lengths
from nmt.text.subwords import MODEL_BYTES, MODEL_FILES, SubwordPair

FORMAT = 1


class ModelFolder(NamedTuple):
    """The parts of a model on disk."""

    path: Path  # as the user named it
    recipe: Recipe
    subwords: SubwordPair
    weights: Path
    shortlist: Path | None  # None: it has none
    card: dict[str, Any]  # of an exported model; empty for a run
    recorded: Lengths | None  # of the longest lines in training

    @property
    def lengths(self) -> Lengths:
        """Of the longest lines in training, or what the recipe allowed where there is no record
        of them."""
        return self.recorded or Lengths(self.recipe.data.max_length, self.recipe.data.max_length)


def open_folder(path: Path) -> ModelFolder:
    """Finds the parts of a run (its best checkpoint, or the last), of one of its checkpoints, or of
    an exported model.

    Raises:
        NmtError: no such folder, a part is missing, or an exported model's file is not the one that
            was exported.
    """
    pointer = path.name in POINTERS and RunFolder(path.parent).recipe.exists()
    if not path.is_dir() and not (pointer and path.is_file()):
        raise NmtError(
            f"{path}: no such model folder; name a run of `nmt train` or a folder of `nmt export`"
        )
    if (path / CARD).exists():
        return _exported(path)
    real = path.resolve()
    inside = path.parent if pointer else path
    is_checkpoint = real.parent == RunFolder(real.parent.parent).checkpoints_folder
    run = RunFolder(real.parent.parent if is_checkpoint else inside)
    if not run.recipe.exists():
        raise NmtError(
            f"{path}: neither a run nor an exported model (no recipe.toml, no {CARD}); check the"
            " path"
        )
    names = [path.name] if pointer else POINTERS if run.path == path else []
    for checkpoint in [run.pointed(name) for name in names] or [path]:
        weights = (checkpoint or run.path) / AVERAGED
        if checkpoint and not weights.exists() and run.checkpoints():
            raise NmtError(
                f"{weights}: missing, the checkpoint is damaged or was deleted; name another one of"
                f" {run.checkpoints_folder}"
            )
        if weights.exists():
            folder = _parts(path, run.path, weights, {})
            check_weights(weights, largest_file(empty_network(folder)), run.path)
            return folder
    raise NmtError(f"{path}: the run has no checkpoint yet; let `nmt train` reach its first one")


def open_members(first: ModelFolder, paths: Sequence[str | Path]) -> list[ModelFolder]:
    """The models that make an ensemble with the first one.

    Raises:
        NmtError: one of them is no model, is named twice, or has other subwords.
    """
    folders = [open_folder(Path(path)) for path in paths]
    seen = {first.weights.resolve()}
    for folder in folders:
        if folder.weights.resolve() in seen:
            raise NmtError(
                f"{folder.path}: the model is in the ensemble already, and twice the same changes"
                " nothing; name each model once"
            )
        seen.add(folder.weights.resolve())
        if folder.subwords.models != first.subwords.models:
            raise NmtError(
                f"{folder.path}: its subwords are not those of {first.path}; an ensemble needs"
                " models with the same subwords"
            )
    return folders


def _exported(path: Path) -> ModelFolder:
    """An exported model. The small files are looked at first: they say how large the others may
    be."""
    card = _checked_card(path)
    hashes = card["sha256"]
    _check_files(
        path,
        hashes,
        dict.fromkeys(MODEL_FILES, MODEL_BYTES) | {RECIPE: TABLE_BYTES, LENGTHS: TABLE_BYTES},
    )
    folder = _parts(path, path, path / WEIGHTS, card)
    sizes = folder.subwords.source.size, folder.subwords.target.size
    _check_files(
        path,
        hashes,
        {WEIGHTS: largest_file(empty_network(folder)), SHORTLIST: largest_shortlist(*sizes)},
    )
    return folder


def _parts(path: Path, root: Path, weights: Path, card: dict[str, Any]) -> ModelFolder:
    shortlist = root / SHORTLIST
    subwords, recipe = SubwordPair.load(root), load_recipe(root / RECIPE, root)
    return ModelFolder(
        path,
        recipe,
        subwords,
        weights,
        shortlist if shortlist.exists() else None,
        card,
        Lengths.load(root),
    )


def check_weights(weights: Path, limit: int, run: Path) -> None:
    """Raises NmtError unless a file of a run's checkpoint, of at most `limit` bytes, is the one
    that training wrote."""
    state = weights.with_name(STATE)
    try:
        expected = read_json(state, within=run)["sha256"][weights.name]
    except (OSError, ValueError, KeyError, TypeError):
        raise NmtError(f"{state}: missing or damaged; use another checkpoint of the run") from None
    try:
        found = file_hash(weights, limit, run)
    except OSError as error:
        raise NmtError(
            f"{weights}: cannot be read ({error.strerror}); use another checkpoint of the run"
        ) from None
    if found != expected:
        raise NmtError(
            f"{weights}: not the file that training wrote (its SHA-256 differs); use another"
            " checkpoint of the run"
        )


def _checked_card(path: Path) -> dict[str, Any]:
    """The card of an exported model, with values of the types that export writes."""
    try:
        card = dict(read_json(path / CARD, within=path))
        hashes = dict(card["sha256"])
        if not all(isinstance(value, str) for value in hashes.values()):
            raise ValueError("a hash that is no string")
        checked_validation(card.get("validation"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NmtError(
            f"{path / CARD}: not the card of an exported model ({reason}); export the run again"
        ) from error
    if card.get("format") != FORMAT:
        found = shown(card.get("format"))
        raise NmtError(
            f"{path / CARD}: format {found}, this version reads {FORMAT}; use the nmt version that"
            " exported it"
        )
    for name in hashes:
        if Path(name).name != name:
            raise NmtError(
                f"{path / CARD}: names a file outside the folder, {shown(name)}; do not use this"
                " model"
            )
        if name not in (WEIGHTS, RECIPE, SHORTLIST, LENGTHS, *MODEL_FILES):
            raise NmtError(
                f"{path / CARD}: names a file that no export has, {shown(name)}; do not use this"
                " model"
            )
    return card


def _check_files(path: Path, hashes: dict[str, str], limits: Mapping[str, int]) -> None:
    """Compares files with the hashes that the card has of them, after their sizes with these
    limits in bytes."""
    for name, limit in limits.items():
        if name not in hashes:
            continue
        if not (path / name).exists():
            raise NmtError(f"{path / name}: missing; copy the model folder again")
        try:
            found = file_hash(path / name, limit, path)
        except OSError as error:
            raise NmtError(
                f"{path / name}: cannot be read ({error.strerror}); copy the model folder again"
            ) from None
        if found != hashes[name]:
            raise NmtError(
                f"{path / name}: not the file that was exported (its SHA-256 differs); copy the"
                " model folder again"
            )


def load_network(folder: ModelFolder, device: torch.device) -> TrainableNetwork:
    """The network of a model folder, ready to compute. Nothing is allocated before names and
    shapes have been compared."""
    model = empty_network(folder)
    adopt_weights(read_weights(folder.weights, model), model)
    return model.to(device).eval()


def load_translation_model(folder: ModelFolder, device: torch.device) -> Seq2Seq:
    """As `load_network`. Raises NmtError where the model is no translation model."""
    if folder.recipe.task != "translation":
        raise NmtError(
            f"{folder.path}: a {folder.recipe.task.replace('-', ' ')}, which does not translate;"
            " use nmt score or nmt sample"
        )
    model = load_network(folder, device)
    assert isinstance(model, Seq2Seq)
    return model


def load_language_model(folder: ModelFolder, device: torch.device) -> LanguageModel:
    """As `load_network`. Raises NmtError where the model is no language model."""
    if folder.recipe.task != "language-model":
        raise NmtError(
            f"{folder.path}: a {folder.recipe.task} model, this needs a language model; train one"
            " with nmt train --task language-model"
        )
    model = load_network(folder, device)
    assert isinstance(model, LanguageModel)
    return model


def empty_network(folder: ModelFolder) -> TrainableNetwork:
    """The network of a model folder with names and shapes but without memory."""
    subwords = folder.subwords
    with torch.device("meta"):
        if folder.recipe.task == "language-model":
            return LanguageModel(folder.recipe.model, subwords.target.size)
        return Seq2Seq(
            folder.recipe.model, subwords.source.size, subwords.target.size, shared=subwords.joint
        )
