"""Translate lines of text, stdin to stdout by default.

One line in is one line out, in order. Only line feeds separate lines; a blank line stays blank. Invalid UTF-8 and control characters are
replaced and reported on stderr with file and line number.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nmt.commands.arguments import UsageError, add_model_arguments, add_search_arguments, at_least, log
from nmt.commands.searching import add_option_arguments, search_options
from nmt.data.lines import open_bytes
from nmt.inference.formats import FORMATS, json_line, nbest_lines, text_line
from nmt.inference.lines import Line, LineWriter, chunks, clean_lines, json_lines, open_writer

if TYPE_CHECKING:
    from nmt.inference.translation import Translation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("-i", "--input", metavar="FILE", type=Path, help="text to translate, also .gz (default: stdin)")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="appears when it is whole; a broken-off run leaves FILE.partial")
    add_search_arguments(parser)
    add_option_arguments(parser)
    parser.add_argument(
        "--n-best", metavar="N", type=at_least(1), help="translations of each line (default: 1; with --format nbest the beam)"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help='jsonl: JSON lines with a "text", and with a "prefix" where the translation is to begin with it '
        "(default: text; nbest with --n-best)",
    )
    parser.add_argument("--alignments", action="store_true", help="add the source word of each target word (Pharaoh format: 0-0 1-2)")
    parser.add_argument(
        "--word-scores",
        action="store_true",
        help="add the log-probability of each target piece and the end of sentence, by force-decoding: in bf16 with bf16, "
        "in fp32 with int8, so that their sum differs slightly from F0 there",
    )
    parser.add_argument(
        "--attention",
        action="store_true",
        help="with --format jsonl: add the attention of each target piece and the end of sentence to each of the source_pieces",
    )


def run(arguments: argparse.Namespace) -> int:
    form = arguments.format or ("nbest" if arguments.n_best else "text")
    if form == "text" and (arguments.n_best or 1) > 1:
        raise UsageError("--n-best needs --format nbest or jsonl: the text format has one translation a line")
    if arguments.output and arguments.output.suffix == ".gz":
        raise UsageError(f"-o writes plain text, got {arguments.output}; name a file without .gz, or pipe the output into gzip")
    if arguments.attention and form != "jsonl":
        raise UsageError(f"--attention needs --format jsonl: a line of the {form} format has no room for it")
    options = search_options(arguments)
    from nmt.inference.translator import CHUNK_LINES, Translator

    details = arguments.alignments or arguments.word_scores
    read = json_lines if form == "jsonl" else clean_lines
    with _input(arguments.input) as stream, _output(arguments.output) as writer:
        translator = Translator.load(arguments.model, arguments.device, arguments.precision, arguments.ensemble, arguments.shortlist)
        if arguments.precision == "auto":
            remark = f" ({translator.remark})" if translator.remark else ""
            log(f"chose {translator.precision} on {translator.device.type}{remark}; --precision fp32 gives what every machine gives")
        n_best = arguments.n_best or (1 if form != "nbest" else arguments.beam or translator.search.beam)
        first = 0
        # A person who types a line waits for its translation.
        size = 1 if arguments.input is None and sys.stdin.isatty() else CHUNK_LINES
        name = str(arguments.input or "stdin")
        for chunk in chunks(read(stream, name, log), size):
            texts, prefixes = [line.text for line in chunk], [line.prefix for line in chunk]
            found = translator.nbest(texts, n_best, details=details, options=options, prefixes=prefixes, attention=arguments.attention)
            for number, translations in enumerate(found, start=first + 1):
                if translations[0].segments > 1:
                    log(f"{name}:{number}: longer than any line in training; translated in {translations[0].segments} segments")
            writer.write(_rendered(first, chunk, found, form, arguments))
            first += len(chunk)
    return 0


def _rendered(first: int, chunk: list[Line], found: list[list["Translation"]], form: str, arguments: argparse.Namespace) -> Iterator[str]:
    """The output lines of a chunk whose first line has number `first`, counted from 0."""
    extras = arguments.alignments, arguments.word_scores
    for number, (line, translations) in enumerate(zip(chunk, found, strict=True), start=first):
        if form == "nbest":
            yield from nbest_lines(number, translations, *extras)
        elif form == "jsonl":
            yield json_line(line, translations, arguments.n_best or 1, *extras, arguments.attention)
        else:
            yield text_line(translations[0], *extras)


@contextmanager
def _input(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdin.buffer
    else:
        with open_bytes(path) as stream:
            yield stream


@contextmanager
def _output(path: Path | None) -> Iterator[LineWriter]:
    if path is None:
        yield LineWriter(sys.stdout.buffer)
    else:
        with open_writer(path) as writer:
            yield writer
