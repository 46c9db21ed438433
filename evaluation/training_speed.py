"""Training throughput on one processor core: target pieces/s, and the share of the machine's matrix-product rate that it reaches.

python -m evaluation.training_speed CORPUS [--source en --target de] [--hidden 512 --embedding 512 --vocabulary 8000] [--batch 2048]

CORPUS is a prefix or anything else that `nmt train` reads. Updates are real ones: embedding to optimizer, dropout, clipping, averaging.
"""

import argparse
import json
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from evaluation.__main__ import provenance
from nmt.config import DataConfig, ModelConfig, Recipe, SubwordsConfig, TrainingConfig
from nmt.model.cells import GATES
from nmt.model.seq2seq import Seq2Seq
from nmt.training.average import WeightAverage
from nmt.training.feed import placed_batches
from nmt.training.folder import Materials, prepare
from nmt.training.loop import Learner, make_optimizer, train_updates
from nmt.training.precision import autocast, choose_precision
from nmt.training.state import TrainingState

WARM_UP = 5  # updates


def gemm_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """Floating-point operations a second of a square matrix product, the best of ten."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def training_flops(config: ModelConfig, vocabulary: int, source_pieces: int, target_pieces: int) -> float:
    """Operations of the matrix products of one update: two a weight and piece forward, four backward; attention scores left out."""
    gates, hidden, embedding = GATES[config.cell], config.hidden_size, config.embedding_size
    half = hidden // 2
    encoder = sum(2 * gates * half * (size + half) for size in [embedding] + [hidden] * (config.encoder_layers - 1))
    first = gates * hidden * (embedding + hidden * config.input_feeding + hidden)
    upper = (config.decoder_layers - 1) * gates * hidden * 3 * hidden
    decoder = first + upper + 2 * hidden * embedding + embedding * vocabulary
    return 6.0 * (source_pieces * (encoder + hidden * hidden) + target_pieces * decoder)


def measure(recipe: Recipe, updates: int) -> dict[str, Any]:
    """Times real updates in a run folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        *_, materials = prepare(recipe, Path(folder))
        assert isinstance(materials, Materials)
        recipe = materials.recipe
        precision = choose_precision(recipe.training.precision, torch.device("cpu"))
        torch.manual_seed(recipe.training.seed)
        model = Seq2Seq(recipe.model, materials.subwords.source.size, materials.subwords.target.size, materials.subwords.joint)
        average = WeightAverage(model, recipe.training.average_decay)
        batches = placed_batches(materials.store, materials.subwords, recipe, 1, 0)
        context = autocast(torch.device("cpu"), precision)
        learner = Learner(model, make_optimizer(model, recipe.training), average, TrainingState(), recipe.training, context)
        stream = train_updates(learner, batches, 10_000)
        for _ in islice(stream, WARM_UP):
            pass
        rates, flop_rates = [], []
        for _ in range(updates):
            start = time.perf_counter()
            update = next(stream)
            seconds = time.perf_counter() - start
            source_pieces = sum(int(batch.source_lengths_B.sum()) for batch in update.placed.batches)
            rates.append(update.pieces / seconds)
            flop_rates.append(training_flops(recipe.model, materials.subwords.target.size, source_pieces, update.pieces) / seconds)
        gemm = gemm_rate(torch.bfloat16 if precision == "bf16" else torch.float32)
        return {
            "target_pieces_per_second": round(statistics.median(rates)),
            "quartiles": [round(value) for value in statistics.quantiles(rates, n=4)[::2]],
            "precision": precision,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "gflops": round(statistics.median(flop_rates) / 1e9, 1),
            "gemm_gflops": round(gemm / 1e9, 1),
            "share_of_gemm_rate": round(statistics.median(flop_rates) / gemm, 3),
            "updates": updates,
            **provenance(),
        }


def run(out: Path) -> dict[str, Any]:
    """13.8M parameters on the bundled corpus, one thread; the noise is half the distance of the quartiles."""
    torch.set_num_threads(1)
    figures = measure(recipe_of("corpora/tatoeba-nld-eng", "nl", "en"), updates=30)
    (out / "training_speed.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    low, high = figures["quartiles"]
    speed = {"value": figures["target_pieces_per_second"], "noise": (high - low) / 2, "unit": "target pieces/s"}
    share = {"value": figures["share_of_gemm_rate"], "noise": 0.05, "unit": "of the rate of matrix products"}
    return {"speed": speed, "share": share}


def recipe_of(
    corpus: str,
    source: str,
    target: str,
    hidden: int = 512,
    embedding: int = 512,
    vocabulary: int = 8000,
    batch: int = 2048,
    precision: str = "auto",
) -> Recipe:
    """What is timed."""
    return Recipe(
        data=DataConfig(train=(corpus,), dev=corpus, source=source, target=target),
        subwords=SubwordsConfig(vocab_size=vocabulary),
        model=ModelConfig(hidden_size=hidden, embedding_size=embedding),
        training=TrainingConfig(batch_pieces=batch, precision=precision, epochs=1000),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", nargs="?", default="corpora/tatoeba-nld-eng")
    parser.add_argument("--source", default="nl")
    parser.add_argument("--target", default="en")
    for name, value in (("hidden", 512), ("embedding", 512), ("vocabulary", 8000), ("batch", 2048), ("updates", 30), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = recipe_of(
        arguments.corpus, arguments.source, arguments.target, arguments.hidden, arguments.embedding, arguments.vocabulary, arguments.batch,
        arguments.precision,
    )  # fmt: skip
    figures = measure(recipe, arguments.updates)
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
