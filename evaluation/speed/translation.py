"""Translation on one core beside CTranslate2 int8: pieces/s greedy, at beam 5, and one sentence at
a time; random weights.

taskset -c 1 python -m evaluation speed.translation [--peer-python DIR/bin/python] [--save]

Sources of 14 pieces on average, every output of 15 or 16 pieces and its end. Ours and the peer run
in turn, three times; medians. Speeds are of processor time, so that other work on the machine
disturbs them less.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nmt.data.batches import source_batches
from nmt.engines.choice import choose_engine
from nmt.engines.shortlist import Shortlist
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig
from nmt.search.beam import beam_search
from nmt.search.settings import SearchSettings
from nmt.search.step import Network

ROUNDS = 3
NETWORKS = {
    512: (8000, (4, 256, 8, 1024)),
    256: (8000, (4, 128, 4, 256)),
}  # width -> pieces, the peer's layers, width, heads, FFN
WAYS = {
    "greedy": (1, 2048, 32),
    "beam 5": (5, 512, 32),
    "greedy, one by one": (1, 0, 1),
    "beam 5, one by one": (5, 0, 1),
}  # ours, peer's batch
ONE_BY_ONE = 150  # sentences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peer_argument(parser)


def add_peer_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--peer-python",
        metavar="FILE",
        help="a Python with ctranslate2 4.8.5; without it only ours is timed",
    )


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(1)
    sources = random_sources(1000)
    out.mkdir(parents=True, exist_ok=True)
    peer = arguments.peer_python
    measures = {}
    for size, (vocabulary, shape) in NETWORKS.items():
        engines = {
            name: random_engine(
                ModelConfig(embedding_size=size, hidden_size=size), vocabulary, name == "shortlist"
            )
            for name in ("all pieces", "shortlist")
        }
        for way, (beam, pieces, peer_batch) in WAYS.items():
            part = sources if pieces else sources[:ONE_BY_ONE]
            file = out / f"sources-{len(part)}.json"
            file.write_text(json.dumps(part), encoding="utf-8")
            contestants: dict[str, Callable[[], float]] = {}
            for name, engine in engines.items():
                lines = [[4 + piece % (vocabulary - 4) for piece in source] for source in part]
                translate(engine, lines[:64], beam, pieces)
                contestants[f"d={size}, {name}"] = partial(translate, engine, lines, beam, pieces)
            if peer:
                command = [
                    peer,
                    str(Path(__file__).with_name("peer.py")),
                    str(file),
                    *map(str, (*shape, beam, peer_batch)),
                ]
                contestants[f"CTranslate2 {shape[0]}+{shape[0]} x {shape[1]}"] = partial(
                    ask, command
                )
            measures |= {f"{way}: {name}": value for name, value in in_turn(contestants).items()}
    return {"measures": measures}


def in_turn(contestants: dict[str, Callable[[], float]]) -> dict[str, dict[str, Any]]:
    """The median of each one's rounds; the noise is half their range."""
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, measure in contestants.items():
            speeds[name].append(measure())
    return {
        name: {
            "value": round(statistics.median(each)),
            "noise": round((max(each) - min(each)) / 2),
            "unit": "pieces/s of processor time",
        }
        for name, each in speeds.items()
    }


def random_sources(count: int) -> list[list[int]]:
    """Pieces in the manner of text: a few are frequent."""
    random = np.random.default_rng(1)
    lengths = np.clip(np.round(random.gamma(12.0, 14 / 12, count)), 4, 40).astype(int)
    return [(4 + np.minimum(random.zipf(1.3, length), 7990)).tolist() for length in lengths]


def random_engine(
    config: ModelConfig, vocabulary: int, short: bool, precision: str = "int8"
) -> Network[Any]:
    """A shortlist of random pieces: 30 a source piece, about 430 a sentence, as learnt ones
    have."""
    torch.manual_seed(1)
    model = Seq2Seq(config, vocabulary, vocabulary, shared=True).eval()
    best_VX = torch.randint(4, vocabulary // 2, (vocabulary, 30))
    shortlist = Shortlist(best_VX, torch.arange(vocabulary)) if short else None
    return choose_engine(model, precision, shortlist)


def translate(
    network: Network[Any], sources: Sequence[Sequence[int]], beam: int, pieces: int
) -> float:
    """Pieces a second of processor time."""
    lengths = np.array([len(source) for source in sources])
    batches = (
        source_batches(lengths, pieces)
        if pieces
        else [np.array([number]) for number in range(len(sources))]
    )
    done, start = 0, time.process_time()
    settings = SearchSettings(beam=beam, scored=beam > 1, min_length=16, length_extra=17)
    for batch in batches:
        found = beam_search(network, [sources[number] for number in batch], settings).hypotheses
        done += sum(len(best[0].pieces) + 1 for best in found)
    return done / (time.process_time() - start)


def ask(command: list[str]) -> float:
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return float(answer["pieces"] / answer["cpu"])
