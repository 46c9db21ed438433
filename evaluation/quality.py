"""BLEU and chrF of a run on a test set, greedy and with a beam: by name of the quickstart model, which is trained where it is missing.

python -m evaluation.quality RUN TEST [--out evaluation/results/NAME.json]

RUN is a finished run of `nmt train`; TEST a corpus that it never saw, in any format that nmt reads.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from evaluation.__main__ import provenance
from evaluation.robustness import MODEL, RECIPE
from nmt.config import dump_recipe, load_recipe
from nmt.data.corpus import read_parallel
from nmt.inference.export import best_validation
from nmt.inference.translator import Translator
from nmt.scoring.bleu import corpus_scores
from nmt.training.run import train


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
        scores[f"beam {beam}"] = [score._asdict() for score in found] + [{"seconds": round(time.perf_counter() - start, 1)}]
    return {
        "run": run.name,
        "test": test,
        "sentences": len(sources),
        "parameters": sum(parameter.numel() for parameter in translator.model.parameters()),
        "precision": translator.precision,
        "test_scores": scores,
        "dev": best_validation(run),
        "seed": translator.recipe.training.seed,
        "recipe": dump_recipe(translator.recipe),
        **provenance(),
    }


def run(out: Path) -> dict[str, Any]:
    """The quickstart model on the bundled test set; `out` gets the recipe and the dev scores too."""
    recipe = load_recipe(RECIPE)
    for _ in train(recipe, MODEL):  # at once over where the model is there
        pass
    figures = measure(MODEL, recipe.data.dev)
    (out / "quality.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False), encoding="utf-8")
    return measures_of(figures)


def measures_of(figures: dict[str, Any]) -> dict[str, Any]:
    """The test scores of `measure` with the half width of their confidence interval and their signature."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("test")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    figures = measure(arguments.run, arguments.test)
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    print(text)
    if arguments.out:
        arguments.out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
