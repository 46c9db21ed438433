"""Quality against speed on one core: BLEU and pieces/s of trained models in each precision, beside
CTranslate2's speed; draws a picture.

taskset -c 1 python -m evaluation speed.frontier TEST RUN [RUN ...] [--peer-python DIR/bin/python]
--save

Speeds are of processor time and whole: from text to text, subwords included. The peer's
Transformers have random weights and are timed without subwords, on the same sources as the first
model cuts them, every output of 15 or 16 pieces.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from evaluation.speed.picture import Point, scatter
from evaluation.speed.translation import add_peer_argument, ask
from nmt.scoring.bleu import corpus_scores
from nmt.text.corpus import read_parallel
from nmt.translation.translator import Translator

ROUNDS = 3
BEAMS = (1, 5)
FORMS = (
    ("fp32", True),
    ("bf16", True),
    ("int8", False),
    ("int8", True),
)  # precision, with the shortlist where there is one
PEERS = {
    "Transformer 4+4 x 128": (4, 128, 4, 256),
    "Transformer 4+4 x 256": (4, 256, 8, 1024),
    "Transformer 6+6 x 512": (6, 512, 8, 2048),
}
PEER_BATCH = 32


class Model(NamedTuple):
    """A trained model in one precision."""

    name: str
    translator: Translator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("test", metavar="TEST", help="a test set, in any format that nmt reads")
    parser.add_argument(
        "models", metavar="RUN", nargs="+", type=Path, help="a finished run of `nmt train`"
    )
    add_peer_argument(parser)


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(1)
    models = [
        named_model(path, precision, shortlist)
        for path in arguments.models
        for precision, shortlist in FORMS
    ]
    recipe = models[0].translator.recipe.data
    sources, references = read_parallel(arguments.test, recipe.source, recipe.target, "test")
    measures: dict[str, Any] = {}
    for beam in BEAMS:
        speeds: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for name, translator in models:
                translations, speed = timed(translator, sources, beam)
                speeds.setdefault(name, []).append(speed)
                measures[f"{way(beam)}, {name}: BLEU"] = bleu(translations, references)
            for name, speed in peer_speeds(
                arguments.peer_python, models[0].translator, sources, beam, out
            ).items():
                speeds.setdefault(name, []).append(speed)
        measures |= {f"{way(beam)}, {name}: speed": summary(each) for name, each in speeds.items()}
    (out / "frontier.svg").write_text(scatter(points_of(measures)), encoding="utf-8")
    return {"measures": measures}


def points_of(measures: dict[str, Any]) -> list[Point]:
    """The systems whose speed was measured, with their scores where there are any."""
    points = []
    for key, measure in measures.items():
        system, _, kind = key.rpartition(": ")
        if kind == "speed":
            manner, _, name = system.partition(", ")
            points.append(
                Point(
                    name, manner, measure["value"], measures.get(f"{system}: BLEU", {}).get("value")
                )
            )
    return points


def way(beam: int) -> str:
    return "greedy" if beam == 1 else f"beam {beam}"


def named_model(path: Path, precision: str, shortlist: bool) -> Model:
    translator = Translator.load(path, device="cpu", precision=precision, shortlist=shortlist)
    config = translator.recipe.model
    listed = getattr(translator.network, "shortlist", None) is not None
    return Model(
        f"{config.cell} {config.hidden_size}, {precision}{', shortlist' if listed else ''}",
        translator,
    )


def timed(translator: Translator, sources: list[str], beam: int) -> tuple[list[str], float]:
    """-> translations, target pieces (ends counted) a second of processor time."""
    start = time.process_time()
    translations = translator.translate(sources, beam=beam)
    seconds = time.process_time() - start
    pieces = sum(len(ids) + 1 for ids in translator.subwords.target.encode(translations))
    return translations, pieces / seconds


def bleu(translations: list[str], references: list[str]) -> dict[str, Any]:
    score = corpus_scores(translations, [references], confidence=True)[0]
    assert score.interval is not None
    return {
        "value": round(score.value, 2),
        "noise": round(score.interval, 2),
        "unit": f"{score.metric} {score.signature}",
    }


def summary(speeds: list[float]) -> dict[str, Any]:
    """The median; the noise is half the range."""
    return {
        "value": round(statistics.median(speeds)),
        "noise": round((max(speeds) - min(speeds)) / 2),
        "unit": "pieces/s of processor time",
    }


def peer_speeds(
    peer: str | None, translator: Translator, sources: list[str], beam: int, out: Path
) -> dict[str, float]:
    """Of each of the peer's sizes, where a Python that has it is named."""
    if peer is None:
        return {}
    file = out / "sources.json"
    file.write_text(
        json.dumps(
            [
                [4 + piece % 7996 for piece in ids]
                for ids in translator.subwords.source.encode(sources)
            ]
        ),
        encoding="utf-8",
    )
    script = str(Path(__file__).with_name("peer.py"))
    return {
        f"CTranslate2 int8, {name}": ask(
            [peer, script, str(file), *map(str, (*shape, beam, PEER_BATCH))]
        )
        for name, shape in PEERS.items()
    }
