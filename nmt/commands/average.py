"""Average the weights of a run's last checkpoints into a model folder of its own."""

import argparse
from pathlib import Path

from nmt.commands.arguments import at_least, log


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="RUN", type=Path, help="a run folder of nmt train")
    parser.add_argument(
        "--last", metavar="N", type=at_least(1), required=True, help="how many checkpoints"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, help="a new folder (default: RUN/average-N)"
    )


def run(arguments: argparse.Namespace) -> int:
    from nmt.engines.export import average_checkpoints

    output = arguments.output or arguments.model / f"average-{arguments.last}"
    for checkpoint in average_checkpoints(arguments.model, arguments.last, output):
        log(f"took {checkpoint}")
    log(f"wrote {output}")
    return 0
