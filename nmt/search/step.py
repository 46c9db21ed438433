"""The step function: all that a search knows of a model."""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

from torch import Tensor


class SearchState(Protocol):
    """What a step function carries from step to step: a value of N rows, grouped by sentence, equally many each."""

    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> Self:
        """The state whose rows are these of the current N rows and whose sentences are these of the current B (None: all stay)."""
        ...


S = TypeVar("S", bound=SearchState)
Step = Callable[
    [Tensor, S], tuple[Tensor, S]
]  # last pieces_N, state -> logits_NV (float32, unnormalised; the search may overwrite them), state
