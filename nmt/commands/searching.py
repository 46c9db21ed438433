"""Options of `nmt translate` about its search, beyond the recipe's settings."""

import argparse

from nmt.commands.arguments import UsageError, at_least, not_negative
from nmt.errors import NmtError
from nmt.inference.options import SearchOptions


def add_option_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("search", "Lengths are target pieces: of a line translated in segments, those of each segment.")
    group.add_argument("--no-repeat-ngram", metavar="N", type=at_least(1), default=0, help="no N pieces in a row come twice")
    group.add_argument("--min-length", metavar="N", type=at_least(0), default=0, help="a translation has at least N pieces")
    group.add_argument("--max-length", metavar="N", type=at_least(1), help="a translation has at most N pieces (default: the recipe's)")
    group.add_argument(
        "--coverage",
        metavar="B",
        type=not_negative,
        default=0.0,
        help="rank what the beam has found by (log-probability + B * coverage penalty) / length^A; 0.2 is usual",
    )


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
        )
    except NmtError as error:
        raise UsageError(str(error)) from None
