"""Corpus scores that can be cited: sacreBLEU's values to the last digit, never without their
signature."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import _bootstrap_resample, estimate_ci

from nmt.errors import NmtError
from nmt.scoring.tokenisers import EXTRAS, NAMES, USUAL, is_installed

METRICS = ("bleu", "chrf", "chrf++", "ter")
BOOTSTRAP = 1000  # resamples behind a confidence interval, sacreBLEU's default


class Score(NamedTuple):
    """A metric's value over a corpus and what it takes to compute the same one again."""

    metric: str  # "BLEU", "chrF2", "chrF2++" or "TER", as sacreBLEU calls them
    value: float  # 0 to 100; higher is better, except for TER
    signature: str
    mean: float | None = (
        None  # over the bootstrap resamples, where a confidence interval was asked for
    )
    interval: float | None = None  # half the width of the 95 % interval around the mean

    def __str__(self) -> str:
        confidence = (
            "" if self.interval is None else f" (μ = {self.mean:.1f} ± {self.interval:.1f})"
        )
        return f"{self.metric} = {self.value:.1f}{confidence} {self.signature}"


def corpus_scores(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[str] = ("bleu", "chrf"),
    confidence: bool = False,
    tokeniser: str = USUAL,
) -> list[Score]:
    """One score for each metric, in their order. `references` holds one list for each set of
    references, as long as `hypotheses`.

    `tokeniser` is BLEU's, one of sacreBLEU's names; the other metrics have none or their own.
    Raises: NmtError for no or unequally many lines, and for an unknown metric or a tokeniser that
    is not there.
    """
    check_lengths({"the hypotheses": hypotheses}, references)
    scores = []
    for name in metrics:
        metric = make_metric(name, tokeniser)
        found = metric.corpus_score(hypotheses, references)
        mean, interval = _bootstrap(metric, hypotheses, references) if confidence else (None, None)
        scores.append(
            Score(found.name, float(found.score), str(metric.get_signature()), mean, interval)
        )
    return scores


def _bootstrap(
    metric: BLEU | CHRF | TER, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[float, float]:
    """Mean and half the width of the 95 % interval over resamples, as
    `corpus_score(n_bootstrap=...)` prints them.

    That call itself fails where only some resamples score exactly 0 (its mean cannot add Python's
    and numpy's numbers).
    """
    metric.n_bootstrap = BOOTSTRAP  # for the signature, as the seed is
    metric.seed, resamples = _bootstrap_resample(
        metric._extract_corpus_statistics(hypotheses, references), metric, BOOTSTRAP
    )
    mean, interval = estimate_ci(np.array([float(each.score) for each in resamples]))
    return float(mean), float(interval)


def make_metric(name: str, tokeniser: str = USUAL) -> BLEU | CHRF | TER:
    """sacreBLEU's metric with its default settings, which are what published figures mean, and
    BLEU's tokeniser."""
    if name == "bleu":
        return _bleu(tokeniser)
    if name == "chrf":
        return CHRF()
    if name == "chrf++":
        return CHRF(word_order=2)
    if name == "ter":
        return TER()
    raise NmtError(f"there is no metric {name!r}; give one of {', '.join(METRICS)}")


def _bleu(tokeniser: str) -> BLEU:
    if tokeniser not in NAMES:
        raise NmtError(f"sacreBLEU has no tokeniser {tokeniser!r}; give one of {', '.join(NAMES)}")
    if not is_installed(tokeniser):
        raise NmtError(
            f"the tokeniser {tokeniser} is not installed; pip install '{EXTRAS[tokeniser]}', or"
            " take char"
        )
    try:
        return BLEU(
            tokenize=tokeniser, force=True
        )  # force silences its warning about tokenised text, for which looks_tokenised is
    except (OSError, RuntimeError, SystemExit) as error:
        raise NmtError(
            f"the tokeniser {tokeniser} cannot be had ({error}); sacreBLEU downloads it once, or"
            " take char"
        ) from None


def check_lengths(
    systems: Mapping[str, Sequence[str]], references: Sequence[Sequence[str]]
) -> None:
    """Raises: NmtError unless there are lines, and equally many in every system and every set of
    references."""
    if not references:
        raise NmtError("there are no references; give at least one set, a line for each hypothesis")
    expected = len(references[0])
    counted = {
        **{f"reference set {number}": lines for number, lines in enumerate(references, start=1)},
        **systems,
    }
    for name, lines in counted.items():
        if not lines:
            raise NmtError(f"{name}: no lines to score; give at least one")
        if len(lines) != expected:
            raise NmtError(
                f"{name}: {len(lines)} lines for {expected} references; give one line for each"
                " reference, also where it is empty"
            )


def looks_tokenised(lines: Sequence[str]) -> bool:
    """Whether the text seems to be tokenised or in subwords, so that its BLEU cannot be compared
    with that of plain text.

    True when more than a tenth of the lines hold a tokeniser's mark (`@-@`, `&apos;`, `@@ `, `▁`, `
    , `) or close with a space and a full stop. A space before `?`, `!`, `;` and `:` is no sign:
    French is written that way.
    """
    marks = ("@-@", "&apos;", "&quot;", "@@ ", "▁", " , ")
    marked = sum(
        line.rstrip().endswith(" .") or any(mark in line for mark in marks) for line in lines
    )
    return marked > 0.1 * len(lines)
