"""Write one HTML file that shows a run, or compares several.

Learning curves, gradients, scores with signatures and significance, examples, attention, prediction
trees, robustness, and all that is needed to repeat the run. The file needs no network. A run that
is still training can be looked at as well.
"""

import argparse
from pathlib import Path

from nmt.commands.arguments import UsageError, at_least, log
from nmt.recipe import DEVICES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        type=Path,
        help="run folders of nmt train; the first one is compared with",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help=(
            "default: report.html in the first run's folder, MODEL-report.html beside an exported"
            " model"
        ),
    )
    parser.add_argument(
        "--csv",
        metavar="FOLDER",
        type=Path,
        help="write all numbers there as well, those too that the page leaves out",
    )
    parser.add_argument(
        "--test", metavar="PREFIX", help="corpus to translate (default: the first run's dev set)"
    )
    parser.add_argument(
        "--sentences",
        metavar="N",
        type=at_least(1),
        default=1000,
        help="lines of it, at most (default: 1000)",
    )
    parser.add_argument(
        "--robustness",
        metavar="N",
        type=at_least(0),
        default=200,
        help="lines of the robustness checks (default: 200)",
    )
    parser.add_argument(
        "--sentence",
        metavar="TEXT",
        action="append",
        default=[],
        help="look into the model with this source sentence too",
    )
    parser.add_argument(
        "--device", choices=DEVICES, default="auto", help="default: a GPU if there is one"
    )


def run(arguments: argparse.Namespace) -> int:
    if len(set(arguments.runs)) < len(arguments.runs):
        raise UsageError("a run is given twice; name each one once")
    from nmt.files import write_atomically, writing
    from nmt.report.build import Wishes, build_report
    from nmt.report.spreadsheets import csv_text

    wishes = Wishes(
        test=arguments.test,
        sentences=arguments.sentences,
        robustness=arguments.robustness,
        looked_at=tuple(arguments.sentence),
        device=arguments.device,
    )
    report = build_report(arguments.runs, wishes, log)
    for note in report.notes:
        log(note)
    output = arguments.output or _usual_place(arguments.runs[0])
    write_atomically(output, report.html)
    if arguments.csv:
        with writing(arguments.csv):
            arguments.csv.mkdir(parents=True, exist_ok=True)
        for name, table in report.tables.items():
            write_atomically(arguments.csv / f"{name}.csv", csv_text(table))
        log(
            f"its numbers are in {arguments.csv}:"
            f" {', '.join(f'{name}.csv' for name in report.tables)}"
        )
    log(f"the report is {output} ({len(report.html.encode()) / 1e6:.1f} MB): open it in a browser")
    return 0


def _usual_place(first: Path) -> Path:
    """An exported model's folder is to stay as it was exported."""
    if (first / "model.json").exists():
        return first.resolve().with_name(f"{first.resolve().name}-report.html")
    return first / "report.html"
