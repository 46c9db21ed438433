"""Print the log-probability of each given translation, one line each.

Natural logarithm, summed over the target's pieces and its end. Higher is better; longer
translations are lower. A pair with a blank side has a line as well. A pair longer than any in
training is scored whole and named.
"""

import argparse
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from nmt.commands.arguments import add_model_arguments, log
from nmt.errors import NmtError
from nmt.text.lines import chunks, clean_lines, open_bytes

# scored together: enough for batches of near-equal length, little enough for a constant memory
CHUNK_PAIRS = 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        "--source", metavar="FILE", type=Path, required=True, help="source text, also .gz"
    )
    parser.add_argument(
        "--target",
        metavar="FILE",
        type=Path,
        required=True,
        help="its translations, line by line, also .gz",
    )


def run(arguments: argparse.Namespace) -> int:
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
