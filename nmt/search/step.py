"""The step function: all that a search knows of a model."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple, Protocol, Self, TypeVar

from torch import Tensor


class SearchState(Protocol):
    """What a step function carries from step to step: a value of N rows, grouped by sentence,
    equally many each."""

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> Self:
        """The state whose rows are these of the current N rows and whose sentences are these of
        the current B (None: all stay)."""
        ...


S = TypeVar("S", bound=SearchState)
Step = Callable[
    [Tensor, S], tuple[Tensor, S]
]  # last pieces_N, state -> logits_NV (float32, unnormalised; the search may overwrite them), state


class Rules(NamedTuple):
    """How hypotheses may grow, end and be scored."""

    beam: int
    eos: int
    min_length: int  # lengths count the end of sentence
    max_lengths: frozenset[int]  # of any sentence
    never_F: Tensor  # pieces that are never picked
    early_F: Tensor  # the same and the end of sentence, below min_length
    divisors_T: Tensor  # length ** length_alpha for the lengths 1, 2, ...
    scored: bool  # whether logits are normalised

    def forbidden(self, length: int) -> Tensor:
        """Pieces that are not picked as the last one of `length`."""
        return self.early_F if length < self.min_length else self.never_F


FEW = 16
MULTIPLE = 8


def staying(going: Sequence[bool]) -> list[int]:
    """The sentences of a batch that stay, given which of them go on: those, and enough finished
    ones to make their number a multiple of 8.

    Leaving costs a copy of the state, and a product of a number of rows that it has not seen costs
    the CPU a kernel to be made: so sentences leave in groups, until there are few. Empty if none
    goes on.
    """
    count = sum(going)
    room = count if count <= FEW else -(-count // MULTIPLE) * MULTIPLE
    if count and room >= len(going):
        return list(range(len(going)))
    passengers = set(
        islice((number for number, goes in enumerate(going) if not goes), room - count)
    )
    return [number for number, goes in enumerate(going) if goes or number in passengers]
