"""Robustness of the quickstart model: typos, lower case, unseen characters, no final stop,
doubled and joined sentences."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nmt.recipe import load_recipe
from nmt.scoring.robustness import measure_robustness
from nmt.text.corpus import read_parallel
from nmt.training.run import train
from nmt.translation.translator import Translator

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "evaluation" / "recipes" / "quickstart.toml"
MODEL = ROOT / "runs" / "quickstart"  # as scripts/quickstart leaves it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lines", type=int, default=1000, help="of the test set, its first ones (default: 1000)"
    )


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """BLEU, length ratio and shares of repeating and far-off outputs on the bundled test set,
    each change of it on its own."""
    recipe = load_recipe(RECIPE)
    for _ in train(recipe, MODEL):  # at once over where the model is there
        pass
    sources, references = read_parallel(
        recipe.data.dev, recipe.data.source, recipe.data.target, "test"
    )
    translate = Translator.load(MODEL, precision="fp32").translate
    return {
        "measures": measures_of(
            translate, sources[: arguments.lines], references[: arguments.lines]
        )
    }


def measures_of(
    translate: Callable[[list[str]], list[str]], sources: list[str], references: list[str]
) -> dict[str, Any]:
    """One measure a condition and quantity; the noise of a share is two standard errors."""
    found: dict[str, Any] = {}
    for outcome in measure_robustness(translate, sources, references, ("bleu",), confidence=True):
        bleu = outcome.scores[0]
        found[f"{outcome.condition}: BLEU"] = {
            "value": round(bleu.value, 2), "noise": round(bleu.interval or 0.0, 2), "unit": f"BLEU {bleu.signature}",  # noqa: E501
        }  # fmt: skip
        found[f"{outcome.condition}: length ratio"] = {
            "value": round(outcome.health.length_ratio, 3),
            "noise": 0.02,
            "unit": "words per word",
        }
        for name, share in (
            ("repeating", outcome.health.repeating),
            ("far off", outcome.health.far_off),
        ):
            noise = 2 * (max(share, 1 / outcome.lines) / outcome.lines) ** 0.5
            found[f"{outcome.condition}: {name}"] = {
                "value": round(share, 4),
                "noise": round(noise, 4),
                "unit": "share of lines",
            }
    return found
