"""Print what a model is: languages, network, size, subwords, and its scores on the dev set."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=Path, help="a run folder of nmt train or a model folder of nmt export")


def run(arguments: argparse.Namespace) -> int:
    import torch

    from nmt.inference.export import best_validation
    from nmt.inference.folder import load_network, open_folder
    from nmt.model.weights import named_weights

    folder = open_folder(arguments.model)
    data, model, subwords = folder.recipe.data, folder.recipe.model, folder.subwords
    parameters = sum(weight.numel() for weight in named_weights(load_network(folder, torch.device("cpu"))).values())
    print(f"languages: {data.source} to {data.target}")
    layers = f"{model.encoder_layers}+{model.decoder_layers} layers of {model.hidden_size}"
    print(f"network: {model.cell}, {layers}, {model.attention} attention{', input feeding' if model.input_feeding else ''}")
    sizes = f"{subwords.source.size:,} joint" if subwords.joint else f"{subwords.source.size:,} and {subwords.target.size:,}"
    print(f"subwords: {sizes}, {folder.recipe.subwords.kind}")
    print(f"parameters: {parameters:,}")
    print(f"weights: {folder.weights}")
    print(f"trained on: {', '.join(data.train)}")
    validation = folder.card.get("validation") or best_validation(arguments.model) or {}
    for score in validation.get("scores", []):
        print(f"dev set {data.dev}: {score['metric']} = {score['value']:.1f} {score['signature']}")
    return 0
