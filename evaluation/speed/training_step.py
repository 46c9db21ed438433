"""The training step on one core: target pieces/s, the share of the core's rate of matrix products,
and where the time goes.

python -m evaluation speed.training_step [CORPUS] [--source en --target de] [--hidden 512
--embedding 512] [--batch 2048] [--save]

Updates are real ones: embedding to optimizer, dropout, clipping, averaging.
Speeds are of processor time.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from nmt.model.cells import GATES
from nmt.model.translation import Seq2Seq
from nmt.recipe import DataConfig, ModelConfig, Recipe, SubwordsConfig, TrainingConfig
from nmt.training.loop import Learner, Update, make_optimizer, train_updates
from nmt.training.optimizer import make_average
from nmt.training.plans import placed_batches
from nmt.training.precision import autocast, choose_precision
from nmt.training.prepare import Materials, prepare
from nmt.training.state import TrainingState

WARM_UP = 5  # updates
PROFILED = 20  # updates

# What the names of a part's operators begin with. The recurrence's products of all positions are
# among the matrix products where it is
# compiled, and among its steps where torch makes it. The output layer's loss with its softmax
# counts as products: its gradient is made
# without autograd, and where the softmax is compiled it is no operator of its own.
PARTS = {
    "steps of the recurrence": (
        "_Recurrence",
        "aten::mkldnn_rnn",
        "aten::lstm",
        "aten::gru",
        "aten::rnn_tanh",
        "autograd::engine::evaluate_function: MkldnnRnn",
    ),
    "attention": (
        "aten::bmm",
        "aten::baddbmm",
        "aten::masked_fill",
        "aten::_softmax_backward_data",
    ),
    "matrix products": ("aten::mm", "aten::addmm", "aten::linear", "_OutputLoss", "aten::_softmax"),
    "optimizer": ("aten::_fused_adamw_", "Optimizer."),
    "averaging": ("aten::_foreach_lerp_", "aten::lerp_"),
    "clipping": (
        "aten::_foreach_norm",
        "aten::linalg_vector_norm",
        "aten::_foreach_mul_",
        "aten::mul_",
    ),
    "dropout and other products of elements": (
        "_Dropout",
        "aten::random_",
        "aten::ge",
        "aten::mul",
    ),
    "copies and conversions": (
        "aten::copy_",
        "aten::to",
        "aten::_to_copy",
        "aten::cat",
        "aten::clone",
        "aten::index_select",
    ),
}
REST = "everything else"


class Step(NamedTuple):
    """A training that goes on, one update at each `next(updates)`."""

    recipe: Recipe
    model: Seq2Seq
    precision: str
    updates: Iterator[Update]


def gemm_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """Floating-point operations a second of processor time of a square matrix product, the best
    of ten."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    best = float("inf")
    for _ in range(10):
        start = time.process_time()
        a @ b
        best = min(best, time.process_time() - start)
    return 2 * size**3 / best


def training_flops(
    config: ModelConfig, vocabulary: int, source_pieces: int, target_pieces: int
) -> float:
    """Operations of the matrix products of one update: two a weight and piece forward, four
    backward; attention scores left out."""
    gates, hidden, embedding = GATES[config.cell], config.hidden_size, config.embedding_size
    half = hidden // 2
    encoder = sum(
        2 * gates * half * (size + half)
        for size in [embedding] + [hidden] * (config.encoder_layers - 1)
    )
    first = gates * hidden * (embedding + hidden * config.input_feeding + hidden)
    upper = (config.decoder_layers - 1) * gates * hidden * 3 * hidden
    decoder = first + upper + 2 * hidden * embedding + embedding * vocabulary
    return 6.0 * (source_pieces * (encoder + hidden * hidden) + target_pieces * decoder)


def begin(recipe: Recipe, folder: Path) -> Step:
    """A training in a run folder of its own, warmed up."""
    *_, materials = prepare(recipe, folder)
    assert isinstance(materials, Materials)
    recipe = materials.recipe
    precision = choose_precision(recipe.training.precision, torch.device("cpu"))
    torch.manual_seed(recipe.training.seed)
    model = Seq2Seq(
        recipe.model,
        materials.subwords.source.size,
        materials.subwords.target.size,
        materials.subwords.joint,
    )
    average = make_average(model, recipe.training)
    batches = placed_batches(materials.store, materials.subwords, recipe, 1, 0)
    numbers = autocast(torch.device("cpu"), precision)
    learner = Learner(
        model,
        make_optimizer(model, recipe.training),
        average,
        TrainingState(),
        recipe.training,
        numbers,
    )
    updates = train_updates(learner, batches, 10_000)
    for _ in islice(updates, WARM_UP):
        pass
    return Step(recipe, model, precision, updates)


def measure(recipe: Recipe, updates: int) -> dict[str, Any]:
    """Times real updates, then profiles some more."""
    with tempfile.TemporaryDirectory() as folder:
        step = begin(recipe, Path(folder))
        rates, flop_rates = [], []
        for _ in range(updates):
            start = time.process_time()
            update = next(step.updates)
            seconds = time.process_time() - start
            source_pieces = sum(
                int(batch.source_lengths_B.sum()) for batch in update.placed.batches
            )
            rates.append(update.pieces / seconds)
            flop_rates.append(
                training_flops(
                    step.recipe.model,
                    step.model.output.weight.shape[0],
                    source_pieces,
                    update.pieces,
                )
                / seconds
            )
        gemm = gemm_rate(torch.bfloat16 if step.precision == "bf16" else torch.float32)
        shares = shares_of(profiled(lambda: list(islice(step.updates, PROFILED))))
    return {
        "target_pieces_per_second": round(statistics.median(rates)),
        "quartiles": [round(value) for value in statistics.quantiles(rates, n=4)[::2]],
        "precision": step.precision,
        "parameters": sum(parameter.numel() for parameter in step.model.parameters()),
        "gflops": round(statistics.median(flop_rates) / 1e9, 1),
        "gemm_gflops": round(gemm / 1e9, 1),
        "share_of_gemm_rate": round(statistics.median(flop_rates) / gemm, 3),
        "updates": updates,
        "shares_of_time": {part: round(share, 3) for part, share in shares.items()},
    }


def profiled(work: Callable[[], object]) -> list[tuple[str, float]]:
    """(operator, its own time without that of the operators it calls) of everything that `work`
    does."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    return [(event.key, event.self_cpu_time_total) for event in profiler.key_averages()]


def shares_of(times: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The share of each part of the step in the time of these operators, the greatest first."""
    sums = dict.fromkeys([*PARTS, REST], 0.0)
    for operator, seconds in times:
        sums[part_of(operator)] += seconds
    total = sum(sums.values())
    return {part: sums[part] / total for part in sorted(sums, key=lambda part: -sums[part])}


def part_of(operator: str) -> str:
    """The part of the step that an operator of the profile belongs to: the longest name that its
    own begins with decides."""
    fitting = [
        (len(name), part)
        for part, names in PARTS.items()
        for name in names
        if operator.startswith(name)
    ]
    return max(fitting, default=(0, REST))[1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "corpus",
        metavar="CORPUS",
        nargs="?",
        default="corpora/tatoeba-nld-eng",
        help="as `nmt train` reads it",
    )
    parser.add_argument("--source", default="nl")
    parser.add_argument("--target", default="en")
    for name, value in (
        ("hidden", 512),
        ("embedding", 512),
        ("vocabulary", 8000),
        ("batch", 2048),
        ("updates", 30),
        ("threads", 1),
    ):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default: {value}")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """By default 13.8M parameters on the bundled corpus, one thread; the noise is half the
    distance of the quartiles."""
    torch.set_num_threads(arguments.threads)
    figures = measure(recipe_of(arguments), arguments.updates)
    low, high = figures["quartiles"]
    speed = {
        "value": figures["target_pieces_per_second"],
        "noise": (high - low) / 2,
        "unit": "target pieces/s of processor time",
    }
    share = {
        "value": figures["share_of_gemm_rate"],
        "noise": 0.05,
        "unit": "of the rate of matrix products",
    }
    parts = {
        part: {"value": value, "noise": 0.02, "unit": "of the time"}
        for part, value in figures["shares_of_time"].items()
    }
    return {"measures": {"speed": speed, "share": share, **parts}, **figures}


def recipe_of(asked: argparse.Namespace) -> Recipe:
    """What is timed."""
    return Recipe(
        data=DataConfig(
            train=(asked.corpus,), dev=asked.corpus, source=asked.source, target=asked.target
        ),
        subwords=SubwordsConfig(vocab_size=asked.vocabulary),
        model=ModelConfig(hidden_size=asked.hidden, embedding_size=asked.embedding),
        training=TrainingConfig(batch_pieces=asked.batch, precision=asked.precision, epochs=1000),
    )
