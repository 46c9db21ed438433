"""Print what a model is: languages, network, size, subwords, training time, and its scores on
the dev set."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt.commands.progress import DECIMALS
from nmt.errors import printable
from nmt.run_folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="a run folder of nmt train or a model folder of nmt export",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")


def run(arguments: argparse.Namespace) -> int:
    facts = _facts(arguments.model)
    if arguments.json:
        print(json.dumps(facts, ensure_ascii=True))
    else:
        print(*(printable(line) for line in _lines(facts)), sep="\n")
    return 0


def _facts(path: Path) -> dict[str, Any]:
    import torch

    from nmt.folders import load_network, open_folder
    from nmt.model.weights import named_weights

    folder = open_folder(path)
    recipe, subwords = folder.recipe, folder.subwords
    validation = folder.card.get("validation") or RunFolder(path).best_validation() or {}
    network = recipe.model
    return {
        "task": recipe.task,
        "source": recipe.data.source,
        "target": recipe.data.target,
        "network": {
            "cell": network.cell, "encoder_layers": network.encoder_layers, "decoder_layers": network.decoder_layers,  # noqa: E501
            "hidden_size": network.hidden_size, "attention": network.attention, "input_feeding": network.input_feeding,  # noqa: E501
        },
        "subwords": {
            "kind": recipe.subwords.kind, "joint": subwords.joint, "source": subwords.source.size, "target": subwords.target.size,  # noqa: E501
        },
        "parameters": sum(weight.numel() for weight in named_weights(load_network(folder, torch.device("cpu"))).values()),  # noqa: E501
        "weights": str(folder.weights),
        "train": list(recipe.data.train),
        "dev": recipe.data.dev,
        "scores": validation.get("scores", []),
        "sessions": RunFolder(path).sessions(),
    }  # fmt: skip


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    network, subwords = facts["network"], facts["subwords"]
    if facts["task"] == "language-model":
        yield "task: language model"
        layers = f"{network['decoder_layers']} layers of {network['hidden_size']}"
        yield f"network: {network['cell']}, {layers}"
        yield f"pieces: {subwords['target']:,}, {subwords['kind']}"
    else:
        yield from _translation_lines(facts)
    yield f"parameters: {facts['parameters']:,}"
    yield f"weights: {facts['weights']}"
    yield f"trained on: {', '.join(facts['train'])}"
    if facts["sessions"]:
        yield f"trained in: {_duration(facts['sessions'])}"
    for score in facts["scores"]:
        value = f"{score['value']:.{DECIMALS.get(score['metric'], 1)}f}"
        yield (f"dev set {facts['dev']}: {score['metric']} = {value} {score.get('signature', '')}")


def _translation_lines(facts: dict[str, Any]) -> Iterator[str]:
    network, subwords = facts["network"], facts["subwords"]
    yield f"languages: {facts['source']} to {facts['target']}"
    layers = (
        f"{network['encoder_layers']}+{network['decoder_layers']} layers of"
        f" {network['hidden_size']}"
    )
    yield (
        f"network: {network['cell']}, {layers}, {network['attention']}"
        f" attention{', input feeding' if network['input_feeding'] else ''}"
    )
    sizes = (
        f"{subwords['source']:,} joint"
        if subwords["joint"]
        else f"{subwords['source']:,} and {subwords['target']:,}"
    )
    yield f"subwords: {sizes}, {subwords['kind']}"


def _duration(sessions: list[dict[str, Any]]) -> str:
    """Hours, minutes and seconds of all sessions, and the machine of the last."""
    minutes, seconds = divmod(round(sum(each["seconds"] for each in sessions)), 60)
    hours, minutes = divmod(minutes, 60)
    several = f" in {len(sessions)} sessions" if len(sessions) > 1 else ""
    return f"{hours}:{minutes:02}:{seconds:02} hours{several}, {sessions[-1]['where']}"
