"""Translate lines of text, stdin to stdout by default.

One line in is one line out, in order. Only line feeds separate lines; a blank line stays blank.
Invalid UTF-8 and control characters are replaced and reported on stderr with file and line number.
"""

import argparse
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import IO

from nmt.commands.arguments import (
    UsageError,
    add_model_arguments,
    add_option_arguments,
    add_sampling_arguments,
    add_search_arguments,
    at_least,
    log,
    search_options,
    shard_of,
)
from nmt.commands.progress import NO_BAR, line_bar
from nmt.machine import usable_cores
from nmt.text.lines import CHUNK_LINES, LineWriter, clean_lines, json_lines, open_bytes, open_writer
from nmt.text.terms import read_terms
from nmt.translation.job import FORMATS, TranslationTask, numbered_chunks
from nmt.translation.options import SearchOptions
from nmt.translation.shards import Shard, count_lines, shard_bounds, shard_path, torchrun_shard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        "-i",
        "--input",
        metavar="FILE",
        type=_file,
        help="text to translate, also .gz (default: stdin)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=_file,
        help="appears when it is whole; a broken-off run leaves FILE.partial",
    )
    parser.add_argument(
        "--interactive",
        action="store_true",
        help="answer each line before reading the next (the default where stdin is a terminal)",
    )
    parser.add_argument(
        "--terms",
        metavar="FILE",
        type=_file,
        help="how words are translated: source, tab, target, maybe a tab and flags (case, part)",
    )
    add_search_arguments(parser)
    add_option_arguments(parser)
    add_sampling_arguments(parser)
    parser.add_argument(
        "--n-best",
        metavar="N",
        type=at_least(1),
        help="translations of each line (default: 1; with --format nbest the beam)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help=(
            'jsonl: JSON lines with a "text", and with a "prefix" where the translation is to begin'
            " with it (default: text; nbest with --n-best)"
        ),
    )
    parser.add_argument(
        "--alignments",
        action="store_true",
        help="add the source word of each target word (Pharaoh format: 0-0 1-2)",
    )
    parser.add_argument(
        "--word-scores",
        action="store_true",
        help=(
            "add the log-probability of each target piece and the end of sentence, by"
            " force-decoding: in bf16 with bf16, in fp32 with int8, so that their sum differs"
            " slightly from F0 there"
        ),
    )
    parser.add_argument(
        "--attention",
        action="store_true",
        help=(
            "with --format jsonl: add the attention of each target piece and the end of sentence to"
            " each of the source_pieces"
        ),
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=at_least(1),
        help="processes of one thread each, on a CPU (default: one for each physical core)",
    )
    parser.add_argument(
        "--shard",
        metavar="i/n",
        type=shard_of,
        help="translate the i-th of n parts of -i FILE: their outputs in order are the whole",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="say on what and in which precision the model runs",
    )


def run(arguments: argparse.Namespace) -> int:
    form = arguments.format or ("nbest" if arguments.n_best else "text")
    if form == "text" and (arguments.n_best or 1) > 1:
        raise UsageError(
            "--n-best needs --format nbest or jsonl: the text format has one translation a line"
        )
    if arguments.output and arguments.output.suffix == ".gz":
        raise UsageError(
            f"-o writes plain text, got {arguments.output}; name a file without .gz, or pipe the"
            " output into gzip"
        )
    if arguments.interactive and (arguments.workers or 1) > 1:
        raise UsageError("--interactive translates one line at a time: leave out --workers")
    if arguments.attention and form != "jsonl":
        raise UsageError(
            f"--attention needs --format jsonl: a line of the {form} format has no room for it"
        )
    options = search_options(arguments)
    if options.beam == 1 and options.coverage:
        raise UsageError(
            "--coverage ranks what the beam finds: it has no effect with --beam 1; give a larger"
            " --beam"
        )
    shard, output = _shard(arguments)
    from nmt.engines.choice import SLOWER
    from nmt.translation.pipes import PipeLines
    from nmt.translation.workers import render_all

    name = str(arguments.input or "stdin")
    task = TranslationTask(
        model=arguments.model,
        device=arguments.device,
        precision=arguments.precision,
        shortlist=arguments.shortlist,
        name=name,
        form=form,
        n_best=arguments.n_best,
        options=options,
        ensemble=tuple(arguments.ensemble),
        alignments=arguments.alignments,
        word_scores=arguments.word_scores,
        attention=arguments.attention,
        terms=read_terms(arguments.terms) if arguments.terms else (),
    )
    read = json_lines if form == "jsonl" else clean_lines
    shown = (
        sys.stderr.isatty()
        and not arguments.interactive
        and (output is not None or not sys.stdout.isatty())
    )
    with _input(arguments.input) as stream, _output(output) as writer:
        total = (
            count_lines(arguments.input)
            if shard or (shown and arguments.input and arguments.input.is_file())
            else None
        )
        start, stop = (0, None) if shard is None or total is None else shard_bounds(total, shard)
        workers = _workers(arguments)
        job = task.load()
        translator, network = job.translator, job.translator.network
        _say_what_is_idle(options, job.settings.beam, form)
        if arguments.precision == "auto" and (arguments.verbose or network.note.startswith(SLOWER)):
            note = f" ({network.note})" if network.note else ""
            log(
                f"chose {network.precision} on {network.device.type}{note}; --precision"
                " fp32 gives what every machine gives"
            )
        if arguments.verbose:
            log(f"translating with {', '.join(map(str, translator.paths))}")
        # Whoever types a line waits for its translation, and so does a program that writes one and
        # pauses.
        typed = arguments.interactive or (arguments.input is None and sys.stdin.isatty())
        waits = network.independent and not typed and is_pipe(stream)
        pipe = PipeLines(stream.fileno()) if waits else None
        bounds = None if total is None else (total if stop is None else stop) - start
        with line_bar(bounds) if shown and not typed else nullcontext(NO_BAR) as bar:
            chunks = numbered_chunks(
                read(pipe or stream, name, bar.say, start, stop),
                1 if typed else CHUNK_LINES,
                start,
                pipe.is_ready if pipe else None,
            )
            with closing(
                (job.render(chunk) for chunk in chunks)
                if typed or workers == 1
                else render_all(job, chunks, workers)
            ) as results:
                for done in results:
                    for note in done.notes:
                        bar.say(note)
                    writer.write(done.lines)
                    bar.advance(done.read)
    return 0


def _say_what_is_idle(options: SearchOptions, beam: int, form: str) -> None:
    """Names options that have no effect with the beam of the model's recipe or of the command
    line."""
    if beam > 1 or options.sampling:
        return
    if options.coverage:
        log("--coverage has no effect: the recipe's beam is 1; give a larger --beam")
    if options.length_alpha is not None and form == "text":
        log(
            "--length-alpha has no effect: the beam is 1, which finds one translation; give a"
            " larger --beam"
        )


def is_pipe(stream: IO[bytes]) -> bool:
    """Whether a stream that nobody has read from is a pipe or a socket."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except OSError:  # no file of the system
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _file(text: str) -> Path | None:
    """A path; None for -, which is standard input or output."""
    return None if text == "-" else Path(text)


def _shard(arguments: argparse.Namespace) -> tuple[Shard | None, Path | None]:
    """The part to translate, None for all, and where it goes."""
    given, ours = arguments.shard, torchrun_shard()
    if given and ours:
        raise UsageError("torchrun gives each process its shard; leave out --shard")
    if ours and not (arguments.input and arguments.output):
        raise UsageError(
            "under torchrun -i FILE and -o FILE are needed: each process writes FILE.shard-i-of-n"
        )
    if given and not arguments.input:
        raise UsageError("--shard needs -i FILE: standard input cannot be read twice")
    if (given or ours) and arguments.input.exists() and not arguments.input.is_file():
        raise UsageError(f"a shard needs a file that can be read twice, got {arguments.input}")
    return given or ours, shard_path(arguments.output, ours) if ours else arguments.output


def _workers(arguments: argparse.Namespace) -> int:
    """How many processes translate, each of them in one thread. Under torchrun every process has
    its own GPU, or translates alone."""
    from torch import cuda

    from nmt.translation.translator import choose_device

    rank = int(os.environ["LOCAL_RANK"]) if torchrun_shard() else None
    if choose_device(arguments.device).type == "cpu":
        return arguments.workers or (usable_cores() if rank is None else 1)
    if (arguments.workers or 1) > 1:
        raise UsageError(
            "--workers is for processors: a GPU is kept busy by one process; leave it out, or add"
            " --device cpu"
        )
    if rank is not None:
        cuda.set_device(rank % cuda.device_count())
    return 1


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
