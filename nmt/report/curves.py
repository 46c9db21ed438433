"""The section on training: learning curves, the health of gradients, and speed."""

from nmt.pages.charts import Chart, Series, line_chart, sparkline
from nmt.pages.markup import Markup, details, items, paragraph, section, table
from nmt.report.records import RunRecord
from nmt.run_folder import Row


def training_section(runs: list[RunRecord]) -> str:
    """Every curve of every run; what a run has not recorded is left out of its plot."""
    recorded = [run for run in runs if run.updates or run.validations]
    if not recorded:
        return section(
            "training",
            "Training",
            paragraph("No metrics are recorded here; metrics.jsonl of a run has them.", "gap"),
        )
    figures = "".join(line_chart(chart) for chart in _charts(runs))
    layers = "".join(_layers(run) for run in runs)
    return section(
        "training",
        "Training",
        items([trend(run) for run in recorded]),
        paragraph(INTRODUCTION),
        f'<div class="grid-of-charts">{figures}</div>',
        *([layers] if layers else []),
    )


INTRODUCTION = (
    "Loss is cross-entropy in nats per target piece. The gradient norm is the one before clipping;"
    " dashed: the highest of each window. Point at a plot, or focus it and press the arrow keys, to"
    " read out values."
)


RISE = {"bleu": 0.2, "chrf": 0.2, "loss": 0.01}  # between means of validations, what counts as one
NAMES = {"bleu": "BLEU", "chrf": "chrF2", "loss": "loss"}


def trend(run: RunRecord) -> str:
    """Whether the dev curve by which checkpoints are selected still gets better: its last
    quarter against the quarter before."""
    select = run.recipe.training.select
    found = [
        number(row.get("cross_entropy")) if select == "loss" else score_of(row, NAMES[select])
        for row in run.validations
    ]
    values = [value for value in found if value is not None]
    if len(values) < 4:
        return (
            f"{run.name}: too few validations ({len(values)}) to say whether the curve still gets"
            " better."
        )
    count = max(2, len(values) // 4)
    last, before = sum(values[-count:]) / count, sum(values[-2 * count : -count]) / count
    gain = (before - last) if select == "loss" else (last - before)
    digits = 3 if select == "loss" else 1
    means = (
        f"{last:.{digits}f} on average over the last {count} validations, {before:.{digits}f} over"
        f" the {count} before"
    )
    if gain >= RISE[select]:
        return (
            f"{run.name}: {NAMES[select]} on the dev set still gets better ({means}): more updates"
            " may help."
        )
    if gain > -RISE[select]:
        return (
            f"{run.name}: {NAMES[select]} on the dev set has levelled off ({means}): more updates"
            " will hardly help."
        )
    return (
        f"{run.name}: {NAMES[select]} on the dev set gets worse ({means}): the best checkpoint is"
        " kept, more updates will not help."
    )


def _charts(runs: list[RunRecord]) -> list[Chart]:
    one = len(runs) == 1

    def lines(key: str, name: str, kind: str = "line", of: str = "updates") -> list[Series]:
        return [
            _series(run, number, key, name if one else f"{run.name}: {name}", kind, of)
            for number, run in enumerate(runs)
        ]

    x = "update"
    training = lines("cross_entropy", "training", "thin") + lines(
        "cross_entropy", "dev", "dots", "validations"
    )
    if one:
        training[1] = training[1]._replace(colour=1)
    norms = lines("gradient_norm", "mean") + lines("gradient_norm_max", "highest", "dashed")
    return [
        Chart("Loss", x, "nats per piece", training),
        Chart("BLEU on the dev set", x, "BLEU", _scores(runs, "BLEU"), from_zero=True),
        Chart("chrF on the dev set", x, "chrF", _scores(runs, "chrF2"), from_zero=True),
        Chart("Learning rate", x, "learning rate", lines("learning_rate", "rate"), from_zero=True),
        Chart("Gradient norm before clipping", x, "norm", norms, logarithmic=True),
        Chart("Clipped updates", x, "share", lines("clipped_share", "share"), from_zero=True),
        Chart(
            "Speed",
            x,
            "target pieces per second",
            lines("pieces_per_second", "pieces/s"),
            from_zero=True,
        ),
    ]


def _series(run: RunRecord, colour: int, key: str, name: str, kind: str, of: str) -> Series:
    rows = run.updates if of == "updates" else run.validations
    return Series(
        name,
        [float(row["update"]) for row in rows],
        [number(row.get(key)) for row in rows],
        colour,
        kind,
    )


def _scores(runs: list[RunRecord], metric: str) -> list[Series]:
    return [
        Series(
            run.name,
            [float(row["update"]) for row in run.validations],
            [score_of(row, metric) for row in run.validations],
            place,
            "dots",
        )
        for place, run in enumerate(runs)
    ]


def score_of(row: Row, metric: str) -> float | None:
    """A validation's score, None where it has none."""
    scores = row.get("scores")
    found = (
        [score for score in scores if isinstance(score, dict) and score.get("metric") == metric]
        if isinstance(scores, list)
        else []
    )
    return number(found[0].get("value")) if found else None


def number(value: object) -> float | None:
    """A number from a file, None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _layers(run: RunRecord) -> str:
    """The gradient norm of each layer: falling from layer to layer it vanishes, rising it
    explodes."""
    histories = [norms for row in run.updates if isinstance(norms := row.get("layer_norms"), dict)]
    if not histories:
        return ""
    rows = []
    for name in histories[-1]:
        values = [number(norms.get(name)) for norms in histories]
        known = [value for value in values if value is not None]
        if known:
            plot = Markup(sparkline(values, f"{name} over the updates, logarithmic"))
            rows.append(
                [name, plot, *(f"{value:.2g}" for value in (min(known), max(known), known[-1]))]
            )
    content = table(["layer", "over the updates (log)", "least", "highest", "last"], rows)
    return details(f"Gradient norm of each layer: {run.name}", content)
