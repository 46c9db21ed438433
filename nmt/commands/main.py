"""The command line: `nmt COMMAND ...`. Light enough that help and argument errors never load
torch."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType

from nmt import __version__
from nmt.commands import (
    average,
    check,
    evaluate,
    export,
    info,
    recipe,
    report,
    sample,
    score,
    train,
    translate,
    tree,
)
from nmt.commands.arguments import UsageError
from nmt.commands.memory import is_shortage, refuse_small_limit, shortage_line
from nmt.commands.parsing import Parser, explain
from nmt.commands.streams import STDOUT, abandon_output, open_streams, refuse_closed_output
from nmt.errors import NmtError, explained

COMMANDS: dict[str, ModuleType] = {
    "train": train,
    "translate": translate,
    "evaluate": evaluate,
    "score": score,
    "sample": sample,
    "tree": tree,
    "check": check,
    "recipe": recipe,
    "average": average,
    "export": export,
    "info": info,
    "report": report,
}
PRINTING = (
    "translate",
    "evaluate",
    "score",
    "sample",
    "tree",
    "check",
    "info",
)  # commands whose results go to standard output
WITHOUT_TORCH = ("evaluate", "recipe")
INTERRUPTED = 128 + signal.SIGINT
NO_READER = 128 + signal.SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Status 0: done; 1: failed, with a one-line reason; 2: bad arguments; 128
    + n: ended by signal n."""
    parser, subparsers = make_parsers()
    words = sys.argv[1:] if argv is None else list(argv)
    if not words:
        explain(parser)
    if words[0] in subparsers:
        arguments = subparsers[words[0]].parse_command(words[1:])
        arguments.command = words[0]
    else:
        arguments = parser.parse_global(words)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        if arguments.command in PRINTING and getattr(arguments, "output", None) is None:
            refuse_closed_output()
        if arguments.command not in WITHOUT_TORCH:
            refuse_small_limit()
        status = COMMANDS[arguments.command].run(arguments)
        sys.stdout.flush()
    except UsageError as error:
        subparsers[arguments.command].error(str(error))
    except NmtError as error:
        return _fail(str(error))
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if is_shortage(error):
            return _fail(shortage_line(error))
        if not isinstance(error, OSError):
            raise
        return _system_failure(error)
    except KeyboardInterrupt:
        print("nmt: interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, previous)
    return int(status)


def entry() -> int:
    """What the console command runs: `main` with streams to rely on, and a quick end."""
    open_streams()
    try:
        status = main()
    except SystemExit as end:  # of argparse, which may have printed help, and of SIGTERM
        status = end.code if isinstance(end.code, int) else 1
    try:
        sys.stdout.flush()
    except OSError as error:
        status = _system_failure(error)
    # Nothing is left to tidy up. Torch takes half a second to take itself apart, and a thread that
    # failed may never end.
    if status or sys.argv[1:2] == ["translate"]:
        sys.stderr.flush()
        os._exit(status)
    return status


def make_parsers() -> tuple[Parser, dict[str, Parser]]:
    """The parser of `nmt`, and that of each command; the first line of a command's docstring is
    its help."""
    parser = Parser(
        prog="nmt", description="Recurrent machine translation: train, translate, evaluate."
    )
    parser.add_argument("--version", action="version", version=f"nmt {__version__}")
    choice = parser.add_subparsers(
        dest="command",
        metavar="COMMAND",
        required=True,
        title="commands (nmt COMMAND --help tells more)",
    )
    subparsers = {}
    for name, module in COMMANDS.items():
        summary, _, description = (module.__doc__ or "").partition("\n")
        subparsers[name] = choice.add_parser(
            name, help=summary, description=f"{summary}\n{description}".strip()
        )
        module.add_arguments(subparsers[name])
    return parser, subparsers


def _fail(reason: str) -> int:
    print(f"nmt: error: {' '.join(reason.split())}", file=sys.stderr)
    return 1


def _system_failure(error: OSError) -> int:
    """Says what the system refused. Whoever reads the output (`| head`) may leave: that is no
    error, and ends quietly."""
    if isinstance(error, BrokenPipeError) or error.filename == STDOUT:
        abandon_output()
    return NO_READER if isinstance(error, BrokenPipeError) else _fail(explained(error))


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM unwinds the stack as Ctrl-C does, so that half-written files are tidied up."""
    raise SystemExit(128 + number)
