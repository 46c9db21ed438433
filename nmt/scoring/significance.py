"""Is one system better than another? sacreBLEU's paired tests, with the p-values of its command."""

from collections.abc import Mapping, Sequence
from operator import ne
from typing import Literal, NamedTuple

from sacrebleu.significance import PairedTest, Result

from nmt.errors import NmtError
from nmt.scoring.bleu import Score, check_lengths, make_metric
from nmt.scoring.tokenisers import USUAL

Test = Literal["bootstrap", "randomisation"]


class Comparison(NamedTuple):
    """A system's score and how likely chance alone would make it differ that much from the
    baseline's."""

    system: str
    score: Score
    p_value: float | None  # None for the baseline; sacreBLEU's, also where there is nothing to test
    difference: float | None = None  # score - the baseline's; None for the baseline
    differing: int | None = None  # lines that are not the baseline's; None for the baseline


def paired_test(
    systems: Mapping[str, Sequence[str]],
    references: Sequence[Sequence[str]],
    metrics: Sequence[str] = ("bleu", "chrf"),
    test: Test = "bootstrap",
    samples: int = 0,
    tokeniser: str = USUAL,
) -> list[Comparison]:
    """Compare every system with the first one, the baseline; for each metric all systems in their
    order.

    "bootstrap" resamples sentences (Koehn 2004; 1,000 times unless `samples` says otherwise) and
    gives confidence intervals as well, "randomisation" swaps the two systems' sentences (Riezler
    and Maxwell 2005; 10,000 times). Identical outputs get the least p-value instead of 1, as in
    sacreBLEU (no trial exceeds a difference of 0): look at `differing` first. The seed is
    sacreBLEU's: 12345, or the environment variable SACREBLEU_SEED.
    Raises: NmtError for fewer than two systems, unknown metrics or tests, and lines that are not
    equally many.
    """
    if len(systems) < 2:
        raise NmtError(
            f"a paired test compares systems with a baseline, got {len(systems)} system; give two"
            " or more"
        )
    if test not in ("bootstrap", "randomisation"):
        raise NmtError(f"there is no paired test {test!r}; give bootstrap or randomisation")
    check_lengths(systems, references)
    paired = PairedTest(
        [(name, list(lines)) for name, lines in systems.items()],
        {name: make_metric(name, tokeniser) for name in metrics},
        [list(lines) for lines in references],
        test_type="bs" if test == "bootstrap" else "ar",
        n_samples=samples,
    )
    signatures, columns = paired()
    first = next(iter(systems))
    differing = {name: sum(map(ne, lines, systems[first])) for name, lines in systems.items()}
    comparisons = []
    for metric, signature in signatures.items():
        results = [
            result for result in columns[metric] if isinstance(result, Result)
        ]  # the column "System" alone holds text
        for system, result in zip(systems, results, strict=True):
            score = Score(
                metric,
                float(result.score),
                str(signature),
                _number(result.mean),
                _number(result.ci),
            )
            if system == first:
                comparisons.append(Comparison(system, score, None))
            else:
                difference = score.value - float(results[0].score)
                comparisons.append(
                    Comparison(
                        system, score, _number(result.p_value), difference, differing[system]
                    )
                )
    return comparisons


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
