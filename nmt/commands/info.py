"""Print what a model is: languages, network, size, subwords, and its scores on the dev set."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from nmt.errors import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=Path, help="a run folder of nmt train or a model folder of nmt export")


def run(arguments: argparse.Namespace) -> int:
    print(*(printable(line) for line in _facts(arguments.model)), sep="\n")
    return 0


def _facts(path: Path) -> Iterator[str]:
    import torch

    from nmt.inference.folder import load_network, open_folder
    from nmt.inference.scores import best_validation
    from nmt.model.weights import named_weights

    folder = open_folder(path)
    data, model, subwords = folder.recipe.data, folder.recipe.model, folder.subwords
    parameters = sum(weight.numel() for weight in named_weights(load_network(folder, torch.device("cpu"))).values())
    yield f"languages: {data.source} to {data.target}"
    layers = f"{model.encoder_layers}+{model.decoder_layers} layers of {model.hidden_size}"
    yield f"network: {model.cell}, {layers}, {model.attention} attention{', input feeding' if model.input_feeding else ''}"
    sizes = f"{subwords.source.size:,} joint" if subwords.joint else f"{subwords.source.size:,} and {subwords.target.size:,}"
    yield f"subwords: {sizes}, {folder.recipe.subwords.kind}"
    yield f"parameters: {parameters:,}"
    yield f"weights: {folder.weights}"
    yield f"trained on: {', '.join(data.train)}"
    validation = folder.card.get("validation") or best_validation(path) or {}
    for score in validation.get("scores", []):
        yield f"dev set {data.dev}: {score['metric']} = {score['value']:.1f} {score.get('signature', '')}"
