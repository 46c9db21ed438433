"""Batches made ahead are the ones made on the spot, and the processes behind them neither
outlive training nor end before it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nmt.errors import NmtError
from nmt.recipe import SubwordsConfig
from nmt.text.subwords import SubwordPair, train_subwords
from nmt.training import prefetch as module
from nmt.training.distributed import ALONE
from nmt.training.plans import placed_batches
from nmt.training.prefetch import AHEAD, ahead, fed_ahead
from nmt.training.prepare import prepare
from nmt.training.samplers import HELD, Samplers

ROOT = Path(__file__).parent.parent
TEXT = ["de hond slaapt op de mat", "de kat zit in de boom"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def subwords() -> SubwordPair:
    config = SubwordsConfig(variety=0.0, kind="bpe")
    return SubwordPair(
        train_subwords(TEXT, config, 300, seed=1),
        train_subwords([line.upper() for line in TEXT], config, 300, seed=1),
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_elements_come_in_their_order(threads: int) -> None:
    def make(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(ahead(iter(range(20)), make, threads)) == [number * number for number in range(20)]
    assert list(ahead(iter(()), make, threads)) == []


def test_no_more_is_made_than_a_few_updates() -> None:
    drawn = []

    def endless() -> Iterator[int]:
        while True:
            drawn.append(len(drawn))
            yield drawn[-1]

    made = ahead(endless(), lambda number: number, 1)
    for given in range(1, 10):
        next(made)
        assert len(drawn) <= given + AHEAD
    made.close()


@pytest.mark.parametrize("failing", ["plan", "make"])
def test_an_error_comes_in_its_place(failing: str) -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)
        if failing == "plan":
            raise NmtError("train.nl:4: wrong")
        yield 3

    def make(number: int) -> int:
        if number == 3:
            raise NmtError("train.nl:4: wrong")
        return number

    made = ahead(numbers(), make, 1)
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(NmtError, match=r"^train.nl:4: wrong$"):
        next(made)


@pytest.mark.parametrize(("sampling", "samplers"), [(0.0, 1), (0.3, 1), (0.3, 2)])
def test_batches_made_ahead_are_the_same(tmp_path, tiny_recipe, monkeypatch, sampling, samplers):
    monkeypatch.setattr(module, "GPU_SAMPLERS", samplers)
    recipe = replace(tiny_recipe, subwords=replace(tiny_recipe.subwords, sampling=sampling))
    (tmp_path / "run").mkdir()
    *_, materials = prepare(recipe, tmp_path / "run")
    device = torch.device("cuda" if samplers > 1 else "cpu")  # only asked for its type
    expected = list(placed_batches(materials.store, materials.subwords, recipe, 1, 3))
    with fed_ahead(materials.store, materials.subwords, recipe, (1, 3), ALONE, device) as feed:
        assert len(multiprocessing.active_children()) == (samplers if sampling else 0)
        for ours, theirs in zip(feed, expected, strict=True):
            assert ours[:4] == theirs[:4]
            assert ours.rows.tolist() == theirs.rows.tolist()
            assert all(
                torch.equal(a, b) for a, b in zip(ours.batches[0], theirs.batches[0], strict=True)
            )
    assert not multiprocessing.active_children()


def test_processes_draw_the_same_segmentations_as_this_one(subwords: SubwordPair) -> None:
    for pair in (subwords, SubwordPair(subwords.source, subwords.source)):
        with Samplers(pair, 2) as samplers:
            for seed in range(4):
                assert samplers.sample(TEXT, TEXT[::-1], 0.5, (seed, 7)) == pair.sample(
                    TEXT, TEXT[::-1], 0.5, (seed, 7)
                )


def test_an_error_in_a_process_is_the_same_error_here(subwords: SubwordPair) -> None:
    with Samplers(subwords, 1) as samplers:
        with pytest.raises(
            NmtError,
            match=r"^line 1 is not valid Unicode, got '\\udcff'; convert the text to UTF-8",
        ):
            samplers.sample(["\udcff"], ["a"], 0.5, (1, 1))
        assert samplers.sample(TEXT, TEXT, 0.5, (1, 1)) == subwords.sample(TEXT, TEXT, 0.5, (1, 1))


def test_a_dead_process_is_reported(subwords: SubwordPair) -> None:
    with Samplers(subwords, 1) as samplers:
        samplers.samplers[0].process.kill()
        with pytest.raises(
            NmtError,
            match=(
                r"^the process that samples subwords died \(exit status -9\); .* run the same"
                r" command again$"
            ),
        ):
            samplers.sample(TEXT, TEXT, 0.5, (1, 1))


def test_signals_to_all_processes_do_not_end_a_sampler(subwords: SubwordPair) -> None:
    with Samplers(subwords, 1) as samplers:
        for number in HELD:
            os.kill(samplers.samplers[0].process.pid or 0, number)
        assert samplers.sample(TEXT, TEXT, 0.5, (1, 1)) == subwords.sample(TEXT, TEXT, 0.5, (1, 1))
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(HELD)


UNCLOSED = """
import sys
from pathlib import Path
from nmt.text.subwords import SubwordPair
from nmt.training.samplers import Samplers

if __name__ == "__main__":
    samplers = Samplers(SubwordPair.load(Path(sys.argv[1])), 1)
    samplers.sample(["de kat"], ["de kat"], 0.5, (1, 1))
    print(samplers.samplers[0].process.pid, *(name for name in ("torch", "numpy") if name in sys.modules), flush=True)
    if sys.argv[2] == "wait":
        sys.stdin.read()
"""  # noqa: E501


@pytest.mark.parametrize("end", ["return", "wait"])
def test_no_sampler_outlives_training(subwords: SubwordPair, tmp_path: Path, end: str) -> None:
    subwords.save(tmp_path)
    (tmp_path / "unclosed.py").write_text(UNCLOSED)
    command = [sys.executable, str(tmp_path / "unclosed.py"), str(tmp_path), end]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout
        pid = int(process.stdout.readline())  # and nothing heavy was loaded
        if end == "wait":
            process.kill()
        assert process.wait(30) == (-signal.SIGKILL if end == "wait" else 0)
        deadline = time.monotonic() + 30
        while _is_alive(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
