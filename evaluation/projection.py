"""What 100 million pairs on 8 GPUs would cost, on paper: no GPU has run this.

python -m evaluation projection [--save]     measure what can be measured here: what one processor
core does for the data
python -m evaluation.projection              print the table that follows from
evaluation/results/projection.json and the constants below

Time of an update of B target pieces a GPU, P parameters, sentences of L pieces, by one GPU of N:

    matrices    B x F / (share x rate)       F operations a target piece, from the layers' shapes
    (`training_flops`)
    recurrence  L x calls x 3 x step         one position after the other: a forward pass and a
    backward pass of twice its work
    exchange    2 (N - 1) / N x 4 P / link   a ring sums the fp32 gradients; nmt does it after the
    backward pass, not during it
    optimizer   9 x 4 P / memory             weights, gradient, two moments, average are read; all
    but the gradient are written
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from evaluation.results import RESULTS
from evaluation.speed.training_step import training_flops
from nmt.data.batches import batch_order
from nmt.data.store import build_store
from nmt.model.translation import Seq2Seq
from nmt.recipe import DataConfig, ModelConfig, Recipe, SubwordsConfig, TrainingConfig
from nmt.text.clean import Audit, clean_pairs
from nmt.text.corpus import Pair, read_pairs
from nmt.text.subwords import train_subword_pair
from nmt.training.plans import PlacedBatches, placed_batches

PAIRS, EPOCHS, GPUS = 100e6, 3, 8
LENGTH = 30  # pieces a side with the end of sentence: an assumption, about that of news text
RATE = (
    790e12  # operations/s of an H200's dense bf16 products, as large ones achieve them: published
)
MEMORY = 4.3e12  # bytes/s of an H200's memory, as achieved: published
# bytes/s of a ring over NVLink 4: an estimate; published are 370e9 at most (nccl-tests, issue 212),
# for larger messages
LINK = 300e9
# s of one position of one layer in one pass: an estimate, a product of few rows is bound by
# starting it
STEP = 15e-6
# source + target pieces/s of GNMT v2 on one V100 in mixed precision: published by NVIDIA
GNMT_SPEED = 72.7e3
GNMT_RATE = 125e12  # operations/s of a V100's tensor cores: published
GNMT_UNIT = 4 * 1024 * 1024  # weights of a cell's four gates for one input or state of 1,024
# That a piece pair of GNMT v2 meets: a bidirectional layer and three more (the first of those reads
# both directions), four decoder layers
# that read the context too, the output over 32,320 pieces, query and key of the attention.
GNMT_PRODUCTS = GNMT_UNIT * (2 * 2 + 3 + 2 + 2 + 4 * 3) + 1024 * 32_320 + 2 * 1024 * 1024
# neighbouring pairs of the bundled corpus that make one of the measured pairs: its own have 9
# pieces a side
JOINED = 4

SAMPLERS = 4  # processes a GPU (nmt/training/samplers.py)
ROUNDS = 3
UNITS = {
    "store": "s of processor time a million pairs, cleaned, cut and written",
    "size": "bytes a pair in the store",
    "length": "pieces of a target with the end of sentence",
    "order": "s of processor time to order a million pairs",
    "batches": "target pieces/s of processor time",
    "sampled batches": "target pieces/s of processor time, subwords.sampling 0.1",
}

NETWORKS = (  # width, layers a side, pieces of the vocabulary
    (512, 2, 8_000),
    (768, 2, 24_000),
    (1536, 3, 37_000),
)


class Projection(NamedTuple):
    """A network's training."""

    parameters: int
    operations: float  # a target piece, with its source piece
    parts: dict[str, float]  # s of an update
    pieces_per_second: float  # target pieces, of one GPU
    hours: float


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What a processor core does for the data, the median of three times; the noise is half
    their range."""
    found = [_measured(out) for _ in range(ROUNDS)]
    measures = {}
    for name, unit in UNITS.items():
        values = [each[name] for each in found]
        measures[name] = {
            "value": round(statistics.median(values), 3),
            "noise": round((max(values) - min(values)) / 2, 3),
            "unit": unit,
        }
    return {"measures": measures}


def _measured(out: Path) -> dict[str, float]:
    recipe = Recipe(
        data=DataConfig(
            train=("corpora/tatoeba-nld-eng",),
            dev="corpora/tatoeba-nld-eng",
            source="nl",
            target="en",
        ),
        subwords=SubwordsConfig(vocab_size=8000),
        training=TrainingConfig(batch_pieces=8192, epochs=1),
    )
    pairs = joined(list(read_pairs(recipe.data.train[0], "nl", "en", "train")))
    subwords = train_subword_pair(
        ((pair.source, pair.target) for pair in pairs), recipe.subwords, seed=1
    )
    start, audit = time.process_time(), Audit()
    store = build_store(
        out / "store", clean_pairs(iter(pairs), audit), subwords, recipe.data, audit
    )
    stored = time.process_time()
    lengths = [np.resize(side, 1_000_000) for side in (store.source_lengths, store.target_lengths)]
    begun = time.process_time()
    batch_order(lengths[0], lengths[1], recipe.training.batch_pieces, seed=1, epoch=1)
    ordered = time.process_time()
    sampled = replace(recipe, subwords=replace(recipe.subwords, sampling=0.1))
    return {
        "store": (stored - start) / len(pairs) * 1e6,
        "size": (out / "store" / "pairs.arrow").stat().st_size / len(store),
        "length": float(store.target_lengths.mean()) + 1,
        "order": ordered - begun,
        "batches": _pieces_a_second(placed_batches(store, subwords, recipe, 1, 0)),
        "sampled batches": _pieces_a_second(
            islice(placed_batches(store, subwords, sampled, 1, 0), 20)
        ),
    }


def _pieces_a_second(updates: Iterator[PlacedBatches]) -> float:
    start = time.process_time()
    pieces = sum(update.pieces for update in updates)
    return pieces / (time.process_time() - start)


def joined(pairs: list[Pair]) -> list[Pair]:
    """Each pair is several neighbours, one behind the other."""
    parts = [pairs[start : start + JOINED] for start in range(0, len(pairs) - JOINED + 1, JOINED)]
    return [
        Pair(
            " ".join(pair.source for pair in part),
            " ".join(pair.target for pair in part),
            part[0].where,
        )
        for part in parts
    ]


def parameters_of(config: ModelConfig, vocabulary: int) -> int:
    """The network's own count, from names and shapes without memory."""
    with torch.device("meta"):
        return sum(
            parameter.numel()
            for parameter in Seq2Seq(config, vocabulary, vocabulary, shared=True).parameters()
        )


def project(width: int, layers: int, vocabulary: int, batch: int) -> Projection:
    """A network on 8 GPUs, `batch` target pieces for each in an update."""
    config = ModelConfig(
        embedding_size=width, hidden_size=width, encoder_layers=layers, decoder_layers=layers
    )
    parameters, operations = (
        parameters_of(config, vocabulary),
        training_flops(config, vocabulary, 1, 1),
    )
    calls = 2 * layers + layers  # each encoder layer reads in both directions, one after the other
    parts = {
        "matrices": batch * operations / (gnmt_share() * RATE),
        "recurrence": LENGTH * calls * 3 * STEP,
        "exchange": 2 * (GPUS - 1) / GPUS * 4 * parameters / LINK,
        "optimizer": 9 * 4 * parameters / MEMORY,
    }
    speed = batch / sum(parts.values())
    return Projection(
        parameters, operations, parts, speed, PAIRS * LENGTH * EPOCHS / (GPUS * speed) / 3600
    )


def gnmt_share() -> float:
    """The share of a V100's rate of products that GNMT v2 reaches: six operations a weight and
    piece pair."""
    return GNMT_SPEED / 2 * 6 * GNMT_PRODUCTS / GNMT_RATE


def table(batches: tuple[int, ...] = (1_024, 16_384)) -> str:
    """The projection in Markdown."""
    rows = [
        (
            "| parameters | MFLOP a piece pair | pieces an update, a GPU | ms: matrices,"
            " recurrence, exchange, optimizer | pieces/s a GPU | hours | GPU hours |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for network in NETWORKS:
        for batch in batches:
            found = project(*network, batch)
            times = " + ".join(f"{1e3 * seconds:.1f}" for seconds in found.parts.values())
            rows.append(
                f"| {found.parameters / 1e6:.0f}M | {found.operations / 1e6:.0f} | {batch:,} |"
                f" {times} | {found.pieces_per_second:,.0f} | {found.hours:.1f} |"
                f" {GPUS * found.hours:.0f} |"
            )
    return "\n".join(rows)


def host(measures: Mapping[str, Mapping[str, Any]]) -> str:
    """What the processors would have to do, in Markdown."""
    value = {name: float(measure["value"]) for name, measure in measures.items()}
    made = value["store"] * PAIRS / 1e6 / 60
    ordered = 1e6 * LENGTH / value["order"] / GPUS
    return "\n".join(
        [
            (
                "- cleaning, cutting and storing, by the first process while the GPUs wait:"
                f" {made:.0f} minutes of one core"
            ),
            f"- the store on disk: {value['size'] * PAIRS / 1e9:.0f} GB",
            (
                f"- ordering, by each process for all of them: enough for {ordered:,.0f} pieces/s a"
                " GPU on one core"
            ),
            (
                f"- making batches, by each process for its own GPU: {value['batches']:,.0f}"
                " pieces/s on one core"
            ),
            (
                "- with sampled subwords, four processes a GPU:"
                f" {SAMPLERS * value['sampled batches']:,.0f} pieces/s on four cores"
            ),
        ]
    )


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    measures = json.loads((RESULTS / "projection.json").read_text(encoding="utf-8"))["measures"]
    print(table(), host(measures), sep="\n\n")


if __name__ == "__main__":
    main()
