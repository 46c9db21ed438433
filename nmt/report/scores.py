"""The sections of numbers: scores with signatures, significance, parts of the test set, health
of the outputs, robustness."""

from collections.abc import Iterable, Sequence

from nmt.pages.markup import Markup, details, escape, items, paragraph, section, table
from nmt.report.curves import number
from nmt.report.records import RunRecord
from nmt.report.sentences import Output, Sentences
from nmt.scoring.benchmark import MEANING, Benchmark, evaluate, paired_note
from nmt.scoring.bleu import Score
from nmt.scoring.breakdown import Group, by_length, group_scores
from nmt.scoring.checks import health
from nmt.scoring.remarks import remarks, warnings
from nmt.scoring.robustness import Outcome
from nmt.scoring.tables import Result, compared, count_tests

METRICS = ("bleu", "chrf", "chrf++", "ter")


def score_section(outputs: Sequence[Output], sentences: Sentences, rarity: Sequence[Group]) -> str:
    """All scores of the runs on the sentences; `rarity` groups them by how rare their source
    words are."""
    systems = {output.name: output.texts for output in outputs}
    several = len(systems) > 1
    test = Benchmark(sentences.name, [sentences.references], systems, tokeniser=sentences.tokeniser)
    results = evaluate([test], METRICS, True, "bootstrap" if several else None)
    told = [*warnings(test, METRICS), *remarks(test, METRICS, results)]
    shown = len(sentences.sources)
    which = (
        f"the first {shown:,} of {sentences.total:,} lines"
        if shown < sentences.total
        else f"all {shown:,} lines"
    )
    parts = [
        paragraph(
            f"Measured on {which} of {sentences.name}, with 95 % confidence intervals. Higher is"
            " better, except for TER."
        ),
        _score_table(results, f"Scores on {which}"),
        items(told, "gap"),
        paragraph(paired_note("bootstrap", 0, count_tests(results)) + ".") if several else "",
        paragraph(MEANING, "note"),
        _signatures((each.score.metric, each.score.signature) for each in results),
        _parts("By length of the reference", outputs, sentences, by_length(sentences.references)),
        _parts(
            "By how often the rarest source word occurs in the training text",
            outputs,
            sentences,
            rarity,
        ),
        _health(outputs, sentences),
    ]
    return section("scores", "Scores", *parts)


def _signatures(named: Iterable[tuple[str, str]]) -> str:
    """Metrics and their signatures, folded, each once."""
    found = "".join(
        f"<li>{escape(metric)}: <code>{escape(signature)}</code></li>"
        for metric, signature in dict.fromkeys(named)
    )
    return details(
        "Signatures: what it takes to compute the same numbers again", f"<ul>{found}</ul>"
    )


def _score_table(results: Sequence[Result], caption: str) -> str:
    metrics = list(dict.fromkeys(each.score.metric for each in results))
    rows = []
    for system in dict.fromkeys(each.system for each in results):
        rows.append(
            [
                system,
                *(
                    _score(each)
                    for metric in metrics
                    for each in results
                    if (each.system, each.score.metric) == (system, metric)
                ),
            ]
        )
    return table(["run", *metrics], rows, caption)


def _score(result: Result) -> Markup:
    score, told = result.score, compared(result)
    interval = (
        ""
        if score.interval is None
        else f" <small>({score.mean:.1f} ± {score.interval:.1f})</small>"
    )
    chance = f"<br><small>{told}</small>" if told else ""
    return Markup(f"<b>{score.value:.1f}</b>{interval}{chance}")


def _parts(
    title: str, outputs: Sequence[Output], sentences: Sentences, groups: Sequence[Group]
) -> str:
    """BLEU and chrF of each run on each group, with bars."""
    if not groups:
        return ""
    columns = [
        group_scores(
            output.texts, [sentences.references], groups, ("bleu", "chrf"), sentences.tokeniser
        )
        for output in outputs
    ]
    rows = [
        [
            group.name,
            len(group.lines),
            *(_bar(score) for column in columns for score in column[place]),
        ]
        for place, group in enumerate(groups)
    ]
    names = [
        f"{output.name} {metric}" if len(outputs) > 1 else metric
        for output in outputs
        for metric in ("BLEU", "chrF2")
    ]
    return table(["part", "lines", *names], rows, title)


def _bar(score: Score) -> Markup:
    """The number, and a bar beside it that is full at 100."""
    return Markup(
        f'{score.value:.1f} <span class="bar" style="--value:{min(100.0, score.value):.0f}%"'
        ' aria-hidden="true"></span>'
    )


def _health(outputs: Sequence[Output], sentences: Sentences) -> str:
    rows = []
    for output in outputs:
        found = health(output.texts, sentences.references, sentences.sources)
        rows.append(
            [output.name, f"{found.length_ratio:.2f}", *(f"{share:.1%}" for share in found[1:])]
        )
    about = (
        "Length ratio: words of all outputs for each word of the references. Repeating: one to four"
        " words three times in a row, or four words twice more than the reference has them. Far"
        " off: three words or more with a chrF2 below 10, what a hallucination looks like."
    )
    return table(
        ["run", "length ratio", "empty", "repeating", "copied source", "far off"],
        rows,
        "Health of the outputs",
    ) + paragraph(about, "note")


def robustness_section(measured: Sequence[tuple[str, Sequence[Outcome]]]) -> str:
    """Each run under each condition, and what it loses against the unchanged text."""
    if not measured:
        return ""
    parts = []
    for name, outcomes in measured:
        clean = outcomes[0].scores[0].value
        rows = [
            [
                outcome.condition, outcome.lines, Markup(_bar(outcome.scores[0])), f"{outcome.scores[0].value - clean:+.1f}",  # noqa: E501
                f"{outcome.scores[1].value:.1f}", f"{outcome.health.length_ratio:.2f}",
                f"{outcome.health.repeating:.1%}", f"{outcome.health.far_off:.1%}",
            ]
            for outcome in outcomes
        ]  # fmt: skip
        header = [
            "input",
            "lines",
            "BLEU",
            "change",
            "chrF2",
            "length ratio",
            "repeating",
            "far off",
        ]
        parts.append(table(header, rows, name))
    about = "".join(
        f"<li><b>{escape(each.condition)}</b>: {escape(each.about)}</li>" for each in measured[0][1]
    )
    signature = measured[0][1][0].scores[0].signature
    return section(
        "robustness", "Robustness", paragraph(f"The first {measured[0][1][0].lines:,} of these sentences, made harder."), *parts,  # noqa: E501
        details("What was done to the text", f"<ul>{about}</ul>"), _signatures([("BLEU", signature)]),  # noqa: E501
    )  # fmt: skip


def recorded_scores(runs: Sequence[RunRecord]) -> str:
    """The scores that training itself wrote down at each run's best checkpoint."""
    rows, named = [], []
    for run in runs:
        for score in (run.best or {}).get("scores") or []:
            value = number(score.get("value"))
            if value is not None:
                rows.append([run.name, score.get("metric", ""), f"{value:.1f}"])
                named.append((str(score.get("metric", "")), str(score.get("signature", ""))))
    if not rows:
        return ""
    dev = dict.fromkeys(run.recipe.data.dev for run in runs if run.best)
    caption = (
        f"Scores of the best checkpoint on the whole dev set ({', '.join(dev)}), recorded in"
        " training"
    )
    return table(["run", "metric", "value"], rows, caption) + _signatures(named)
