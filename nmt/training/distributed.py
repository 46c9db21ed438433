"""The processes that train one model together, as `torchrun` starts them: each takes its share of
every batch.

A batch belongs to all of them, so neither the order of the data nor the size of an update depends
on how many they are: a run may go on with more or fewer. Gradients are summed once an update, after
the backward pass: a recurrent network is small beside its computation, and a process that has to
make its share in several parts keeps the others waiting, not guessing.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from nmt.errors import NmtError

PATIENCE = timedelta(
    hours=12
)  # for the others: the first process validates and writes while they wait


class Processes(NamedTuple):
    """This process among all; the plain value is one that trains alone."""

    rank: int = 0  # from 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """The first process reports, validates and writes."""
        return self.rank == 0

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replaces tensors by their sums over the processes, in place: the same to the bit in each
        of them.

        All sums are under way at once; copying gradients of 51 MB into a new buffer first took a
        third of the time.
        """
        if self.size > 1:
            with _together():
                for work in [distributed.all_reduce(tensor, async_op=True) for tensor in tensors]:
                    work.wait()

    def total(self, number: int, device: torch.device) -> int:
        """The sum of a whole number over the processes."""
        if self.size == 1:
            return number
        sum_ = torch.tensor(number, device=device)
        with _together():
            distributed.all_reduce(sum_)
        return int(sum_)

    def share(self, value: Any, device: torch.device) -> Any:
        """What the first process has, as JSON allows it; the others' values do not count."""
        if self.size == 1:
            return value
        content = json.dumps(value).encode() if self.is_first else b""
        length = self.total(len(content), device)
        buffer = torch.zeros(length, dtype=torch.uint8, device=device)
        if self.is_first:
            buffer.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        with _together():
            distributed.broadcast(buffer, src=0)
        return json.loads(bytes(buffer.tolist()))


ALONE = Processes()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The processes that the environment of `torchrun` names; this one alone without it.

    Raises:
        NmtError: some of torchrun's variables are missing or no numbers, or the others cannot be
            reached.
    """
    names = ("RANK", "WORLD_SIZE")
    found = [os.environ.get(name) for name in names]
    if found == [None, None] or found[1] == "1":
        yield ALONE
        return
    if not all(text is not None and text.isdigit() for text in found):
        raise NmtError(
            f"RANK and WORLD_SIZE must be numbers, got {found[0]!r} and {found[1]!r}; start with"
            " torchrun, or unset both"
        )
    try:
        store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
        # torchrun keeps its store over restarts, with the addresses of processes that are gone.
        attempt = PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        backend = "nccl" if device.type == "cuda" else "gloo"
        if device.type == "cuda":
            torch.cuda.set_device(
                int(os.environ.get("LOCAL_RANK", rank))
            )  # each process has a GPU of its own
        distributed.init_process_group(
            backend, store=attempt, rank=rank, world_size=size, timeout=PATIENCE
        )
    except (ValueError, RuntimeError) as error:
        raise NmtError(
            f"cannot join the other processes ({str(error).splitlines()[0]}); start training with"
            " torchrun"
        ) from None
    try:
        yield Processes(rank, size)
    finally:
        distributed.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
    """Says in one line that another process has gone."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise NmtError(
            f"another process has gone ({reason}); torchrun --max-restarts N or the same command"
            " starts all again"
        ) from None
