"""What finished trials found: scores, comparisons with the baseline, curves, tables."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.quality.plan import Plan, Trial
from evaluation.quality.trials import (
    Place,
    Way,
    choose,
    lines_of,
    missing,
    place_of,
    scores_of,
)
from nmt.run_folder import RunFolder
from nmt.scoring.bleu import Score
from nmt.scoring.significance import paired_test


def finished(plan: Plan, out: Path) -> list[Trial]:
    return [trial for trial in plan.trials() if not [*missing(trial, plan, place_of(out, trial))]]


def summary(plan: Plan, out: Path, parameters: dict[str, int]) -> dict[str, Any]:
    """One entry a finished trial, and the measures that `python -m evaluation` compares."""
    trials = finished(plan, out)
    found = {trial.name: _about(trial, plan, place_of(out, trial)) for trial in trials}
    for trial in trials:
        found[trial.name]["parameters"] = parameters[trial.name]
        baseline = trial._replace(rung=plan.rungs[0])
        if trial.rung != plan.rungs[0] and baseline in trials:
            found[trial.name]["against the baseline"] = compare_with(baseline, trial, plan, out)
    return {"measures": _measures(found), "trials": found, "unfinished": unfinished(plan, out)}


def unfinished(plan: Plan, out: Path) -> dict[str, Any]:
    """What is left of each trial whose training has begun, and its curve so far. They have no
    measures: a schedule that has not ended says little of the score that it ends with."""
    found = {}
    for trial in plan.trials():
        place = place_of(out, trial)
        left = next(missing(trial, plan, place), "")
        if left and (points := curve(place.run)):
            found[trial.name] = {
                "about": trial.rung.about,
                "left": left,
                "minutes so far": _minutes(RunFolder(place.run)),
                "curve, dev": points,
            }
    return found


def _minutes(folder: RunFolder) -> float:
    return round(sum(float(row["seconds"]) for row in folder.sessions()) / 60, 1)


def _about(trial: Trial, plan: Plan, place: Place) -> dict[str, Any]:
    way, dev_by_way = choose(plan, trial, place)
    folder = RunFolder(place.run)
    corpus = trial.corpus
    texts = {"dev": (corpus.dev, place.dev(way))} | {
        Path(test).name: (test, place.test(test, way)) for test in corpus.test
    }
    return {
        "about": trial.rung.about,
        "trained at": json.loads(place.done.read_text(encoding="utf-8"))["commit"],
        "training minutes": _minutes(folder),
        "sessions": folder.sessions(),
        "search": {"beam": way.beam, "length_alpha": way.length_alpha},
        "dev BLEU by search": dev_by_way,
        "scores": {
            name: [_rounded(score) for score in scores_of(output, text, corpus, confidence=True)]
            for name, (text, output) in texts.items()
        },
        "curve, dev": curve(place.run),
        "recipe": folder.recipe.read_text(encoding="utf-8").replace(corpus.folder or "\0", ""),
    }


def _rounded(score: Score) -> dict[str, Any]:
    return {
        "metric": score.metric,
        "value": round(score.value, 2),
        "interval": round(score.interval or 0.0, 2),
        "signature": score.signature,
    }


def curve(run: Path) -> list[dict[str, Any]]:
    """Epoch, update, loss in nats a piece and score of each validation in training."""
    return [
        {
            "epoch": row["epoch"],
            "update": row["update"],
            "loss": round(row["cross_entropy"], 3),
            **{score["metric"]: round(score["value"], 2) for score in row["scores"]},
        }
        for row in RunFolder(run).metrics()
        if row["kind"] == "validation"
    ]


def compare_with(baseline: Trial, trial: Trial, plan: Plan, out: Path) -> dict[str, Any]:
    """Differences and p-values of paired bootstrap resampling on each test set; on the dev set
    where the corpus has no test set."""
    corpus = trial.corpus
    found = {}
    for text in corpus.test or (corpus.dev,):
        systems = {
            each.rung.name: lines_of(_output(each, plan, out, text)) for each in (baseline, trial)
        }
        references = lines_of(Path(f"{text}.{corpus.target}"))
        found[Path(text).name] = [
            {
                "metric": each.score.metric,
                "difference": round(each.difference, 2),
                "p": each.p_value and round(each.p_value, 4),
            }
            for each in paired_test(systems, [references], tokeniser=corpus.tokeniser)
            if each.difference is not None
        ]
    return found


def _output(trial: Trial, plan: Plan, out: Path, text: str) -> Path:
    place = place_of(out, trial)
    way: Way = choose(plan, trial, place)[0]
    return place.dev(way) if text == trial.corpus.dev else place.test(text, way)


def _measures(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    measures = {
        f"{trial}, {text}: {score['metric']}": {
            "value": score["value"],
            "noise": score["interval"],
            "unit": f"{score['metric']} {score['signature']}",
        }
        for trial, about in found.items()
        for text, scores in about["scores"].items()
        for score in scores
    }
    times = {
        f"{trial}: training": {
            "value": about["training minutes"],
            "noise": round(0.3 * about["training minutes"], 1),
            "unit": "minutes, wall time of a machine that did other work too",
        }
        for trial, about in found.items()
    }
    return measures | times


def markdown(results: dict[str, Any]) -> str:
    """The results as a table, one row a trial, the best dev BLEU first; below it what is
    unfinished."""
    rows = sorted(results["trials"].items(), key=lambda item: -item[1]["scores"]["dev"][0]["value"])
    texts = list(dict.fromkeys(text for _, about in rows for text in about["scores"]))
    header = [
        "trial", "parameters", "minutes", "beam, alpha",
        *(f"{text} {metric}" for text in texts for metric in ("BLEU", "chrF2")), "p (BLEU)",
    ]  # fmt: skip
    lines = [header, ["---"] * len(header)]
    for name, about in rows:
        search = about["search"]
        lines.append(
            [
                name, f"{about['parameters'] / 1e6:.1f}M", f"{about['training minutes']:.0f}",
                f"{search['beam']}, {search['length_alpha']:g}",
                *(_cell(about["scores"], text, index) for text in texts for index in (0, 1)),
                ", ".join(_p(tests) for tests in about.get("against the baseline", {}).values()),
            ]
        )  # fmt: skip
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines) if rows else ""
    left = [f"- {name}: {about['left']}\n" for name, about in results["unfinished"].items()]
    return table + ("\nUnfinished:\n\n" + "".join(left) if left else "")


def _cell(scores: dict[str, Any], text: str, index: int) -> str:
    if text not in scores:
        return ""
    return f"{scores[text][index]['value']:.2f} ± {scores[text][index]['interval']:.2f}"


def _p(tests: Sequence[dict[str, Any]]) -> str:
    return f"{tests[0]['difference']:+.2f}, p = {tests[0]['p']:.3f}"
