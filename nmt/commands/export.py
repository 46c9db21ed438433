"""Write a model folder that stands alone: weights, recipe, subwords, and a card with its score and
hashes.

Damage is noticed when it is loaded. nmt translate takes it in place of a run.
"""

import argparse
from pathlib import Path

from nmt.commands.arguments import log
from nmt.machine import TRAINING_FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="RUN",
        type=Path,
        help="a run folder (its best checkpoint), one of its checkpoints, or a model folder",
    )
    parser.add_argument("output", metavar="DIR", type=Path, help="a new folder")
    parser.add_argument(
        "--precision",
        choices=TRAINING_FORMATS,
        default="fp32",
        help="bf16 takes half the space (default: fp32)",
    )
    parser.add_argument(
        "--paths",
        action="store_true",
        help="keep the paths of the training data, not only the names of its files",
    )


def run(arguments: argparse.Namespace) -> int:
    from nmt.engines.export import export_model

    export_model(arguments.model, arguments.output, arguments.precision, arguments.paths)
    log(f"wrote {arguments.output}")
    return 0
