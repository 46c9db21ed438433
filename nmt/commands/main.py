"""The command line: `nmt COMMAND ...`. Light enough that help and argument errors never load torch."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType

from nmt import __version__
from nmt.commands import check, evaluate, score, translate
from nmt.commands.arguments import UsageError
from nmt.errors import NmtError

COMMANDS: dict[str, ModuleType] = {
    "translate": translate,
    "evaluate": evaluate,
    "score": score,
    "check": check,
}
INTERRUPTED = 128 + signal.SIGINT
NO_READER = 128 + signal.SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Status 0: done; 1: failed, with a one-line reason; 2: bad arguments; 128 + n: ended by signal n."""
    parser, subparsers = make_parsers()
    arguments = parser.parse_args(argv)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        status = COMMANDS[arguments.command].run(arguments)
        sys.stdout.flush()
    except UsageError as error:
        subparsers[arguments.command].error(str(error))
    except (NmtError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return _abandon_output()
        print(f"nmt: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nmt: interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, previous)
    return int(status)


def make_parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of `nmt`, and that of each command; the first line of a command's docstring is its help."""
    parser = argparse.ArgumentParser(
        prog="nmt", description="Recurrent machine translation: train, translate, evaluate.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"nmt {__version__}")
    choice = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands (nmt COMMAND --help tells more)")
    subparsers = {}
    for name, module in COMMANDS.items():
        summary, _, description = (module.__doc__ or "").partition("\n")
        subparsers[name] = choice.add_parser(
            name,
            help=summary,
            description=f"{summary}\n{description}".strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(subparsers[name])
    return parser, subparsers


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM unwinds the stack as Ctrl-C does, so that half-written files are tidied up."""
    raise SystemExit(128 + number)


def _abandon_output() -> int:
    """Whoever read the output (`| head`) has gone: stop quietly, and let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NO_READER
