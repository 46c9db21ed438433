"""The largest batch that memory suffices for: tried on a GPU; on a CPU, where running out ends the
process, extrapolated.

All of it happens in a process of its own: its peak is that of the updates alone, and it leaves
nothing behind. The answer need not be perfect, since a batch that memory does not suffice for is
computed in parts.
"""

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from nmt.data.batches import Batch, collate
from nmt.data.store import Store
from nmt.errors import NmtError
from nmt.model.translation import Seq2Seq
from nmt.recipe import Recipe
from nmt.text.subwords import SubwordPair
from nmt.training.gradient import add_gradients
from nmt.training.loop import make_optimizer
from nmt.training.optimizer import make_average
from nmt.training.precision import autocast, choose_precision
from nmt.translation.translator import choose_device
from nmt.translation.workers import signals_held
from nmt.vocabulary import EOS
from nmt.worker_processes import child

SMALLEST, LARGEST = 1024, 65_536  # padded pieces a side; what lies between is a power of two, too
ROWS = 1_000_000  # at most so many pairs are looked at for their median
UPDATES = 30  # at least in an epoch: learning needs steps more than exact gradients
MEASURED = 2048, 4096  # padded pieces a side, from which a CPU's memory is extrapolated
GPU_SHARE, CPU_SHARE = (
    0.9,
    0.8,
)  # of the free memory; validation and the rest of the machine have what is left


class Trial(NamedTuple):
    """What batches are tried with."""

    recipe: Recipe
    sizes: tuple[int, int]  # source and target pieces in the vocabulary
    joint: bool
    widths: tuple[int, ...]  # pieces a side of the pairs in a batch, EOS included
    limit: int  # largest batch, padded pieces a side


def fit_batch(recipe: Recipe, subwords: SubwordPair, store: Store) -> tuple[int, str]:
    """(padded pieces a side, a line about them): what one process can compute the gradient of at
    once.

    Raises:
        NmtError: memory does not suffice for the longest pair, or nothing tells how much there is.
    """
    limit = corpus_limit(store, recipe.training.accumulate)
    trial = Trial(
        recipe,
        (subwords.source.size, subwords.target.size),
        subwords.joint,
        tried_widths(store),
        limit,
    )
    pieces = _in_a_process(trial) if limit > SMALLEST else SMALLEST
    if pieces == limit < LARGEST:
        return (
            pieces,
            (
                f"batches of {pieces:,} pieces: with larger ones an epoch would have fewer than"
                f" {UPDATES} updates"
            ),
        )
    return pieces, f"memory suffices for batches of {pieces:,} pieces"


def tried_widths(store: Store) -> tuple[int, int]:
    """(median, largest) pieces of the longer side, EOS included; the median of a large corpus is
    that of an even sample."""
    sampled = slice(None, None, 1 + (len(store) - 1) // ROWS)
    longer = np.maximum(store.source_lengths[sampled], store.target_lengths[sampled])
    return (
        int(np.median(longer)) + 1,
        int(max(store.source_lengths.max(), store.target_lengths.max())) + 1,
    )


def corpus_limit(store: Store, accumulate: int) -> int:
    """The largest batch, a power of two times 1,024, that leaves enough updates to an epoch, if
    the smallest does."""
    pieces = len(store) + max(int(store.source_lengths.sum()), int(store.target_lengths.sum()))
    return doubled(lambda size: size * UPDATES * accumulate <= pieces, LARGEST)


def doubled(fits: Callable[[int], bool], limit: int) -> int:
    """The smallest batch, doubled while the next one fits."""
    pieces = SMALLEST
    while 2 * pieces <= limit and fits(2 * pieces):
        pieces *= 2
    return pieces


def largest_batch(trial: Trial) -> int:
    """What `fit_batch` asks, answered in this process."""
    config = trial.recipe.training
    device = choose_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    if device.type == "cuda":
        free = int(torch.cuda.mem_get_info()[0])
        return fit_gpu(Network(trial, device), trial.limit, free)
    free, before = available_memory(), peak_memory()
    network = Network(trial, device)
    growths = []
    for pieces in MEASURED:
        if not network.computes(pieces):
            return SMALLEST
        growths.append(peak_memory() - before)
    return doubled(lambda pieces: extrapolated(growths, pieces) <= CPU_SHARE * free, trial.limit)


class Network:
    """A network in training, on made-up pairs."""

    def __init__(self, trial: Trial, device: torch.device) -> None:
        self.config, self.widths, self.device = trial.recipe.training, trial.widths, device
        self.model = Seq2Seq(trial.recipe.model, *trial.sizes, trial.joint).to(device)
        self.optimizer = make_optimizer(self.model, self.config)
        self.average = make_average(self.model, self.config)
        self.autocast = autocast(device, choose_precision(self.config.precision, device))

    def computes(self, pieces: int) -> bool:
        """Whether updates on so many padded pieces a side, of pairs of each width, need no parts.

        Raises:
            NmtError: memory does not suffice for a single pair.
        """
        for width in self.widths:
            batch = made_up(pieces, width)
            gradient = add_gradients(
                self.model, (batch,), batch.pieces, self.config, self.autocast, 1, part_pieces=0
            )
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if gradient.part_pieces:
                return False
        return True


def fit_gpu(network: Network, limit: int, free: int) -> int:
    """Doubles the batch until the GPU's memory gives out or most of the `free` bytes are taken."""

    def fits(pieces: int) -> bool:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return network.computes(pieces) and torch.cuda.max_memory_reserved() <= GPU_SHARE * free

    return doubled(fits, limit)


def extrapolated(growths: list[int], pieces: int) -> float:
    """Bytes for a batch of so many padded pieces, by the line through the `growths` of the two
    measured sizes."""
    slope = max(0, growths[1] - growths[0]) / (MEASURED[1] - MEASURED[0])
    return growths[0] + slope * (pieces - MEASURED[0])


def made_up(pieces: int, width: int) -> Batch:
    """A batch of equal pairs, none of them padded, of at most so many pieces a side, or of one
    pair."""
    row = np.full(width - 1, EOS)
    rows = [row] * max(1, pieces // width)
    return collate(rows, rows)


def peak_memory(status: Path = Path("/proc/self/status")) -> int:
    """Bytes; of this program alone, unlike getrusage's, which begins with the size of the
    process that started it."""
    return _entry(status, "VmHWM:")


def available_memory(
    machine: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup")
) -> int:
    """Bytes that this process may still take: of the machine, or of its control group (container,
    Slurm job) if that has less.

    Raises:
        NmtError: the system does not tell.
    """
    available = _entry(machine, "MemAvailable:")
    limit = group / "memory.max"
    if not limit.exists() or limit.read_text().strip() == "max":
        return available
    # Files that have been read are counted, though they give way.
    used = int((group / "memory.current").read_text()) - _entry(
        group / "memory.stat", "inactive_file"
    )
    return min(available, max(0, int(limit.read_text()) - used))


def _entry(path: Path, key: str) -> int:
    """The bytes of a line such as `VmHWM:  1748 kB`."""
    try:
        words = next(
            line.split()
            for line in path.read_text().splitlines()
            if line.startswith((f"{key} ", f"{key}\t"))
        )
        return int(words[1]) * (1024 if words[2:] == ["kB"] else 1)
    except (OSError, StopIteration, ValueError, IndexError):
        raise NmtError(
            f"cannot tell how much memory there is (no {key.strip(':')} in {path}); give a number,"
            " as in --batch 4096"
        ) from None


def _in_a_process(trial: Trial) -> int:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = child(_answer, theirs, trial)
    with signals_held(signal.SIGINT):
        process.start()
    theirs.close()
    try:
        answer: int | NmtError = ours.recv()
    except EOFError:
        process.join()
        reason = f"the process that tried it ended with exit status {process.exitcode}"
        raise NmtError(
            f"cannot fit the batch to the memory ({reason}); give a number, as in --batch 4096"
        ) from None
    finally:
        process.kill()
        process.join()
    if isinstance(answer, NmtError):
        raise answer
    return answer


def _answer(connection: Connection, trial: Trial) -> None:
    try:
        connection.send(largest_batch(trial))
    except NmtError as error:
        connection.send(error)
    except torch.OutOfMemoryError:
        connection.send(
            NmtError(
                "memory does not suffice for the network; lower model.hidden_size, or use a machine"
                " with more memory"
            )
        )
