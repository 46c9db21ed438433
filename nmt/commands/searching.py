"""Options of `nmt translate` that constrain what a search may find."""

import argparse

from nmt.commands.arguments import UsageError, at_least
from nmt.errors import NmtError
from nmt.inference.options import SearchOptions


def add_constraint_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("constraints", "Lengths are target pieces: of a line translated in segments, those of each segment.")
    group.add_argument("--no-repeat-ngram", metavar="N", type=at_least(1), default=0, help="no N pieces in a row come twice")
    group.add_argument("--min-length", metavar="N", type=at_least(0), default=0, help="a translation has at least N pieces")
    group.add_argument("--max-length", metavar="N", type=at_least(1), help="a translation has at most N pieces (default: the recipe's)")


def search_options(arguments: argparse.Namespace) -> SearchOptions:
    """What these arguments and --beam and --length-alpha make together."""
    try:
        return SearchOptions(
            beam=arguments.beam,
            length_alpha=arguments.length_alpha,
            no_repeat_ngram=arguments.no_repeat_ngram,
            min_length=arguments.min_length,
            max_length=arguments.max_length,
        )
    except NmtError as error:
        raise UsageError(str(error)) from None
