"""When finished sentences leave the batch."""

from collections.abc import Sequence
from itertools import islice

FEW = 16
MULTIPLE = 8


def staying(going: Sequence[bool]) -> list[int]:
    """The sentences of a batch that stay, given which of them go on: those, and enough finished ones to make their number a multiple of 8.

    Leaving costs a copy of the state, and a product of a number of rows that it has not seen costs the CPU a kernel to be made: so
    sentences leave in groups, until there are few. Empty if none goes on.
    """
    count = sum(going)
    room = count if count <= FEW else -(-count // MULTIPLE) * MULTIPLE
    if count and room >= len(going):
        return list(range(len(going)))
    passengers = set(islice((number for number, goes in enumerate(going) if not goes), room - count))
    return [number for number, goes in enumerate(going) if goes or number in passengers]
