"""Print the log-probability of each given translation, or of each line of a text, one line each.

nmt score MODEL --source FILE --target FILE      of the target given the source
nmt score MODEL TEXT                             by a language model; its perplexity goes to stderr

Natural logarithm, summed over the pieces of the target or line and its end. Higher is better;
longer lines are lower. A blank line has its number as well. A pair longer than any in training is
scored whole and named.
"""

import argparse
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from nmt.commands.arguments import UsageError, add_model_arguments, log
from nmt.errors import NmtError
from nmt.text.lines import chunks, clean_lines, dump_json, open_bytes, squeezed

# scored together: enough for batches of near-equal length, little enough for a constant memory
CHUNK_PAIRS = 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        "text", metavar="TEXT", nargs="?", type=Path, help="text for a language model, also .gz"
    )
    parser.add_argument(
        "--symbols",
        action="store_true",
        help="with TEXT: a JSON object a line, with the log-probability of each symbol",
    )
    parser.add_argument("--source", metavar="FILE", type=Path, help="source text, also .gz")
    parser.add_argument(
        "--target",
        metavar="FILE",
        type=Path,
        help="its translations, line by line, also .gz",
    )


def run(arguments: argparse.Namespace) -> int:
    sides = [arguments.source, arguments.target]
    if arguments.text is not None and any(sides):
        raise UsageError("give either TEXT, for a language model, or --source and --target")
    if arguments.text is not None:
        return _score_text(arguments)
    if not all(sides):
        raise UsageError("give --source and --target, or TEXT for a language model")
    if arguments.symbols:
        raise UsageError("--symbols is for TEXT, which a language model scores")
    return _score_pairs(arguments)


def _score_text(arguments: argparse.Namespace) -> int:
    """The lines in order as they are scored, then the summary."""
    if arguments.ensemble:
        raise UsageError("--ensemble is for translation models; score with one language model")
    if arguments.precision not in ("auto", "fp32"):
        raise UsageError(f"a language model computes in fp32, got {arguments.precision}")
    from nmt.language_model import LanguageModel
    from nmt.scoring.perplexity import text_scores

    model = LanguageModel.load(arguments.model, arguments.device)
    nats, pieces, characters = 0.0, 0, 0

    def counted(lines: Iterable[str]) -> Iterator[str]:
        nonlocal characters
        for line in lines:
            characters += len(squeezed(line)) + 1
            yield line

    with open_bytes(arguments.text) as stream:
        lines = (line.text for line in clean_lines(stream, str(arguments.text), log))
        for score in model.score_stream(counted(lines)):
            nats, pieces = nats - score.log_prob, pieces + len(score.symbols)
            fields = {"log_prob": score.log_prob, "symbols": score.symbols}
            print(dump_json(fields) if arguments.symbols else f"{score.log_prob:.6f}")
    if not pieces:
        raise NmtError(f"{arguments.text}: no lines; give a file with text")
    for each in text_scores(nats, pieces, characters):
        log(f"{each.metric} {each.value:.4f} ({each.signature})")
    return 0


def _score_pairs(arguments: argparse.Namespace) -> int:
    from nmt.translation.translator import Translator

    translator = Translator.load(
        arguments.model, arguments.device, arguments.precision, arguments.ensemble
    )
    before = 0
    for chunk in chunks(_pairs(arguments.source, arguments.target), CHUNK_PAIRS):
        scores = translator.score([source for source, _ in chunk], [target for _, target in chunk])
        for number, score in enumerate(scores, start=before + 1):
            if score.is_long:
                log(
                    f"{arguments.source}:{number}: longer than any line in training, or its"
                    " translation is; scored whole"
                )
        before += len(chunk)
        print(*(f"{score.log_prob:.6f}" for score in scores), sep="\n", flush=True)
    return 0


def _pairs(source_path: Path, target_path: Path) -> Iterator[tuple[str, str]]:
    """The lines of two files side by side. Raises NmtError naming the first line without a
    partner."""
    with open_bytes(source_path) as source_stream, open_bytes(target_path) as target_stream:
        sources = clean_lines(source_stream, str(source_path), log)
        targets = clean_lines(target_stream, str(target_path), log)
        for number, (source, target) in enumerate(zip_longest(sources, targets), start=1):
            if source is None or target is None:
                longer, shorter = (
                    (target_path, source_path) if source is None else (source_path, target_path)
                )
                raise NmtError(
                    f"{longer}:{number}: no partner, {shorter} ends at line {number - 1}; give"
                    " files that go together line by line"
                )
            yield source.text, target.text
