"""What a reader of scores must know and the numbers do not show: too few lines, blank or
repeated text, metrics that find no words."""

from collections.abc import Sequence

from nmt.scoring.benchmark import Benchmark
from nmt.scoring.bleu import looks_tokenised, make_metric
from nmt.scoring.tables import FEW, Result
from nmt.scoring.tokenisers import advice

FEW_LINES = 30  # below, resampling says little
ORDER = 4  # words in a row that BLEU looks at


def remarks(test: Benchmark, metrics: Sequence[str], results: Sequence[Result] = ()) -> list[str]:
    """Sentences about a test set, the systems on it and, where `results` are given, their
    intervals and paired tests."""
    resampled = any(each.score.interval is not None or each.p_value is not None for each in results)
    found = [
        *_about_references(test),
        *(_about_lines(len(test.references[0])) if resampled else []),
    ]
    for system, hypotheses in test.systems.items():
        found += [f"{system}: {each}" for each in _about_hypotheses(test, hypotheses)]
    if "bleu" in metrics:
        found += _about_bleu(test)
    if "ter" in metrics and advice(test.references[0], "13a"):
        found.append(
            "TER counts words between spaces, and this text has none: rely on BLEU or chrF"
        )
    return found + _about_tests([each for each in results if each.test == test.name])


def warnings(test: Benchmark, metrics: Sequence[str]) -> list[str]:
    """Sentences about text whose scores mean something else than a reader will think: tokenised,
    or not in words that BLEU finds."""
    named = [
        *((f"the reference {test.name}", lines) for lines in test.references),
        *test.systems.items(),
    ]
    found = [
        f"{name} looks tokenised; scores can only be compared on text as people write it"
        for name, lines in named
        if looks_tokenised(lines)
    ]
    if "bleu" in metrics:
        told = ((name, advice(lines, test.tokeniser)) for name, lines in named)
        found += [f"{name}: {text}" for name, text in told if text][:1]
    return found


def _about_lines(lines: int) -> list[str]:
    if lines == 1:
        return ["one line: all resamples are the same, so ± and p say nothing"]
    return (
        [f"{lines} lines: with fewer than {FEW_LINES}, ± and p mean little"]
        if lines < FEW_LINES
        else []
    )


def _about_references(test: Benchmark) -> list[str]:
    lines = list(zip(*test.references, strict=True))
    blank = [
        number
        for number, line in enumerate(lines, start=1)
        if not any(text.strip() for text in line)
    ]
    if len(blank) == len(lines):
        return ["all references are blank: no score means anything"]
    found = (
        [
            f"{len(blank)} of {len(lines)} references {_are(blank)} blank (line {blank[0]} first):"
            " any word there is wrong"
        ]
        if blank
        else []
    )
    if len(set(lines)) == 1 < len(lines):
        found.append(f"all {len(lines)} references are the same line: is this the right file?")
    return found


def _about_hypotheses(test: Benchmark, hypotheses: Sequence[str]) -> list[str]:
    needed = [
        any(reference[line].strip() for reference in test.references)
        for line in range(len(hypotheses))
    ]
    empty = [
        number
        for number, (line, wanted) in enumerate(zip(hypotheses, needed, strict=True), start=1)
        if wanted and not line.strip()
    ]
    if empty and not any(line.strip() for line in hypotheses):
        return ["all translations are empty"]
    found = (
        [
            f"{len(empty)} of {len(hypotheses)} translations {_are(empty)} empty (line {empty[0]}"
            " first)"
        ]
        if empty
        else []
    )
    if any(list(hypotheses) == list(reference) for reference in test.references):
        found.append("the same text as the reference, to the letter: is this the right file?")
    return found


def _about_bleu(test: Benchmark) -> list[str]:
    """sacreBLEU's BLEU is 0 where no line has four words; its effective order is for single
    sentences."""
    found = []
    tokenise = make_metric("bleu", test.tokeniser).tokenizer  # type: ignore[union-attr]
    for system, hypotheses in test.systems.items():
        if any(line.strip() for line in hypotheses) and all(
            len(tokenise(line).split()) < ORDER for line in hypotheses
        ):
            found.append(
                f"{system}: no line has {ORDER} words, so BLEU is 0.0 whatever they are; rely on"
                " chrF"
            )
    return found


def _about_tests(results: Sequence[Result]) -> list[str]:
    few = {
        each.system: each.differing
        for each in results
        if each.differing is not None and 0 < each.differing < FEW
    }
    return [
        f"{system}: {count} of {results[0].lines} lines {'differ' if count > 1 else 'differs'} from"
        " the first system's: too few for a paired test, so no star"
        for system, count in few.items()
    ]


def _are(lines: Sequence[int]) -> str:
    return "is" if len(lines) == 1 else "are"
