"""Robustness of a model: entities copied, several sentences a line, case, punctuation, noise.

python -m evaluation robustness MODEL TEST [--lines 1000] [--precision fp32] [--as NAME] [--save]

MODEL is the quickstart's and TEST its test set where they are not given. For each condition it
measures BLEU with its share of the BLEU of the plain test set, and the shares of outputs that are
empty, repeat themselves or are far too long; for made-up entities the share of exact copies.
OUT/table.md has it all in two tables, OUT/examples.md what became of some entities.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from evaluation.robustness.entities import Example, examples
from evaluation.robustness.odd_lines import (
    BLANK,
    Shares,
    shares,
    shows,
    single_words,
    symbol_lines,
)
from nmt.files import write_atomically
from nmt.recipe import dump_recipe, load_recipe
from nmt.scoring.perturbations import UNSEEN
from nmt.scoring.robustness import Outcome, measure_robustness
from nmt.text.corpus import read_parallel
from nmt.training.run import train
from nmt.translation.translator import Translator

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "evaluation" / "recipes" / "quickstart.toml"
MODEL = ROOT / "runs" / "quickstart"  # as scripts/quickstart leaves it
SHOWN = 4  # examples of each kind in examples.md
Measures = dict[str, Any]
Translate = Callable[[list[str]], list[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", type=Path, default=MODEL, help="a run or an export"
    )
    parser.add_argument("test", metavar="TEST", nargs="?", help="a corpus that it never saw")
    parser.add_argument(
        "--lines", type=int, default=1000, help="of the test set, its first ones (default: 1000)"
    )
    parser.add_argument(
        "--entities", type=int, default=60, help="examples of each kind (default: 60)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of all that is made up (default: 1)")
    parser.add_argument("--precision", default="fp32", help="as for nmt translate (default: fp32)")


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Every condition on its own; the quickstart model is trained first where it is missing."""
    recipe = load_recipe(RECIPE)
    if arguments.model == MODEL:
        for _ in train(recipe, MODEL):  # at once over where the model is there
            pass
    translator = Translator.load(arguments.model, precision=arguments.precision)
    data = translator.recipe.data
    test = arguments.test or recipe.data.dev
    sources, references = (
        side[: arguments.lines] for side in read_parallel(test, data.source, data.target, "test")
    )
    translate = translator.translate
    outcomes = measure_robustness(translate, sources, references, ("bleu",), confidence=True)
    made = examples(data.source, arguments.entities, arguments.seed)
    outputs = translate([example.source for example in made])
    write_atomically(out / "examples.md", shown(made, outputs))
    odd = odd_conditions(translate, sources, references, arguments.seed)
    measures = measures_of(outcomes) | entity_measures(made, outputs) | odd
    write_atomically(out / "table.md", markdown(measures))
    print(markdown(measures))
    return {
        "model": arguments.model.name,
        "test": Path(test).name,
        "lines": len(sources),
        "precision": translator.network.precision,
        "seed": arguments.seed,
        "recipe": dump_recipe(translator.recipe),
        "measures": measures,
    }


def measures_of(outcomes: Sequence[Outcome]) -> Measures:
    """BLEU, share of plain BLEU, length ratio and shares of each condition."""
    found: Measures = {}
    for outcome in outcomes:
        bleu, name = outcome.scores[0], outcome.condition
        noise = bleu.interval or 0.0
        found[f"{name}: BLEU"] = _measure(bleu.value, noise, f"BLEU {bleu.signature}", 2)
        found[f"{name}: share of plain BLEU"] = _measure(
            outcome.share,
            outcome.share * noise / max(bleu.value, 0.01),
            "share of the plain test set's BLEU",
            3,
        )
        found[f"{name}: length ratio"] = _measure(
            outcome.health.length_ratio, 0.02, "words per word", 3
        )
        found[f"{name}: far off"] = _share(outcome.health.far_off, outcome.lines)
        found |= _shares(name, shares(outcome.sources, outcome.hypotheses), outcome.lines)
        if name == "unseen characters":
            kept = [
                all(source.count(each) == output.count(each) for each in UNSEEN)
                for source, output in zip(outcome.sources, outcome.hypotheses, strict=True)
            ]
            found[f"{name}: kept"] = _share(sum(kept) / outcome.lines, outcome.lines)
    return found


def entity_measures(made: Sequence[Example], outputs: Sequence[str]) -> Measures:
    """The share of examples whose entities are all there exactly, by kind."""
    exact: dict[str, list[bool]] = {}
    for example, output in zip(made, outputs, strict=True):
        exact.setdefault(example.kind, []).append(example.is_exact(output))
    return {
        f"{kind}: exact": _share(sum(found) / len(found), len(found))
        for kind, found in exact.items()
    }


def odd_conditions(
    translate: Translate, sources: Sequence[str], references: Sequence[str], seed: int
) -> Measures:
    """Single words, lines that are in the target language already, symbols alone, blank lines."""
    found: Measures = {}
    for name, lines in (
        ("single words", single_words(sources, 200, seed)),
        ("target language", list(references[:300])),
    ):
        found |= _shares(name, shares(lines, translate(lines)), len(lines))
    symbols = symbol_lines(60, seed)
    kept = [output == line for line, output in zip(symbols, translate(symbols), strict=True)]
    found["symbols alone: exact"] = _share(sum(kept) / len(kept), len(kept))
    blank = [not shows(output) for output in translate(list(BLANK))]
    found["blank lines: blank"] = _share(sum(blank) / len(blank), len(blank))
    return found


def _shares(name: str, found: Shares, lines: int) -> Measures:
    return {
        f"{name}: {key.replace('_', ' ')}": _share(value, lines)
        for key, value in found._asdict().items()
    }


def _measure(value: float, noise: float, unit: str, digits: int) -> dict[str, Any]:
    return {"value": round(value, digits), "noise": round(noise, digits), "unit": unit}


def _share(value: float, lines: int) -> dict[str, Any]:
    """A share of lines; its noise is two standard errors, of one line at least."""
    variance = max(value * (1 - value), 1 / lines) / lines
    return _measure(value, 2 * variance**0.5, "share of lines", 4)


def markdown(measures: Measures) -> str:
    """Two tables: conditions with BLEU and its share, and everything that is copied or odd."""
    rows: dict[str, dict[str, float]] = {}
    for name, measure in measures.items():
        condition, _, quantity = name.rpartition(": ")
        rows.setdefault(condition, {})[quantity] = measure["value"]
    scored = {name: row for name, row in rows.items() if "BLEU" in row}
    columns = ["BLEU", "share of plain BLEU", "empty", "repeating", "too long", "far off", "kept"]
    rest = {name: row for name, row in rows.items() if name not in scored}
    others = ["exact", "blank", "empty", "repeating", "too long"]
    return f"{_table(scored, columns)}\n{_table(rest, others)}"


def _table(rows: dict[str, dict[str, float]], columns: Sequence[str]) -> str:
    lines = [["condition", *columns], ["---"] * (1 + len(columns))]
    for name, row in rows.items():
        cells = [_cell(column, row[column]) if column in row else "" for column in columns]
        lines.append([name, *cells])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(column: str, value: float) -> str:
    return f"{value:.1f}" if column == "BLEU" else f"{value:.1%}"


def shown(made: Sequence[Example], outputs: Sequence[str]) -> str:
    """Some examples of each kind with their output, and whether it is exact."""
    parts: dict[str, list[str]] = {}
    for example, output in zip(made, outputs, strict=True):
        lines = parts.setdefault(example.kind, [])
        if len(lines) < SHOWN:
            mark = "exact" if example.is_exact(output) else "not exact"
            lines.append(f"- `{example.source}` → `{output}` ({mark})")
    return "".join(f"## {kind}\n\n" + "\n".join(lines) + "\n\n" for kind, lines in parts.items())
