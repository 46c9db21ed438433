"""The bidirectional recurrent encoder: reads the source whole."""

from typing import Any

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.model.cells import Recurrence
from nmt.model.dropout import Dropout


def reversal_order(lengths_B: Tensor, width: int) -> Tensor:
    """The order of the B * S positions that reverses each sequence within its own length and leaves its padding in place."""
    positions_1S = torch.arange(width, device=lengths_B.device)[None]
    mirrored_BS = lengths_B[:, None] - 1 - positions_1S
    starts_B1 = torch.arange(len(lengths_B), device=lengths_B.device)[:, None] * width
    return (starts_B1 + torch.where(mirrored_BS >= 0, mirrored_BS, positions_1S)).flatten()


class _Reorder(torch.autograd.Function):
    """Positions in another order. The order is its own inverse, so that the gradient is a copy of rows too, where autograd would add."""

    @staticmethod
    def forward(ctx: Any, inputs_BSI: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return inputs_BSI.flatten(0, 1).index_select(0, order).view_as(inputs_BSI)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors
        return gradients[0].flatten(0, 1).index_select(0, order).view_as(gradients[0]), None


def reorder(inputs_BSI: Tensor, order: Tensor) -> Tensor:
    """The inputs with their B * S positions in a self-inverse order."""
    outputs_BSI: Tensor = _Reorder.apply(inputs_BSI, order)  # type: ignore[no-untyped-call]
    return outputs_BSI


class BidirectionalLayer(nn.Module):
    """Two recurrences of half the size, one in each reading direction, side by side: [B, S, I] -> [B, S, H]."""

    def __init__(self, cell: str, input_size: int, hidden_size: int, weight_drop: float = 0.0) -> None:
        super().__init__()
        self.forwards = Recurrence(cell, input_size, hidden_size // 2, weight_drop)
        self.backwards = Recurrence(cell, input_size, hidden_size // 2, weight_drop)

    def forward(self, inputs_BSI: Tensor, reversal: Tensor) -> Tensor:
        """Padding is never read before a piece in either direction, so it changes no state of a piece."""
        backward_BSH = reorder(self.backwards(reorder(inputs_BSI, reversal)), reversal)
        return torch.cat([self.forwards(inputs_BSI), backward_BSH], dim=-1)


class Encoder(nn.Module):
    """A stack of bidirectional layers with residual connections from the second on."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes = [config.embedding_size] + [config.hidden_size] * config.encoder_layers
        self.layers = nn.ModuleList(
            BidirectionalLayer(config.cell, sizes[i], sizes[i + 1], config.weight_drop) for i in range(config.encoder_layers)
        )
        self.dropout = Dropout(config.dropout)

    def forward(self, embedded_BSE: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """-> the states [B, S, H] and each sentence's final state [B, H]: the last of both reading directions (many-to-one)."""
        reversal = reversal_order(lengths_B, embedded_BSE.shape[1])
        states_BSH = self.layers[0](self.dropout(embedded_BSE), reversal)
        for layer in self.layers[1:]:
            states_BSH = states_BSH + layer(self.dropout(states_BSH), reversal)
        half = states_BSH.shape[-1] // 2
        last_B11 = (lengths_B - 1)[:, None, None]
        forward_last_BH = states_BSH[..., :half].gather(1, last_B11.expand(-1, 1, half)).squeeze(1)
        return states_BSH, torch.cat([forward_last_BH, states_BSH[:, 0, half:]], dim=-1)
