"""What several commands share: option groups, messages, and the error for arguments that
contradict one another."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from nmt.errors import NmtError, printable
from nmt.limits import SEARCH_LIMITS, WHOLE
from nmt.machine import FORMATS
from nmt.recipe import DEVICES
from nmt.search.settings import Sampling
from nmt.translation.options import SearchOptions
from nmt.translation.shards import Shard


class UsageError(Exception):
    """The arguments make no sense together; `nmt` prints it with the usage line and exits with
    status 2."""


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL and what it runs on."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="a run folder of nmt train or a model folder of nmt export",
    )
    parser.add_argument(
        "--ensemble",
        metavar="MODEL",
        type=Path,
        nargs="+",
        default=[],
        help="models with the same subwords: the mean of all predictions",
    )
    add_hardware_arguments(parser)


def add_hardware_arguments(parser: argparse.ArgumentParser, precision: str = "auto") -> None:
    parser.add_argument(
        "--device", choices=DEVICES, default="auto", help="default: a GPU if there is one"
    )
    parser.add_argument(
        "--precision",
        choices=("auto", *(each.name for each in FORMATS)),
        default=precision,
        help=f"auto: the fastest here (default: {precision})",
    )


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--beam",
        metavar="K",
        type=search_number("beam"),
        help="hypotheses kept for each sentence; 1 is greedy (default: the recipe's)",
    )
    parser.add_argument(
        "--length-alpha",
        metavar="A",
        type=search_number("length_alpha"),
        help="score = log-probability / length^A; 0 to 10 (default: the recipe's)",
    )
    parser.add_argument(
        "--no-shortlist",
        dest="shortlist",
        action="store_false",
        help=(
            "look at every target piece, not only at those the source may call for (fp32, ensembles"
            " and GPUs always do)"
        ),
    )


def search_number(name: str) -> Callable[[str], float]:
    """An argparse type: a number that this setting of a search may have; whole for a count."""
    limit = SEARCH_LIMITS[name]
    kind, wanted = (int, "a whole number") if name in WHOLE else (float, "a number")

    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {wanted}, got {text!r}") from None
        if not limit.allows(value):
            raise argparse.ArgumentTypeError(f"must be {limit}, got {text}")
        return value

    return number


def at_least(low: int) -> Callable[[str], int]:
    """An argparse type: a whole number of at least `low`."""

    def whole_number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, got {value}")
        return value

    return whole_number


def shard_of(text: str) -> Shard:
    """An argparse type: i/n, the i-th of n parts."""
    found = re.fullmatch("([0-9]+)/([0-9]+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"must be i/n, from 1/n to n/n, got {text!r}")
    return Shard(int(found[1]), int(found[2]))


def log(message: str) -> None:
    """Everything that is no result goes to stderr."""
    print(f"nmt: {printable(message)}", file=sys.stderr, flush=True)


def add_option_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "search",
        "Lengths are target pieces: of a line translated in segments, those of each segment.",
    )
    group.add_argument(
        "--no-repeat-ngram",
        metavar="N",
        type=search_number("no_repeat_ngram"),
        default=0,
        help="no N pieces in a row come twice",
    )
    group.add_argument(
        "--min-length",
        metavar="N",
        type=search_number("min_length"),
        default=0,
        help="a translation has at least N pieces",
    )
    group.add_argument(
        "--max-length",
        metavar="N",
        type=at_least(1),
        help="a translation has at most N pieces (default: the recipe's)",
    )
    group.add_argument(
        "--coverage",
        metavar="B",
        type=search_number("coverage"),
        default=0.0,
        help=(
            "rank what the beam has found by (log-probability + B * coverage penalty) / length^A;"
            " 0.2 is usual"
        ),
    )


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "sampling",
        "Draw translations instead of searching for the likeliest. The same seed gives the same"
        " translations, whatever the number of workers.",
    )
    group.add_argument(
        "--sample", action="store_true", help="draw each piece from the model's probabilities"
    )
    group.add_argument(
        "--temperature",
        metavar="T",
        type=search_number("temperature"),
        help="sharpen (below 1) or flatten (above 1) the probabilities (default: 1)",
    )
    group.add_argument(
        "--top-k",
        metavar="K",
        type=search_number("top_k"),
        help="draw from the K likeliest pieces only",
    )
    group.add_argument(
        "--top-p",
        metavar="P",
        type=search_number("top_p"),
        help="draw from the fewest pieces whose probabilities sum up to P",
    )
    group.add_argument(
        "--seed", metavar="S", type=search_number("seed"), help="choose other samples (default: 1)"
    )
    parser.add_argument(
        "--mbr",
        metavar="N",
        type=search_number("mbr"),
        default=0,
        help=(
            "choose among N samples, or the N best of the beam, the one with the highest expected"
            " chrF (minimum Bayes risk); scores are then that chrF"
        ),
    )


def _sampling(arguments: argparse.Namespace) -> Sampling | None:
    given = {
        name: value
        for name in ("temperature", "top_k", "top_p", "seed")
        if (value := getattr(arguments, name)) is not None
    }
    if given and not arguments.sample:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"without --sample nothing is drawn: add it, or leave out {names}")
    return Sampling(**given) if arguments.sample else None


def search_options(arguments: argparse.Namespace) -> SearchOptions:
    """What these arguments and --beam and --length-alpha make together."""
    try:
        return SearchOptions(
            beam=arguments.beam,
            length_alpha=arguments.length_alpha,
            no_repeat_ngram=arguments.no_repeat_ngram,
            min_length=arguments.min_length,
            max_length=arguments.max_length,
            coverage=arguments.coverage,
            sampling=_sampling(arguments),
            mbr=arguments.mbr,
        )
    except NmtError as error:
        raise UsageError(str(error)) from None
