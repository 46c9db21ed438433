"""Several systems on several test sets: scores, paired tests and breakdowns as rows of one
table."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nmt.errors import NmtError
from nmt.scoring.bleu import corpus_scores
from nmt.scoring.breakdown import Group, group_scores
from nmt.scoring.comet import comet_score
from nmt.scoring.significance import Test, paired_test
from nmt.scoring.tables import SIGNIFICANT, Result
from nmt.scoring.tokenisers import USUAL


class Benchmark(NamedTuple):
    """References and what the systems made of their sources."""

    name: str
    references: Sequence[Sequence[str]]  # one list for each set of references
    systems: Mapping[str, Sequence[str]]  # name -> a translation for each line
    groups: Sequence[Group] = ()  # parts to score on their own as well
    sources: Sequence[str] | None = None  # where they are known
    tokeniser: str = USUAL  # BLEU's


def evaluate(
    tests: Sequence[Benchmark],
    metrics: Sequence[str],
    confidence: bool = False,
    paired: Test | None = None,
    samples: int = 0,
) -> list[Result]:
    """The scores of every system on every test set, then those of its groups.

    Raises: NmtError as `corpus_scores` and `paired_test` do.
    """
    results = []
    for test in tests:
        lines = len(test.references[0])
        if paired:
            compared = paired_test(
                test.systems, test.references, metrics, paired, samples, test.tokeniser
            )
            results += [
                Result(
                    test.name,
                    each.system,
                    "",
                    lines,
                    each.score,
                    each.p_value,
                    each.difference,
                    each.differing,
                )
                for each in compared
            ]
        else:
            for system, hypotheses in test.systems.items():
                scores = corpus_scores(
                    hypotheses, test.references, metrics, confidence, test.tokeniser
                )
                results += [Result(test.name, system, "", lines, score) for score in scores]
        for system, hypotheses in test.systems.items():
            found = group_scores(hypotheses, test.references, test.groups, metrics, test.tokeniser)
            for group, scores in zip(test.groups, found, strict=True):
                results += [
                    Result(test.name, system, group.name, len(group.lines), score)
                    for score in scores
                ]
    return results


def add_comet(tests: Sequence[Benchmark], results: Sequence[Result]) -> list[Result]:
    """The results, with each system's COMET on each test set (first set of references) behind them.

    Raises: NmtError as `comet_score` does, and for a test set without sources.
    """
    found = list(results)
    for test in tests:
        if test.sources is None:
            raise NmtError(
                f"{test.name}: COMET needs the source text; give --source FILE, --test or -t"
            )
        for system, hypotheses in test.systems.items():
            score = comet_score(test.sources, hypotheses, test.references[0])
            found.append(Result(test.name, system, "", len(test.sources), score))
    return found


def paired_note(test: Test, samples: int, tests: int = 1) -> str:
    """What the p-values of a table mean, and how many of its `tests` chance alone would star."""
    if test == "bootstrap":
        how = f"paired bootstrap, {samples or 1000:,} resamples"
    else:
        how = f"paired approximate randomisation, {samples or 10_000:,} trials"
    many = f"; {tests} tests were made" if tests > 1 else ""
    if tests * SIGNIFICANT >= 1:
        many += (
            f": some {tests * SIGNIFICANT:.0f} would be starred by chance alone, so ask for p <"
            f" {SIGNIFICANT / tests:.2g}"
        )
    return (
        f"p: chance of such a difference from the first system if both were equally good ({how}); *"
        f" p < {SIGNIFICANT}{many}"
    )


MEANING = (  # in three sentences
    "± is half of a 95 % confidence interval: how far the score would move with other test"
    " sentences of the same kind, not with another training run. p is how often chance alone would"
    " make a difference as large as this one if both systems were equally good. A star (p < 0.05)"
    " says that there is a difference, not that it is large, and one in twenty tests of equal"
    " systems has one."
)
