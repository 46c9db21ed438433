"""Runs beside one another: the dev curve of each and its scores on a test set, as one file of
results.

python -m evaluation curves TEST RUN [RUN ...] --as NAME [--trained-at COMMIT] [--save]

Results name the commit that scored the runs; --trained-at says which one trained them.
"""

import argparse
from pathlib import Path
from typing import Any

from evaluation.scores import measure, measures_of
from nmt.errors import NmtError
from nmt.recipe import load_recipe
from nmt.run_folder import RunFolder


def curve_of(run: Path) -> list[dict[str, Any]]:
    """A point for each validation in the run's metrics.jsonl: epoch, update, loss in nats a piece,
    rate of the last report, dev scores.

    Raises:
        NmtError: the run has validated nothing.
    """
    points, rate = [], 0.0
    for row in RunFolder(run).metrics():
        if row["kind"] == "update":
            rate = row["learning_rate"]
            continue
        scores = {score["metric"]: round(score["value"], 1) for score in row["scores"]}
        loss = round(row["cross_entropy"], 3)
        points.append(
            {
                "epoch": row["epoch"],
                "update": row["update"],
                "loss": loss,
                "learning_rate": float(f"{rate:.3g}"),
                **scores,
            }
        )
    if not points:
        raise NmtError(
            f"{RunFolder(run).metrics_file}: no validation in it; let `nmt train` reach its"
            " first one"
        )
    return points


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "test",
        metavar="TEST",
        help="a corpus that none of the runs saw, in any format that nmt reads",
    )
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        type=Path,
        help="a finished run of `nmt train`, named by its folder in the results",
    )
    parser.add_argument(
        "--trained-at",
        metavar="COMMIT",
        default="",
        help="that trained the runs (default: the one that scores them)",
    )


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Curves of the averaged weights on the dev set, scores on the test set, and the recipes that
    make the runs again.

    Raises:
        NmtError: a run cannot be read, or two have the same name.
    """
    runs: list[Path] = arguments.runs
    if len({run.name for run in runs}) < len(runs):
        raise NmtError("two runs have the same folder name; rename one, results go by it")
    curves = {run.name: curve_of(run) for run in runs}
    measured = {run.name: measure(run, arguments.test) for run in runs}
    return {
        "trained_at": arguments.trained_at or "the same commit",
        "seed": {run.name: load_recipe(RunFolder(run).recipe).training.seed for run in runs},
        "parameters": {run: figures["parameters"] for run, figures in measured.items()},
        "measures": {
            f"{run}, {key}": value
            for run, figures in measured.items()
            for key, value in measures_of(figures).items()
        },
        "curves, dev": curves,
        "recipes": {run: figures["recipe"] for run, figures in measured.items()},
    }
