"""BLEU and chrF of a run on a test set, greedy and with a beam; of the quickstart model, trained
where it is missing, if none is named.

python -m evaluation scores [RUN TEST] [--as NAME] [--save]
"""

import argparse
import time
from pathlib import Path
from typing import Any

from evaluation.robustness import MODEL, RECIPE
from nmt.errors import NmtError
from nmt.recipe import dump_recipe, load_recipe
from nmt.run_folder import RunFolder
from nmt.scoring.bleu import corpus_scores
from nmt.text.corpus import read_parallel
from nmt.training.run import train
from nmt.translation.translator import Translator


def measure(run: Path, test: str, beams: tuple[int, ...] = (1, 5)) -> dict[str, Any]:
    """Scores with signatures for each beam, beside the dev scores of the best checkpoint."""
    translator = Translator.load(run, precision="fp32")
    data = translator.recipe.data
    sources, references = read_parallel(test, data.source, data.target, "test")
    scores = {}
    for beam in beams:
        start = time.perf_counter()
        translations = translator.translate(sources, beam=beam)
        found = corpus_scores(translations, [references], confidence=True)
        scores[f"beam {beam}"] = [score._asdict() for score in found] + [
            {"seconds": round(time.perf_counter() - start, 1)}
        ]
    return {
        "model": run.name,
        "test": test,
        "sentences": len(sources),
        "parameters": translator.parameters(),
        "precision": translator.network.precision,
        "test_scores": scores,
        "dev": RunFolder(run).best_validation(),
        "seed": translator.recipe.training.seed,
        "recipe": dump_recipe(translator.recipe),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="RUN",
        nargs="?",
        type=Path,
        default=MODEL,
        help="a finished run of `nmt train`",
    )
    parser.add_argument(
        "test",
        metavar="TEST",
        nargs="?",
        help="a corpus that it never saw (default: the bundled test set)",
    )


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The scores, and in the results also the recipe and the dev scores.

    Raises:
        NmtError: a run without a test set.
    """
    test = arguments.test
    if arguments.model == MODEL:
        recipe = load_recipe(RECIPE)
        test = test or recipe.data.dev
        for _ in train(recipe, MODEL):  # at once over where the model is there
            pass
    if not test:
        raise NmtError(f"{arguments.model}: no test set named; give RUN and TEST")
    figures = measure(arguments.model, test)
    return {"measures": measures_of(figures), **figures}


def measures_of(figures: dict[str, Any]) -> dict[str, Any]:
    """The test scores of `measure` with the half width of their confidence interval and their
    signature."""
    return {
        f"{beam}: {score['metric']}": {
            "value": round(score["value"], 2),
            "noise": round(score["interval"], 2),
            "unit": f"{score['metric']} {score['signature']}",
        }
        for beam, scores in figures["test_scores"].items()
        for score in scores
        if "value" in score
    }
