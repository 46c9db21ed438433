"""Weights in the order that the compiled functions read them.

Dimensions besides the legend: O columns (outputs) of a matrix and I its inputs, C blocks of a
cell's gates, D units of a cell.
"""

import torch
from torch import Tensor
from torch.nn import functional

from nmt.engines.packed.layers import BLOCKS, Kernels, PackedLinear, merged_weights, quantise
from nmt.errors import NmtError
from nmt.model.cells import Recurrence
from nmt.native import CELLS, LANES, PANEL, MatrixArrays, address
from nmt.native.arrays import CellArrays

HALF = 65504  # the largest number in half precision


class PackedMatrix:
    """int8 weights with a scale for each column. Columns are filled up to whole panels of 64:
    those give -inf."""

    def __init__(
        self, weights: Tensor, scales_O: Tensor, starts_O: Tensor, bias_O: Tensor, inputs: int
    ) -> None:
        self.tensors = weights, scales_O, starts_O, bias_O  # kept alive: the arrays point to them
        self.columns, self.inputs = len(scales_O), inputs
        self.arrays = MatrixArrays(
            weights=address(weights),
            scales=address(scales_O),
            starts=address(starts_O),
            bias=address(bias_O),
            inputs=inputs,
            columns=self.columns,
        )

    @classmethod
    def of(cls, weight_OI: Tensor, bias_O: Tensor | None = None) -> "PackedMatrix":
        """x W' + b."""
        O, I = weight_OI.shape  # noqa: E741
        more = -O % PANEL
        whole_OI, scales_O = quantise(functional.pad(weight_OI, (0, 0, 0, more)))
        bias_O = functional.pad(
            torch.zeros(O) if bias_O is None else bias_O, (0, more), value=-torch.inf
        )
        panels = whole_OI.view(-1, PANEL, I // 4, 4).transpose(1, 2).contiguous()
        starts_O = -128 * whole_OI.int().sum(1, dtype=torch.int32)
        return cls(panels, scales_O.float(), starts_O, bias_O, I)


class PackedCell:
    """A cell's recurrent weights, and the inputs of upper layers beside them."""

    def __init__(self, layer: Recurrence, weight_GI: Tensor, bias_G: Tensor, name: str) -> None:
        """`weight_GI` and `bias_G` have the rows of `merged_weights`; `name` is the layer's, for
        errors.

        Raises:
            NmtError: as of `in_half`.
        """
        order_G = gate_order(layer)
        self.matrix = PackedMatrix.of(weight_GI[order_G])
        self.bias_G = in_half(bias_G[order_G], f"a bias of {name}")
        self.peepholes_3H = (
            None if layer.peepholes_3H is None else layer.peepholes_3H.detach().clone()
        )
        self.arrays = CellArrays(
            gates=self.matrix.arrays,
            bias=address(self.bias_G),
            peepholes=address(self.peepholes_3H),
            cell=CELLS[layer.cell],
            units=layer.hidden_size,
        )


def gate_order(layer: Recurrence) -> Tensor:
    """The rows of `merged_weights` such that all blocks of 16 units are neighbours."""
    C, D = BLOCKS[layer.cell], layer.hidden_size
    return torch.arange(C * D).view(C, D // LANES, LANES).transpose(0, 1).flatten()


def in_half(values: Tensor, what: str) -> Tensor:
    """Values in half precision.

    Raises:
        NmtError: it does not reach so far, or one is not finite.
    """
    least, most = (float(value) for value in values.aminmax())
    if not (least >= -HALF and most <= HALF):
        beyond = most if least >= -HALF else least
        raise NmtError(
            f"{what} is {beyond:.4g}, and half precision ends at {HALF:,}; use --precision fp32 or"
            " bf16"
        )
    return values.half()


def piece_table(layer: Recurrence, embedding_VE: Tensor, name: str) -> Tensor:
    """[V, G], half precision: what each piece adds to the gates of a layer that reads embeddings,
    bias included.

    Raises:
        NmtError: as of `in_half`.
    """
    W_GX, _, bias_G = merged_weights(layer)
    order_G = gate_order(layer)
    table_VG = PackedLinear(W_GX[order_G], bias_G[order_G], Kernels(precision="fp32"))(
        embedding_VE
    )  # oneDNN: twice as fast as addmm
    return in_half(table_VG, f"what a piece adds to a gate of {name}")
