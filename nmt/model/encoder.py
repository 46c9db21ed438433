"""The bidirectional recurrent encoder: reads the source whole."""

import torch
from torch import Tensor, nn

from nmt.model.cells import Recurrence
from nmt.model.dropout import Dropout
from nmt.recipe import ModelConfig


class BidirectionalLayer(nn.Module):
    """Two recurrences of half the size, one in each reading direction, side by side: [B, S, I]
    -> [B, S, H]."""

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, weight_drop: float = 0.0
    ) -> None:
        super().__init__()
        self.forwards = Recurrence(cell, input_size, hidden_size // 2, weight_drop)
        self.backwards = Recurrence(cell, input_size, hidden_size // 2, weight_drop)

    def forward(self, inputs_BSI: Tensor, lengths_B: Tensor) -> Tensor:
        """Padding is never read before a piece in either direction, so it changes no state of a
        piece."""
        directions = (
            self.forwards(inputs_BSI, lengths_B=lengths_B),
            self.backwards(inputs_BSI, lengths_B=lengths_B, reverse=True),
        )
        return torch.cat(directions, dim=-1)


class Encoder(nn.Module):
    """A stack of bidirectional layers with residual connections from the second on."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes = [config.embedding_size] + [config.hidden_size] * config.encoder_layers
        self.layers = nn.ModuleList(
            BidirectionalLayer(config.cell, sizes[i], sizes[i + 1], config.weight_drop)
            for i in range(config.encoder_layers)
        )
        self.dropout = Dropout(config.dropout)

    def forward(self, embedded_BSE: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """-> the states [B, S, H] and each sentence's final state [B, H]: the last of both
        reading directions (many-to-one)."""
        states_BSH = self.layers[0](self.dropout(embedded_BSE), lengths_B)
        for layer in self.layers[1:]:
            states_BSH = states_BSH + layer(self.dropout(states_BSH), lengths_B)
        half = states_BSH.shape[-1] // 2
        last_B11 = (lengths_B - 1)[:, None, None]
        forward_last_BH = states_BSH[..., :half].gather(1, last_B11.expand(-1, 1, half)).squeeze(1)
        return states_BSH, torch.cat([forward_last_BH, states_BSH[:, 0, half:]], dim=-1)
