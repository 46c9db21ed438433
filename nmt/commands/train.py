"""Train a model; the same command again continues where it left off.

nmt train RECIPE.toml
nmt train --train PREFIX --dev PREFIX --source nl --target en      with the default recipe
nmt train --task language-model --train TEXT --dev TEXT            a language model of text files

Ctrl-C, SIGTERM and SIGUSR1 (which Slurm can send before a time limit) finish the update, save a
checkpoint and end with status 130, 143 and
138. Before the first update they end at once, and so does the second of them. A run that was killed
continues from its newest checkpoint. The run folder can be translated with as soon as it has one.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from nmt.commands.arguments import UsageError, at_least, log
from nmt.commands.progress import shown
from nmt.commands.recipes import add_recipe_arguments, recipe_of, recipe_or_example
from nmt.recipe import Recipe
from nmt.run_folder import RunFolder

if TYPE_CHECKING:
    from nmt.training.events import Event


# seconds; a signal that comes again so soon is the first one, passed on by torchrun as well
ECHO = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_recipe_arguments(parser)
    parser.add_argument(
        "--run",
        metavar="DIR",
        type=Path,
        help="run folder (default: runs/ and the recipe's name or the languages)",
    )
    parser.add_argument(
        "--batch",
        metavar="N|auto",
        type=_batch_pieces,
        help=(
            "padded pieces a side in one update; auto: what memory suffices for (default: the"
            " recipe's)"
        ),
    )
    parser.add_argument(
        "--init",
        metavar="FILE",
        type=Path,
        help="write a recipe with every key and its meaning (as nmt recipe), and end",
    )
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="write the curves to the run folder's tensorboard/ too",
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.init:
        return _write_starter(arguments)
    recipe = _recipe(arguments)
    given: Path | None = arguments.recipe
    languages = "-".join(filter(None, recipe.data.languages.values()))
    name = given.stem if given else languages or recipe.task
    folder: Path = arguments.run or (given if given and given.is_dir() else Path("runs") / name)
    tells = (
        os.environ.get("RANK", "0") == "0"
    )  # of the processes that torchrun starts one is enough to tell
    with _signals() as requests:
        from nmt.training.events import Ended, Started
        from nmt.training.run import train

        with (
            shown(recipe.training.select) as show,
            _drawing(folder, arguments.tensorboard and tells) as draw,
        ):
            for event in train(
                recipe, folder, stop=lambda: bool(requests.received), fit=arguments.batch == 0
            ):
                draw(event)
                if tells:
                    show(event)
                if isinstance(
                    event, Started
                ):  # before, a signal ends at once: whole files stay, there is nothing else to save
                    requests.can_wait = True
                if isinstance(event, Ended) and not event.finished:
                    if tells:
                        log(f"the same command continues {folder}")
                    return 128 + requests.received
    if tells:
        use = "sample" if recipe.task == "language-model" else "translate"
        log(f"the model is {folder}; try: nmt {use} {folder}")
    return 0


def _write_starter(arguments: argparse.Namespace) -> int:
    from nmt.commands.recipe import starter_recipe
    from nmt.files import write_atomically

    if arguments.init.exists():
        raise UsageError(f"--init {arguments.init}: exists already; name a new file")
    write_atomically(arguments.init, starter_recipe(recipe_or_example(arguments)))
    log(
        f"wrote {arguments.init}; write your corpora under [data], then: nmt train {arguments.init}"
    )
    return 0


def _recipe(arguments: argparse.Namespace) -> Recipe:
    """What the options ask for, --batch included."""
    recipe = recipe_of(arguments)
    if arguments.batch is None:
        return recipe
    if any(
        setting.partition("=")[0].strip() == "training.batch_pieces" for setting in arguments.set
    ):
        raise UsageError("give either --batch or --set training.batch_pieces=...")
    return replace(recipe, training=replace(recipe.training, batch_pieces=arguments.batch))


def _batch_pieces(text: str) -> int:
    """An argparse type: a whole number of at least 1, or auto, which is 0 as in the recipe: left
    to nmt."""
    try:
        return 0 if text == "auto" else at_least(1)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}; or auto") from None


@dataclass
class _Requests:
    """What the signals that ask for an end have asked for."""

    received: int = 0  # the number of the first one
    at: float = 0.0  # when it came, by time.monotonic
    can_wait: bool = False  # there are updates to finish and to save


@contextmanager
def _signals() -> Iterator[_Requests]:
    """Takes down the signals that ask for an end; one that cannot wait, and the second one, end
    at once."""
    requests = _Requests()

    def receive(number: int, frame: FrameType | None) -> None:
        if requests.received and time.monotonic() - requests.at < ECHO:
            return
        if requests.received or not requests.can_wait:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        requests.received, requests.at = number, time.monotonic()
        # Not print: the signal may have come in the middle of one.
        with suppress(OSError):  # nobody may be there to read it
            os.write(sys.stderr.fileno(), b"\n" * sys.stderr.isatty())  # a bar may be in the line
            os.write(
                sys.stderr.fileno(),
                b"nmt: stopping after this update; once more stops at once, without saving\n",
            )

    previous = {
        number: signal.signal(number, receive)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    }
    try:
        yield requests
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _drawing(folder: Path, wanted: bool) -> Iterator[Callable[["Event"], None]]:
    """Writes events for TensorBoard, if that is wanted."""
    if not wanted:
        yield lambda event: None
        return
    from nmt.training.tensorboard import TensorBoard

    board = TensorBoard(RunFolder(folder).tensorboard)
    try:
        yield board.write
    finally:
        board.close()
