"""Score translations against references, with sacreBLEU's signatures.

nmt evaluate MODEL [MODEL ...] --test PREFIX          translate the source side of a test corpus,
compare with its target side
nmt evaluate MODEL --source FILE --reference FILE     the same with files of any name
nmt evaluate --reference FILE HYP [HYP ...]           compare translations that exist already
nmt evaluate -t wmt14 -l de-en MODEL | HYP ...        the same on a test set that sacreBLEU knows by
name

Several systems and several test sets make one table. Files of translations may stand beside models,
or alone. BLEU finds words as the target language needs it, where a MODEL or -l names it: zh for
Chinese, ja-mecab for Japanese, ko-mecab for Korean (char where these two are not installed), char
for Thai, Lao, Khmer, Burmese and Tibetan, 13a for all others. The signature says which.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.arguments import (
    UsageError,
    add_hardware_arguments,
    add_search_arguments,
    at_least,
    log,
)
from nmt.errors import NmtError

if TYPE_CHECKING:
    from nmt.scoring.benchmark import Benchmark
    from nmt.scoring.breakdown import Group
    from nmt.translation.translator import Translator

METRICS = ("bleu", "chrf", "chrf++", "ter")
FORMATS = ("text", "markdown", "json")
TOKENISERS = (
    "13a",
    "intl",
    "zh",
    "ja-mecab",
    "ko-mecab",
    "char",
    "flores101",
    "flores200",
    "spBLEU-1K",
    "spm",
    "none",
)
BREAKDOWNS = ("length", "frequency", "domain")
PRECISION = "fp32"  # what every machine gets the same scores with
TRANSLATING = "--save, --beam, --length-alpha, --no-shortlist, --device and --precision"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs",
        metavar="MODEL | HYP",
        nargs="+",
        type=Path,
        help="models to translate with, or files of translations",
    )
    parser.add_argument(
        "--test",
        metavar="PREFIX",
        action="append",
        help="test corpus, in any format that nmt train reads; repeatable",
    )
    parser.add_argument(
        "-t",
        "--test-set",
        metavar="NAME",
        help="test set of sacreBLEU's list, such as wmt14; downloaded if need be",
    )
    parser.add_argument(
        "-l", "--language-pair", metavar="XX-YY", help="source and target language, such as de-en"
    )
    parser.add_argument(
        "--source", metavar="FILE", type=Path, help="text to translate, or that HYP translates"
    )
    parser.add_argument(
        "--reference",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="human translations; repeat for several sets",
    )
    parser.add_argument(
        "--metrics",
        metavar="NAME",
        nargs="+",
        choices=METRICS,
        default=["bleu", "chrf"],
        help=f"of {', '.join(METRICS)} (default: bleu chrf)",
    )
    parser.add_argument(
        "--tokenize",
        choices=TOKENISERS,
        metavar="NAME",
        help=f"BLEU's tokeniser: {', '.join(TOKENISERS)}",
    )
    parser.add_argument(
        "--comet",
        action="store_true",
        help="COMET as well, by the comet-score command that you have installed",
    )
    parser.add_argument(
        "--confidence",
        action="store_true",
        help="95 %% confidence intervals (1,000 bootstrap resamples)",
    )
    tests = parser.add_mutually_exclusive_group()
    tests.add_argument(
        "--paired",
        "--paired-bs",
        action="store_true",
        help="test each further system against the first: paired bootstrap",
    )
    tests.add_argument(
        "--paired-ar", action="store_true", help="the same by paired approximate randomisation"
    )
    parser.add_argument(
        "--paired-n",
        metavar="N",
        type=at_least(1),
        help="resamples or trials (default: 1,000 or 10,000, as sacreBLEU)",
    )
    parser.add_argument(
        "--breakdown",
        metavar="KIND",
        nargs="+",
        choices=BREAKDOWNS,
        default=[],
        help=f"score parts of the test set as well: {', '.join(BREAKDOWNS)}",
    )
    parser.add_argument(
        "--domains",
        metavar="FILE",
        type=Path,
        help="the domain of each line, for --breakdown domain",
    )
    parser.add_argument(
        "--train",
        metavar="FILE",
        type=Path,
        help="source side of the training text, for --breakdown frequency",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument(
        "--save", metavar="FILE", type=Path, help="write the translations of one MODEL there"
    )
    add_search_arguments(parser)
    add_hardware_arguments(parser, precision=PRECISION)
    parser.set_defaults(
        device=None, precision=None
    )  # given or not: without a MODEL they have no effect


def run(arguments: argparse.Namespace) -> int:
    _refuse_contradictions(arguments)
    from nmt.scoring.benchmark import add_comet, evaluate, paired_note
    from nmt.scoring.remarks import remarks, warnings
    from nmt.scoring.significance import Test
    from nmt.scoring.tables import count_tests, render

    tests = _test_sets(arguments)
    paired: Test | None = (
        "bootstrap" if arguments.paired else "randomisation" if arguments.paired_ar else None
    )
    for warning in dict.fromkeys(
        each for test in tests for each in warnings(test, arguments.metrics)
    ):
        log(f"warning: {warning}")
    results = evaluate(
        tests, arguments.metrics, arguments.confidence, paired, arguments.paired_n or 0
    )
    several = len(tests) > 1
    told = [
        f"{test.name}: {each}" if several else each
        for test in tests
        for each in remarks(test, arguments.metrics, results)
    ]
    note = paired_note(paired, arguments.paired_n or 0, count_tests(results)) if paired else ""
    if arguments.comet:
        results = add_comet(tests, results)
    if (
        arguments.format == "text"
        and len(tests) == 1
        and len(tests[0].systems) == 1
        and not arguments.breakdown
    ):
        print(*(result.score for result in results), sep="\n")
        for remark in told:
            log(f"note: {remark}")
    else:
        print(render(results, arguments.format, note, told))
    return 0


def _refuse_contradictions(arguments: argparse.Namespace) -> None:
    """Raise UsageError for arguments of different ways to call this command."""
    model_given = (
        arguments.test is not None or arguments.source is not None or arguments.test_set is not None
    )
    if arguments.test_set and not arguments.language_pair:
        raise UsageError("-t NAME and -l XX-YY go together: -t wmt14 -l de-en")
    if arguments.language_pair and not all(arguments.language_pair.partition("-")):
        raise UsageError(
            f"-l names source and target language, such as de-en, got {arguments.language_pair}"
        )
    if arguments.tokenize and "bleu" not in arguments.metrics:
        raise UsageError("--tokenize is for bleu, which --metrics leaves out")
    if arguments.test_set and (arguments.test or arguments.source or arguments.reference):
        raise UsageError(
            "-t names source and references: leave out --test, --source and --reference"
        )
    if not model_given and not arguments.reference:
        raise UsageError("what to compare with is missing: give --test PREFIX, or --reference FILE")
    if arguments.test is not None and (arguments.source or arguments.reference):
        raise UsageError(
            "--test names source and reference together: leave out --source and --reference"
        )
    if arguments.source is not None and not arguments.reference:
        raise UsageError("--source needs --reference FILE, the human translations of its lines")
    if not model_given and _translating(arguments):
        raise UsageError(f"{TRANSLATING} need a MODEL to translate with: give --test or --source")
    if arguments.save and (len(arguments.inputs) > 1 or len(arguments.test or [""]) > 1):
        raise UsageError("--save writes the translations of one MODEL on one test set")
    different = {path.resolve() for path in arguments.inputs}
    if (arguments.paired or arguments.paired_ar) and len(different) < 2:
        raise UsageError("--paired needs two or more different systems")
    if len(different) < len(arguments.inputs):
        raise UsageError("a system is given twice; name each one once")
    if arguments.paired_n and not (arguments.paired or arguments.paired_ar):
        raise UsageError("--paired-n goes with --paired or --paired-ar")
    if arguments.train and "frequency" not in arguments.breakdown:
        raise UsageError("--train goes with --breakdown frequency")
    if ("domain" in arguments.breakdown) != bool(arguments.domains):
        raise UsageError("--breakdown domain and --domains FILE go together")
    if "frequency" in arguments.breakdown and not (model_given and arguments.train):
        raise UsageError(
            "--breakdown frequency needs the source text (--test or --source) and --train FILE to"
            " count words in"
        )


def _translating(arguments: argparse.Namespace) -> bool:
    """Whether there is an option for translating."""
    named = (
        arguments.save,
        arguments.beam,
        arguments.length_alpha,
        arguments.device,
        arguments.precision,
    )
    return any(option is not None for option in named) or not arguments.shortlist


def _test_sets(arguments: argparse.Namespace) -> "list[Benchmark]":
    """Reads and translates whatever the arguments name."""
    from nmt.scoring.benchmark import Benchmark
    from nmt.text.lines import read_lines

    translated = (
        arguments.test is not None or arguments.source is not None or arguments.test_set is not None
    )
    files = [path for path in arguments.inputs if path.is_file() or not translated]
    references = [list(read_lines(path)) for path in arguments.reference]
    written = {str(path): list(read_lines(path)) for path in files}
    models = _models(arguments, [path for path in arguments.inputs if path not in files])
    languages = _languages(arguments, models)
    tokeniser = _tokeniser(arguments, languages[1])
    if not translated:
        _refuse_unequal([*arguments.reference, *files], [*references, *written.values()])
        groups = _groups(arguments, references[0], None)
        return [
            Benchmark(str(arguments.reference[0]), references, written, groups, tokeniser=tokeniser)
        ]
    tests = []
    for name in arguments.test or [
        (
            f"{arguments.test_set} {arguments.language_pair}"
            if arguments.test_set
            else str(arguments.source)
        )
    ]:
        sources, sets = _source_and_references(arguments, name, languages, references)
        _refuse_unequal([Path(name), *files], [sources, *written.values()])
        made = {
            system: _translate(translator, sources, arguments)
            for system, translator in models.items()
        }
        systems = {
            str(path): made[str(path)] if str(path) in made else written[str(path)]
            for path in arguments.inputs
        }
        tests.append(
            Benchmark(name, sets, systems, _groups(arguments, sets[0], sources), sources, tokeniser)
        )
    return tests


def _models(arguments: argparse.Namespace, paths: Sequence[Path]) -> "dict[str, Translator]":
    """The models by their names; none where there are only files of translations."""
    if not paths:
        if _translating(arguments):
            raise NmtError(
                f"{TRANSLATING} need a MODEL to translate with; name one, or leave them out"
            )
        return {}
    from nmt.translation.translator import Translator

    return {
        str(path): Translator.load(
            path,
            device=arguments.device or "auto",
            precision=arguments.precision or PRECISION,
            shortlist=arguments.shortlist,
        )
        for path in paths
    }


def _languages(arguments: argparse.Namespace, models: "dict[str, Translator]") -> tuple[str, str]:
    """Source and target language, as -l or the models have them; "" where nothing names them."""
    pairs = {
        name: (model.recipe.data.source, model.recipe.data.target) for name, model in models.items()
    }
    named = arguments.language_pair
    for name, pair in pairs.items():
        if named and "-".join(pair) != named:
            raise NmtError(
                f"-l {named}: a model translates {'-'.join(pair)}; evaluate it on its own pair"
            )
        if pair != (first := next(iter(pairs.values()))):
            raise NmtError(
                f"{name} translates {'-'.join(pair)}, {next(iter(pairs))} {'-'.join(first)};"
                " evaluate each on its own pair"
            )
    if pairs:
        return next(iter(pairs.values()))
    source, _, target = (named or "").partition("-")
    return source, target


def _tokeniser(arguments: argparse.Namespace, language: str) -> str:
    """BLEU's tokeniser: the one that is asked for, or the one for the target language."""
    from nmt.scoring.tokenisers import tokeniser_for

    if arguments.tokenize:
        return str(arguments.tokenize)
    chosen = tokeniser_for(language)
    if chosen.note and "bleu" in arguments.metrics:
        log(f"note: {chosen.note}")
    return chosen.name


def _source_and_references(
    arguments: argparse.Namespace,
    name: str,
    languages: tuple[str, str],
    references: list[list[str]],
) -> tuple[list[str], list[list[str]]]:
    from nmt.text.corpus import read_parallel
    from nmt.text.lines import read_lines

    if arguments.test_set:
        from nmt.scoring.testsets import published_test_set

        return published_test_set(arguments.test_set, arguments.language_pair)
    if arguments.test is not None:
        if not all(languages):
            raise NmtError(
                f"--test {name}: its languages are not known without a MODEL; give -l XX-YY, or"
                " --source and --reference"
            )
        sources, reference = read_parallel(name, *languages, "test")
        return sources, [reference]
    sources = list(read_lines(arguments.source))
    _refuse_unequal([arguments.source, *arguments.reference], [sources, *references])
    return sources, references


def _translate(
    translator: "Translator", sources: list[str], arguments: argparse.Namespace
) -> list[str]:
    translations = translator.translate(sources, arguments.beam, arguments.length_alpha)
    if arguments.save:
        from nmt.text.lines import open_writer

        with open_writer(arguments.save) as writer:
            writer.write(translations)
    return translations


def _groups(
    arguments: argparse.Namespace, reference: Sequence[str], sources: Sequence[str] | None
) -> "list[Group]":
    """The parts of a test set that are to be scored on their own."""
    from nmt.scoring.breakdown import by_frequency, by_label, by_length, word_counts
    from nmt.text.lines import read_lines

    groups: list[Group] = []
    for kind in arguments.breakdown:
        if kind == "length":
            groups += by_length(reference)
        elif kind == "frequency" and sources is not None:
            groups += by_frequency(sources, word_counts(read_lines(arguments.train)))
        elif kind == "domain":
            labels = list(read_lines(arguments.domains))
            _refuse_unequal([Path("the references"), arguments.domains], [reference, labels])
            groups += by_label(labels)
    return groups


def _refuse_unequal(paths: Sequence[Path], texts: Sequence[Sequence[str]]) -> None:
    """Raise NmtError unless all files have the same number of lines, and at least one."""
    for path, lines in zip(paths, texts, strict=True):
        if not lines:
            raise NmtError(f"{path}: empty; there is nothing to score")
        if len(lines) != len(texts[0]):
            raise NmtError(
                f"{path} has {len(lines)} lines, {paths[0]} has {len(texts[0])}; give files that go"
                " together line by line"
            )
