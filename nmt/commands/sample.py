"""Write text from a language model, as it is produced.

The text begins with --prime. A model of lines writes one line for each sample. One of running text
writes --length symbols, and with --count each sample stands under a line `--- N`.
"""

import argparse
import sys
from pathlib import Path

from nmt.commands.arguments import at_least, search_number
from nmt.recipe import DEVICES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="a run folder of nmt train --task language-model",
    )
    parser.add_argument(
        "--prime", metavar="TEXT", default="", help="what the text begins with (default: nothing)"
    )
    parser.add_argument(
        "--temperature",
        metavar="T",
        type=search_number("temperature"),
        default=1.0,
        help="below 1: closer to the likeliest symbol, above: wilder (default: 1)",
    )
    parser.add_argument(
        "--top-k",
        metavar="K",
        type=search_number("top_k"),
        default=0,
        help="draw from the K likeliest symbols only (default: from all)",
    )
    parser.add_argument(
        "--top-p",
        metavar="P",
        type=search_number("top_p"),
        default=1.0,
        help="draw from the fewest likeliest symbols with this probability together (default: 1)",
    )
    parser.add_argument(
        "--length",
        metavar="N",
        type=at_least(1),
        default=500,
        help="symbols after the prime at most (default: 500)",
    )
    parser.add_argument(
        "--count", metavar="N", type=at_least(1), default=1, help="samples (default: 1)"
    )
    parser.add_argument(
        "--seed",
        metavar="S",
        type=at_least(0),
        default=1,
        help="of all samples; with their numbers it decides what is drawn (default: 1)",
    )
    parser.add_argument(
        "--device", choices=DEVICES, default="auto", help="default: a GPU if there is one"
    )


def run(arguments: argparse.Namespace) -> int:
    from nmt.language_model import LanguageModel

    model = LanguageModel.load(arguments.model, arguments.device)
    for number in range(arguments.count):
        if model.running and arguments.count > 1:
            print(f"--- {number + 1}")
        parts = model.sample(
            arguments.prime.replace("\r\n", "\n"),
            length=arguments.length,
            temperature=arguments.temperature,
            top_k=arguments.top_k,
            top_p=arguments.top_p,
            seed=arguments.seed,
            number=number,
        )
        last = ""
        for part in parts:
            last = part or last
            sys.stdout.write(part)
            sys.stdout.flush()
        if not last.endswith("\n"):
            print(flush=True)
    return 0
