"""Score translations against references, with sacreBLEU's signatures.

nmt evaluate MODEL --test PREFIX                      translate the source side of a test corpus, compare with its target side
nmt evaluate MODEL --source FILE --reference FILE     the same with files of any name
nmt evaluate --reference FILE HYP [HYP ...]           compare translations that exist already
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from nmt.commands.arguments import UsageError, add_hardware_arguments, add_search_arguments, log
from nmt.errors import NmtError

METRICS = ("bleu", "chrf", "chrf++", "ter")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", metavar="MODEL | HYP", nargs="+", type=Path, help="a model to translate with, or files of translations")
    parser.add_argument("--test", metavar="PREFIX", help="test corpus, in any format that nmt train reads")
    parser.add_argument("--source", metavar="FILE", type=Path, help="text to translate")
    parser.add_argument(
        "--reference", metavar="FILE", type=Path, action="append", default=[], help="human translations; repeat for several sets"
    )
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=["bleu", "chrf"], help="default: bleu chrf")
    parser.add_argument("--save", metavar="FILE", type=Path, help="write the translations there")
    parser.add_argument("--paired", action="store_true", help="test every further HYP against the first by paired bootstrap resampling")
    add_search_arguments(parser)
    add_hardware_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    _refuse_contradictions(arguments)
    if arguments.test or arguments.source:
        return _evaluate_model(arguments)
    return _evaluate_files(arguments)


def _refuse_contradictions(arguments: argparse.Namespace) -> None:
    """Raise UsageError for arguments of different ways to call this command."""
    model_given = arguments.test is not None or arguments.source is not None
    if not model_given and not arguments.reference:
        raise UsageError("what to compare with is missing: give --test PREFIX, or --reference FILE")
    if arguments.test is not None and (arguments.source or arguments.reference):
        raise UsageError("--test names source and reference together: leave out --source and --reference")
    if arguments.source is not None and not arguments.reference:
        raise UsageError("--source needs --reference FILE, the human translations of its lines")
    if model_given and len(arguments.inputs) > 1:
        raise UsageError(f"one MODEL is translated with, got {len(arguments.inputs)}")
    if model_given and arguments.paired:
        raise UsageError("--paired compares files of translations: leave out --test and --source")
    if not model_given and (arguments.save or arguments.beam or arguments.length_alpha is not None):
        raise UsageError("--save, --beam and --length-alpha need a MODEL to translate with: give --test or --source")
    if arguments.paired and len(set(arguments.inputs)) < max(2, len(arguments.inputs)):
        raise UsageError("--paired needs two or more different HYP files")


def _evaluate_model(arguments: argparse.Namespace) -> int:
    from nmt.data.corpus import read_lines, read_parallel
    from nmt.inference.lines import open_writer
    from nmt.inference.translator import Translator
    from nmt.scoring.bleu import corpus_scores

    translator = Translator.load(arguments.inputs[0], device=arguments.device, precision=arguments.precision)
    if arguments.test is not None:
        data = translator.recipe.data
        sources, reference = read_parallel(arguments.test, data.source, data.target, "test")
        references = [reference]
    else:
        sources = list(read_lines(arguments.source))
        references = [list(read_lines(path)) for path in arguments.reference]
        _refuse_unequal([arguments.source, *arguments.reference], [sources, *references])
    translations = translator.translate(sources, arguments.beam, arguments.length_alpha)
    if arguments.save:
        with open_writer(arguments.save) as writer:
            writer.write(translations)
    for score in corpus_scores(translations, references, arguments.metrics):
        print(score)
    return 0


def _evaluate_files(arguments: argparse.Namespace) -> int:
    from nmt.data.lines import read_lines
    from nmt.scoring.bleu import corpus_scores, looks_tokenised
    from nmt.scoring.significance import paired_test

    paths = [*arguments.reference, *arguments.inputs]
    texts = [list(read_lines(path)) for path in paths]
    _refuse_unequal(paths, texts)
    for path, lines in zip(paths, texts, strict=True):
        if looks_tokenised(lines):
            log(f"warning: {path} looks tokenised; scores can only be compared on text as people write it")
    references = texts[: len(arguments.reference)]
    systems = dict(zip(map(str, arguments.inputs), texts[len(references) :], strict=True))
    if arguments.paired:
        for system, score, p_value in paired_test(systems, references, arguments.metrics):
            print(f"{system}: {score}" + ("" if p_value is None else f" p = {p_value:.4f}"))
        return 0
    for system, lines in systems.items():
        for score in corpus_scores(lines, references, arguments.metrics):
            print(f"{system}: {score}" if len(systems) > 1 else score)
    return 0


def _refuse_unequal(paths: Sequence[Path], texts: Sequence[Sequence[str]]) -> None:
    """Raise NmtError unless all files have the same number of lines, and at least one."""
    for path, lines in zip(paths, texts, strict=True):
        if not lines:
            raise NmtError(f"{path}: empty; there is nothing to score")
        if len(lines) != len(texts[0]):
            raise NmtError(f"{path} has {len(lines)} lines, {paths[0]} has {len(texts[0])}; give files that go together line by line")
