"""Bits and nats per character of a language model of characters, trained by a committed recipe.

python -m evaluation language_model TEXT [--recipe NAME] [--as NAME] [--save]

TEXT is cut into its first 90% of characters for training and the last 10% for validation. The
whole validation text is scored in fp32 as one stream. One run with one seed: no noise is known.
Time is that of the processor, which other processes on the machine disturb less.
"""

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation.machine import ROOT
from nmt.errors import NmtError
from nmt.files import file_hash
from nmt.language_model import LanguageModel
from nmt.recipe import dump_recipe, load_recipe
from nmt.run_folder import RunFolder
from nmt.text.lines import lenient_lines
from nmt.training.run import train

SHARE = 0.9  # of the characters, for training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", type=Path, help="one text file")
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        default="tinyshakespeare",
        help="of evaluation/recipes (default: tinyshakespeare)",
    )


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The measures, and what it takes to make them again.

    Raises:
        NmtError: the text or the recipe cannot be read.
    """
    try:
        text = arguments.text.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NmtError(f"{arguments.text}: cannot be read as text ({error})") from None
    cut = int(SHARE * len(text))
    files = {"train": text[:cut], "dev": text[cut:]}
    for name, part in files.items():
        (out / f"{name}.txt").write_text(part, encoding="utf-8")
    recipe = load_recipe(ROOT / "evaluation" / "recipes" / f"{arguments.recipe}.toml")
    data = replace(recipe.data, train=(str(out / "train.txt"),), dev=str(out / "dev.txt"))
    folder = out / "run"
    start = time.process_time()
    *_, end = train(replace(recipe, data=data), folder)
    processor = time.process_time() - start
    model = LanguageModel.load(folder)
    scores = list(model.score_stream(lenient_lines(out / "dev.txt")))
    nats = -sum(score.log_prob for score in scores) / len(files["dev"])
    seconds = getattr(end, "seconds", math.nan)
    return {
        "measures": {
            "validation": {"value": round(nats, 4), "noise": 0.0, "unit": "nats a character"},
            "validation, bits": {
                "value": round(nats / math.log(2), 4),
                "noise": 0.0,
                "unit": "bits a character",
            },
            "training": {
                "value": round(processor, 1),
                "noise": round(0.1 * processor, 1),
                "unit": "s of one core, preparation and validations included",
            },
        },
        "characters": {name: len(part) for name, part in files.items()},
        "text_sha256": file_hash(arguments.text),
        "parameters": sum(each.numel() for each in model.model.parameters()),
        "wall_seconds": round(seconds, 1),
        "updates": end.update if hasattr(end, "update") else 0,
        "where": RunFolder(folder).sessions()[-1]["where"],
        "seed": recipe.training.seed,
        "dev": RunFolder(folder).best_validation(),
        "sample": "".join(model.sample("ROMEO:", length=400, temperature=0.8, seed=1)),
        "recipe": dump_recipe(recipe),
    }
