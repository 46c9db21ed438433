"""What training asks of a network, whatever its task."""

from typing import Any

from torch import nn

from nmt.model.loss import Loss
from nmt.recipe import ModelConfig


class TrainableNetwork(nn.Module):
    """A network that knows the loss of a batch of its task."""

    config: ModelConfig

    def loss(self, batch: Any, smoothing: float, r_drop: float = 0.0) -> Loss:
        """The loss summed over the batch's target pieces, padding left out; `smoothing` is the
        probability mass spread over all pieces, `r_drop` the weight of the divergence between two
        passes (0: one pass)."""
        raise NotImplementedError
