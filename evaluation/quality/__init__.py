"""Quality of rungs of recipes: train, search, score and compare them; resumes where it ended.

python -m evaluation quality PLAN.toml --data DIR --status        what is done, what is left
python -m evaluation quality PLAN.toml --data DIR                 one trial after the other
python -m evaluation quality PLAN.toml --data DIR --report --as quality.NAME --save

A plan names corpora, seeds, search settings and rungs (evaluation/plans/ted10k.toml is one).
Search settings are chosen on the dev set; test sets are translated once, by these settings.
The results hold what is finished, and the curves of what is not. OUT/table.md and OUT/curves.svg
are made of them.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evaluation.machine import ROOT
from evaluation.quality.curves import curves
from evaluation.quality.plan import Plan, load_plan
from evaluation.quality.summary import finished, markdown, summary, unfinished
from evaluation.quality.trials import Program, missing, place_of, work
from nmt.errors import NmtError
from nmt.files import write_atomically
from nmt.translation.translator import Translator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="PLAN.toml", type=Path, help="corpora, seeds and rungs")
    parser.add_argument(
        "--data", metavar="DIR", type=Path, help="folder of the corpora (default: this one)"
    )
    parser.add_argument(
        "--only", metavar="RUNG", action="append", help="work on this rung alone; repeatable"
    )
    parser.add_argument(
        "--checkout",
        metavar="DIR",
        type=Path,
        default=ROOT,
        help="whose nmt trains and translates; one that nobody changes meanwhile",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="say what is done and left, and end")
    what.add_argument("--report", action="store_true", help="train nothing more; write the results")


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The results of every finished trial, after working on the others.

    Raises:
        NmtError: the plan is wrong, a command of nmt failed, or no trial has a score.
    """
    plan = load_plan(arguments.plan, arguments.data)
    names = [rung.name for rung in plan.rungs]
    for name in arguments.only or ():
        if name not in names:
            raise NmtError(f"there is no rung {name!r}; the rungs are {', '.join(names)}")
    if arguments.status:
        print(*status(plan, out), sep="\n")
        sys.exit(0)
    if not arguments.report:
        for trial in plan.trials():
            if not arguments.only or trial.rung.name in arguments.only:
                print(f"quality: {trial.name}", file=sys.stderr)
                work(trial, plan, place_of(out, trial), Program(arguments.checkout.resolve()))
    trials = finished(plan, out)
    if not trials and not unfinished(plan, out):
        raise NmtError(f"{out}: no trial has a score yet; leave out --report, or see --status")
    sizes = {
        trial.name: Translator.load(place_of(out, trial).run, precision="fp32").parameters()
        for trial in trials
    }
    results = summary(plan, out, sizes)
    write_atomically(out / "table.md", markdown(results))
    write_atomically(out / "curves.svg", curves(results))
    print(markdown(results))
    return results


def status(plan: Plan, out: Path) -> Iterator[str]:
    """One line a trial, and how many are done."""
    trials = list(plan.trials())
    width = max(len(trial.name) for trial in trials)
    done = 0
    for trial in trials:
        left = next(missing(trial, plan, place_of(out, trial)), "")
        done += not left
        yield f"{trial.name:{width}}  {'left: ' + left if left else 'done'}"
    yield f"{done} of {len(trials)} trials done"
