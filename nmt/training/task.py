"""A task: what a network is trained for, and on which data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from nmt.model.network import TrainableNetwork
from nmt.recipe import Recipe
from nmt.training.distributed import Processes
from nmt.training.plans import PlacedBatches
from nmt.training.validation import Validation

Autocast = Callable[[], torch.autocast]


class Task(Protocol):
    """A prepared run folder, as training sees it. The loss of a batch is the network's own."""

    @property
    def recipe(self) -> Recipe:
        """With numbers in place of what was left to nmt."""
        ...

    @property
    def vocabulary(self) -> int:
        """Pieces that the network chooses from; guessing costs the logarithm of it."""
        ...

    @property
    def counted(self) -> str:
        """The training data in words, such as "29,000 pairs"."""
        ...

    @property
    def units(self) -> int:
        """Of the narrowest recurrent layer."""
        ...

    @property
    def summary(self) -> Sequence[str]:
        """Lines about the training data, and what was left out of them."""
        ...

    def network(self) -> TrainableNetwork:
        """A new one, its weights drawn from torch's random numbers."""
        ...

    def updates_in_epoch(self) -> int:
        """Of the first epoch; others may differ a little."""
        ...

    def feed(
        self, place: tuple[int, int], processes: Processes, device: torch.device
    ) -> AbstractContextManager[Iterator[PlacedBatches]]:
        """The updates from (epoch, update of the epoch) on, a function of the seed and the
        place."""
        ...

    def where(self, row: int) -> str:
        """FILE:LINE of a row of PlacedBatches, in the user's files."""
        ...

    def carried(self, device: torch.device) -> Mapping[str, Tensor]:
        """What goes from one update to the next beside the weights, written in place; a checkpoint
        keeps it."""
        ...

    def begin(self, device: torch.device) -> None:
        """Reads the dev set; called before the first update."""
        ...

    def validate(self, model: Any, precision: str, autocast: Autocast) -> Validation:
        """One look at the dev set with the model as it stands; its training mode and all random
        states are left as they were."""
        ...
