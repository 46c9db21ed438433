"""Self-contained model folders: weights, recipe, subwords, shortlist and a card with score,
signature and hashes."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt import __version__
from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.files import file_hash, move, writing
from nmt.folders import (
    FORMAT,
    ModelFolder,
    check_weights,
    empty_network,
    load_network,
    open_folder,
)
from nmt.model.weights import largest_file, named_weights, read_weights, save_weights
from nmt.recipe import Recipe, dump_recipe
from nmt.run_folder import CARD, LENGTHS, RECIPE, SHORTLIST, WEIGHTS, RunFolder
from nmt.text.corpus import HUB, PARTNER

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def export_model(path: Path, output: Path, precision: str = "fp32", paths: bool = False) -> None:
    """Writes the model of a run, a checkpoint or an exported folder to a new folder.

    Of the paths in its recipe only the last part is written, unless `paths` says otherwise: they
    tell of the exporter's machine.

    Raises:
        NmtError: `path` is no model, or `output` exists.
    """
    folder = open_folder(path)
    folder = folder if paths else folder._replace(recipe=bare(folder.recipe))
    weights = named_weights(load_network(folder, torch.device("cpu")))
    _write(
        folder,
        weights,
        output,
        precision,
        folder.card.get("validation") or RunFolder(path).best_validation(),
    )


def bare(recipe: Recipe) -> Recipe:
    """The recipe with the names of corpora and of the model that training started from instead
    of their paths."""
    data, start = recipe.data, recipe.training.start_from
    data = replace(
        data, train=tuple(_bare_name(name) for name in data.train), dev=_bare_name(data.dev)
    )
    return replace(
        recipe, data=data, training=replace(recipe.training, start_from=_bare_name(start))
    )


def _bare_name(name: str) -> str:
    """The end of a path, also of a local data set and of either part of a specification of two;
    data sets of the Hub stay."""
    if name.startswith(HUB) and not name.startswith((f"{HUB}/", f"{HUB}.", f"{HUB}~")):
        return name
    scheme = HUB if name.startswith(HUB) else ""
    parts = name.removeprefix(HUB).split(PARTNER)
    return scheme + PARTNER.join(part.rstrip("/").rpartition("/")[2] or part for part in parts)


def average_checkpoints(run: Path, last: int, output: Path) -> list[Path]:
    """Writes the mean of the weights of a run's `last` checkpoints to a new folder; returns the
    checkpoints.

    Raises:
        NmtError: fewer checkpoints than that, or `output` exists.
    """
    found = [
        folder / WEIGHTS for folder in RunFolder(run).checkpoints() if (folder / WEIGHTS).exists()
    ]
    if last < 1 or len(found) < last:
        raise NmtError(
            f"{run}: cannot average {last} checkpoints, there are {len(found)}; lower --last or"
            " raise training.keep"
        )
    folder = open_folder(run)
    model = empty_network(folder)
    for file in found[-last:]:
        check_weights(file, largest_file(model), run)
    _write(
        folder, mean_of([read_weights(file, model) for file in found[-last:]]), output, "fp32", None
    )
    return [file.parent for file in found[-last:]]


def mean_of(weights: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The arithmetic mean of several checkpoints, tensor by tensor, summed in fp64."""
    return {
        name: torch.stack([each[name].double() for each in weights]).mean(0).to(first.dtype)
        for name, first in weights[0].items()
    }


def _write(
    folder: ModelFolder,
    weights: Mapping[str, Tensor],
    output: Path,
    precision: str,
    validation: dict[str, Any] | None,
) -> None:
    if output.exists():
        raise NmtError(f"{output}: exists already; name a new folder, or delete it")
    partial = output.with_name(f".{output.name}.writing")
    with writing(output, "the model"):
        try:
            _fill(partial, folder, weights, precision, validation)
            move(partial, output)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _fill(
    partial: Path,
    folder: ModelFolder,
    weights: Mapping[str, Tensor],
    precision: str,
    validation: dict[str, Any] | None,
) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_weights(
        {name: value.to(DTYPES[precision]) for name, value in weights.items()},
        partial / WEIGHTS,
    )
    (partial / RECIPE).write_text(dump_recipe(folder.recipe), encoding="utf-8")
    folder.subwords.save(partial)
    if folder.shortlist:
        sizes = folder.subwords.source.size, folder.subwords.target.size
        Shortlist.load(folder.shortlist, *sizes).save(
            partial / SHORTLIST
        )  # not a copy: what a stranger's file holds beside it stays
    if folder.recorded:
        (partial / LENGTHS).write_text(folder.recorded.text(), encoding="utf-8")
    hashes = {file.name: file_hash(file) for file in sorted(partial.iterdir())}
    card = {
        "format": FORMAT,
        "nmt": __version__,
        "precision": precision,
        "validation": validation,
        "sha256": hashes,
    }
    (partial / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    (partial / "README.md").write_text(
        _card_text(folder, weights, precision, validation), encoding="utf-8"
    )


def _card_text(
    folder: ModelFolder,
    weights: Mapping[str, Tensor],
    precision: str,
    validation: dict[str, Any] | None,
) -> str:
    data, model = folder.recipe.data, folder.recipe.model
    millions = sum(value.numel() for value in weights.values()) / 1e6
    scores = "".join(
        f"- {score['metric']} = {score['value']:.1f} on the dev set {data.dev}, signature"
        f" `{score.get('signature', '')}`\n"
        for score in (validation or {}).get("scores", [])
    )
    if folder.recipe.task == "language-model":
        return (
            f"# Language model\n\nA recurrent language model ({model.cell}, {model.decoder_layers}"
            f" layers of {model.hidden_size}, {millions:.1f}M parameters, {precision}) trained by"
            f" nmt {__version__} on {', '.join(data.train)}.\n\n"
            f"{scores or '- no score was recorded'}\n\nWrite text with `nmt sample THIS_FOLDER`,"
            " score text with `nmt score THIS_FOLDER TEXT`; recipe.toml says how it was trained.\n"
        )
    return (
        f"# {data.source} to {data.target}\n\nA recurrent translation model ({model.cell},"
        f" {model.encoder_layers}+{model.decoder_layers} layers of {model.hidden_size},"
        f" {millions:.1f}M parameters, {precision}) trained by nmt {__version__} on"
        f" {', '.join(data.train)}.\n\n{scores or '- no score was recorded'}\n\nTranslate with `nmt"
        f" translate THIS_FOLDER < text.{data.source} > text.{data.target}`; recipe.toml says how"
        " it was trained.\n"
    )
