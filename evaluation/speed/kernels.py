"""The compiled engine's 8-bit products alone, for each instruction set that this processor has:
GMAC/s, and the share of the set's peak.

taskset -c 1 python -m evaluation speed.kernels [--rounds 9] [--save]

Shapes are those of an upper decoder layer's gates and of the output layer, rows those of a batch;
an input vector is quantised and a bias added, as in translation. The peak is measured: a loop of
the set's instructions for such products that touches registers alone (peak.cpp, compiled when this
runs). So turbo, throttling and a virtual machine's share of the core are in both figures. Times are
the thread's own.

Results are kept for each processor. Judged are, for each set and shape, the shares of the peak in
the same round: their geometric mean over all numbers of rows, and of that the median of the rounds.
One that fell by more than 25 % of the committed result of the same processor is named, and the
status is 1.
"""

import argparse
import ctypes
import os
import shlex
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from evaluation.compare import PEAK
from nmt import native
from nmt.engines.compiled.weights import PackedMatrix
from nmt.errors import NmtError

# four runs on two cores with 15 busy processes differed by 12 to 21 %, single products by up to 44
# %
SLOWDOWN = 0.25
ROUNDS = 9
SECONDS = 0.004  # of a round's products
SHAPES = {  # inputs, columns
    "gates d=256": (3 * 256, 4 * 256),
    "gates d=512": (3 * 512, 4 * 512),
    "output d=256, 4,000 pieces": (256, 4000),
    "output d=512, 8,000 pieces": (512, 8000),
}
ROWS = (1, 2, 3, 4, 6, 8, 16, 32, 64, 128)
Work = Callable[
    [], float
]  # does some products and returns how many: multiplications of two numbers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default: {ROUNDS}")


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Raises: NmtError where there is no compiled engine, or no compiler for the peak."""
    if arguments.rounds < 1:
        raise NmtError(f"--rounds must be at least 1, got {arguments.rounds}")
    library = native.library()
    if isinstance(library, str):
        raise NmtError(f"there is no compiled engine to measure: {library}")
    torch.set_num_threads(1)
    names = native.sets(library)
    peaks = {name: peak_work(name, out) for name in names}
    products = {name: list(product_works()) for name in names}
    rates: dict[tuple[str, str], list[float]] = {}
    for _ in range(arguments.rounds):
        for name in names:
            library.nmt_use_set(native.SETS.index(name))
            for what, work in (("peak", peaks[name]), *products[name]):
                rates.setdefault((name, what), []).append(rate(work))
    found = measures_of(rates)
    print(*tables(found), sep="\n", end="\n\n")
    return {"measures": found}


def product_works() -> Iterator[tuple[str, Work]]:
    """(what, the products of these rows and this matrix)"""
    torch.manual_seed(1)
    for shape, (inputs, columns) in SHAPES.items():
        matrix = PackedMatrix.of(torch.randn(columns, inputs), torch.randn(columns))
        for rows in ROWS:
            yield f"{shape}, {rows} rows", product_work(matrix, torch.randn(rows, inputs))


def product_work(matrix: PackedMatrix, inputs_NI: torch.Tensor) -> Work:
    outputs_NO = torch.empty(len(inputs_NI), matrix.columns)
    multiply, count = native.functions().nmt_linear, float(inputs_NI.numel() * matrix.columns)
    arguments = matrix.arrays, native.address(inputs_NI), len(inputs_NI), native.address(outputs_NO)

    def work(kept: object = (inputs_NI, outputs_NO)) -> float:
        multiply(*arguments)
        return count

    return work


def peak_work(name: str, folder: Path) -> Work:
    """Some rounds of the register loop of a set.

    Raises:
        NmtError: no compiler, or one that does not know the set.
    """
    library = folder / f"peak-{name}.so"
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    command = [
        *compiler,
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-shared",
        f"-DSET={name.upper()}",
        str(Path(__file__).with_name("peak.cpp")),
    ]
    try:
        done = subprocess.run(
            [*command, "-o", str(library)], capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise NmtError(
            f"{compiler[0]}: cannot start the C++ compiler that the peak needs ({error.strerror});"
            " name one in CXX"
        ) from None
    if done.returncode:
        raise NmtError(
            f"{compiler[0]} cannot compile the peak of {name} ({done.stderr.strip()[:300]}); use a"
            " newer one"
        )
    peak = ctypes.CDLL(str(library)).nmt_peak
    peak.argtypes, peak.restype = (ctypes.c_int64,), ctypes.c_int64
    rounds = 10_000
    return lambda: float(peak(rounds)) * rounds


def rate(
    work: Work, seconds: float = SECONDS, clock: Callable[[], float] = time.thread_time
) -> float:
    """Products a second of the thread's own time, over at least so many seconds after one call
    to warm up."""
    work()
    done, start, passed = 0.0, clock(), 0.0
    while passed < seconds:
        done += work()
        passed = clock() - start
    return done / passed


def measures_of(rates: dict[tuple[str, str], list[float]]) -> dict[str, Any]:
    """GMAC/s of each product, the median of the rounds; then for each shape what is judged, the
    share of the peak over all numbers of rows.

    `share` is the median of the shares of the peak in the same round; noises are half the range.
    """
    found: dict[str, Any] = {}
    shares: dict[str, list[list[float]]] = {}
    for (name, what), each in rates.items():
        share = [rate / peak for rate, peak in zip(each, rates[name, "peak"], strict=True)]
        found[f"{name}: {what}"] = {
            **spread([rate / 1e9 for rate in each], "GMAC/s", 2),
            "share": round(statistics.median(share), 3),
        }
        if what != "peak":
            shares.setdefault(f"{name}: {what.rpartition(', ')[0]}, all rows", []).append(share)
    for shape, each_rows in shares.items():
        found[shape] = spread(
            [statistics.geometric_mean(round_) for round_ in zip(*each_rows, strict=True)], PEAK, 3
        )
    return found


def spread(values: list[float], unit: str, digits: int) -> dict[str, Any]:
    return {
        "value": round(statistics.median(values), digits),
        "noise": round((max(values) - min(values)) / 2, digits),
        "unit": unit,
    }


def tables(measures: dict[str, Any]) -> Iterator[str]:
    """A table in Markdown for each set: GMAC/s, and in brackets the share of the peak."""
    for name in dict.fromkeys(key.partition(": ")[0] for key in measures):
        yield (
            f"| {name}, peak {measures[f'{name}: peak']['value']:.0f} GMAC/s | "
            + " | ".join(f"{rows}" for rows in ROWS)
            + " rows |"
        )
        yield "|---" * (1 + len(ROWS)) + "|"
        for shape in SHAPES:
            cells = (measures[f"{name}: {shape}, {rows} rows"] for rows in ROWS)
            yield (
                f"| {shape} | "
                + " | ".join(f"{cell['value']:.0f} ({cell['share']:.0%})" for cell in cells)
                + " |"
            )
