"""`python -m evaluation speed.kernels`: its arithmetic on made-up clocks and rates, and the loop
that finds the peak."""

import argparse
import shutil
from pathlib import Path

import pytest
import torch
from native_networks import needs_library

from evaluation.compare import PEAK, refuse_misfits
from evaluation.speed import kernels
from nmt import native
from nmt.engines.compiled.weights import PackedMatrix
from nmt.errors import NmtError

needs_compiler = pytest.mark.skipif(
    shutil.which("c++") is None or "avx2" not in Path("/proc/cpuinfo").read_text(),
    reason="no C++ compiler, or no AVX2 instructions",
)


def test_a_rate_leaves_the_first_call_out_and_lasts_as_long_as_asked() -> None:
    calls: list[float] = []
    seconds = iter([10.0, 10.5, 11.0, 12.5])  # of the clock: at the start, and after each call

    def work() -> float:
        calls.append(0.0)
        return 100.0

    assert kernels.rate(work, seconds=2.0, clock=lambda: next(seconds)) == 3 * 100 / 2.5
    assert len(calls) == 4


def made_up_rates(speed: float = 1.0) -> dict[tuple[str, str], list[float]]:
    """Three rounds of a set whose peak doubles and halves, as a clock may; the products keep a
    share of it that grows with the rows."""
    peaks = [100e9, 200e9, 50e9]
    rates = {("avx2", "peak"): peaks}
    for shape in kernels.SHAPES:
        for number, rows in enumerate(kernels.ROWS):
            rates["avx2", f"{shape}, {rows} rows"] = [
                speed * peak * 2**-10 * 2**number for peak in peaks
            ]
    return rates


def test_shares_are_of_the_same_round_and_their_mean_is_geometric() -> None:
    found = kernels.measures_of(made_up_rates())
    refuse_misfits("speed.kernels", found)
    assert found["avx2: peak"] == {"value": 100, "noise": 75, "unit": "GMAC/s", "share": 1}
    first = found[f"avx2: {next(iter(kernels.SHAPES))}, {kernels.ROWS[-1]} rows"]
    assert (first["value"], first["share"]) == (50, 0.5)
    mean = 2 ** -((1 + len(kernels.ROWS)) / 2)  # of 1/2, 1/4, ..., 1/1024
    for shape in kernels.SHAPES:
        assert found[f"avx2: {shape}, all rows"] == {
            "value": round(mean, 3),
            "noise": 0,
            "unit": PEAK,
        }


def test_the_table_has_a_line_for_each_shape_of_each_set() -> None:
    found = kernels.measures_of(
        {
            **made_up_rates(),
            **{("amx", what): rates for (_, what), rates in made_up_rates().items()},
        }
    )
    lines = list(kernels.tables(found))
    assert len(lines) == 2 * (2 + len(kernels.SHAPES))
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].endswith("| 25 (25%) | 50 (50%) |")


@needs_library
def test_every_product_is_counted_and_made() -> None:
    matrix, inputs_NI = PackedMatrix.of(torch.eye(64)), torch.ones(3, 64)
    assert kernels.product_work(matrix, inputs_NI)() == 3 * 64 * 64
    assert len(list(kernels.product_works())) == len(kernels.SHAPES) * len(kernels.ROWS)


@needs_compiler
def test_a_round_of_the_register_loop_is_six_instructions_of_sixteen_products(
    tmp_path: Path,
) -> None:
    assert kernels.peak_work("avx2", tmp_path)() == 10_000 * 6 * 16


def test_a_compiler_that_cannot_make_the_loop_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(NmtError, match="no-such-compiler: cannot start the C"):
        kernels.peak_work("avx2", tmp_path)
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(NmtError, match="false cannot compile the peak of avx2"):
        kernels.peak_work("avx2", tmp_path)


def test_without_the_engine_there_is_nothing_to_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", lambda: "it was not built")
    with pytest.raises(NmtError, match="there is no compiled engine to measure: it was not built"):
        kernels.run(tmp_path, argparse.Namespace(rounds=1))
    with pytest.raises(NmtError, match="--rounds must be at least 1, got 0"):
        kernels.run(tmp_path, argparse.Namespace(rounds=0))
