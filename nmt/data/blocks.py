"""An epoch of a large corpus in blocks, so that its order never takes more memory than that of a block."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nmt.data.batches import Integers

BLOCK = 4_000_000  # pairs at most; sorting them takes some 250 MB
RUN = 10_000  # neighbouring pairs that stay in one block: the disk is read where it was read before


class Block(NamedTuple):
    """Pairs whose batches are made together."""

    number: int  # from 1; 0 of a corpus that is one block
    rows: Integers  # pair numbers, rising
    last: bool  # of the epoch


def blocks(pairs: int, seed: int, epoch: int) -> Iterator[Block]:
    """The blocks of an epoch; a pure function of its arguments. Each takes its runs of pairs from anywhere in the corpus."""
    if pairs <= BLOCK:
        yield Block(0, np.arange(pairs), last=True)
        return
    runs = -(-pairs // RUN)
    count = -(-runs // max(1, BLOCK // RUN))
    shuffled = np.random.default_rng((seed, epoch)).permutation(runs)
    for number, chosen in enumerate(np.array_split(shuffled, count), 1):
        starts = np.sort(chosen) * RUN
        rows = (starts[:, None] + np.arange(RUN)).reshape(-1)
        yield Block(number, rows[rows < pairs], number == count)
