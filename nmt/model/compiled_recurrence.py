"""All positions of a recurrent layer in compiled bfloat16, for training on a CPU:
nmt/native/recurrence.cpp between torch's products."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.native import (
    CELLS,
    LANES,
    PANEL,
    RecurrenceArrays,
    address,
    functions,
    library,
    threads_for,
)


def is_compiled(inputs: Tensor, width: int) -> bool:
    """Whether compiled code does for these inputs, under autocast, what torch would; `width` is
    that of what it makes."""
    return (
        inputs.device.type == "cpu"
        and inputs.dtype in (torch.float32, torch.bfloat16)
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and unavailable_reason(width) is None
    )


def unavailable_reason(width: int = PANEL) -> str | None:
    """What keeps layers of so many units, by default of any, from compiled training on this
    machine; None: nothing does."""
    if width % PANEL:
        return (
            f"a layer has {width} units, in the encoder half of model.hidden_size: no multiple of"
            f" {PANEL}"
        )
    if not torch.cpu._is_avx512_bf16_supported():
        return "this processor has no AVX512-BF16 instructions"
    found = library()
    if isinstance(found, str):
        return found
    return (
        None
        if hasattr(found, "nmt_recurrence_forward")
        else "the compiler that built it does not know AVX512-BF16; use a newer one"
    )


def compiled_recurrence(
    cell: str,
    inputs_BTI: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor, ...],
    peepholes_3H: Tensor | None,
    lengths_B: Tensor,
    reverse: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The hidden states [B, T, H] of all positions in bf16, zero behind each row's length, and the
    cell's state at the last position, which is no part of the graph.

    `state` is the cell's before the first position; `weights` are input weights, recurrent weights
    and both biases in torch's order. With `reverse` each row is read from its last position to its
    first.
    Raises: RuntimeError in a second pass backwards through the same graph; the first one writes
    over what it reads.
    """
    hidden_BTH: Tensor
    hidden_BTH, last_BH = _Recurrence.apply(
        cell, reverse, lengths_B, inputs_BTI, state[0], state[-1], *weights, peepholes_3H
    )  # type: ignore[no-untyped-call]
    last_hidden_BH = hidden_BTH[:, -1]
    return hidden_BTH, (last_hidden_BH, last_BH) if len(state) > 1 else (last_hidden_BH,)


class _Sizes(NamedTuple):
    """The numbers of RecurrenceArrays, by their names there."""

    cell: int  # its number in CELLS
    rows: int
    width: int
    units: int
    reverse: bool
    threads: int


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, cell: str, reverse: bool, lengths_B: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        (
            inputs_BTI,
            hidden_BH,
            states_BH,
            weight_input_GI,
            weight_hidden_GH,
            bias_input_G,
            bias_hidden_G,
            peepholes_3H,
        ) = tensors
        (B, T, _), H = inputs_BTI.shape, hidden_BH.shape[1]
        with torch.autocast("cpu", enabled=False):
            inputs_NI = inputs_BTI.flatten(0, 1).bfloat16()
            weight_GI, weight_GH = _grouped(weight_input_GI, H), _grouped(weight_hidden_GH, H)
            gates_NG = inputs_NI @ weight_GI.t()
            hidden_BTH = torch.empty(B, T, H, dtype=torch.bfloat16)
            arrays = {
                "lengths": lengths_B.contiguous(),
                "peepholes": None if peepholes_3H is None else peepholes_3H.float().contiguous(),
                "gates": gates_NG,
                "recurrent": torch.empty_like(gates_NG) if cell == "gru" else gates_NG,
                "states": None if cell == "tanh" else torch.empty(B, T, H),
                "hidden": hidden_BTH,
                "first_hidden": hidden_BH.bfloat16().contiguous(),
                "first_states": states_BH.float().contiguous(),
            }
            sizes = _Sizes(CELLS[cell], B, T, H, reverse, threads_for(B))
            panels = _panels(weight_GH, 3 * LANES if cell == "gru" else PANEL, backwards=False)
            _call(
                "nmt_recurrence_forward",
                sizes,
                arrays,
                weights=panels,
                bias=_biases(cell, H, bias_input_G, bias_hidden_G),
            )
        ctx.save_for_backward(inputs_NI, weight_GI, weight_GH, *arrays.values())
        ctx.cell, ctx.sizes, ctx.names, ctx.spent = cell, sizes, tuple(arrays), False
        ctx.dtypes = [tensor.dtype for tensor in tensors[:3]]
        states_BTH = arrays["states"]
        last_BH = states_BH.new_empty(0) if states_BTH is None else states_BTH[:, -1].clone()
        ctx.mark_non_differentiable(last_BH)
        return hidden_BTH, last_BH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.spent:
            raise RuntimeError(
                "the compiled recurrence has overwritten its gates with their gradients; run the"
                " network forward again"
            )
        ctx.spent = True
        inputs_NI, weight_GI, weight_GH, *saved = ctx.saved_tensors
        arrays, sizes = dict(zip(ctx.names, saved, strict=True)), ctx.sizes
        B, T, H, cell = sizes.rows, sizes.width, sizes.units, ctx.cell
        made = {
            "gradients": gradients[0].bfloat16().contiguous(),
            "first_gradients": torch.empty(B, H),
            "carried": torch.zeros(B, H),
            "peephole_gradients": torch.zeros(B if cell == "peephole" else 0, 3 * H),
        }
        _call(
            "nmt_recurrence_backward",
            sizes,
            arrays | made,
            weights=_panels(weight_GH, PANEL, backwards=True),
        )
        gates_NG, recurrent_NG, carried_BH = arrays["gates"], arrays["recurrent"], made["carried"]
        before_BTH = _hidden_before(
            arrays["hidden"], arrays["first_hidden"], arrays["lengths"], sizes.reverse
        )
        bias_G = _ungrouped(_sum(gates_NG), H)
        bias_hidden_G = _ungrouped(_sum(recurrent_NG), H) if cell == "gru" else bias_G.clone()
        first_BH = (
            made["first_gradients"] + carried_BH if cell == "gru" else made["first_gradients"]
        )  # its state is its hidden state
        return (
            *(None, None, None),
            (
                (gates_NG @ weight_GI).view(B, T, -1).to(ctx.dtypes[0])
                if ctx.needs_input_grad[3]
                else None
            ),
            first_BH.to(ctx.dtypes[1]),
            carried_BH.to(ctx.dtypes[2]) if cell in ("lstm", "peephole") else None,
            _ungrouped(gates_NG.t() @ inputs_NI, H),
            _ungrouped(recurrent_NG.t() @ before_BTH.flatten(0, 1), H),
            bias_G,
            bias_hidden_G,
            made["peephole_gradients"].sum(0) if cell == "peephole" else None,
        )


def _call(name: str, sizes: _Sizes, arrays: dict[str, Tensor | None], **others: Tensor) -> None:
    addresses = {key: address(tensor) for key, tensor in (arrays | others).items()}
    getattr(functions(), name)(RecurrenceArrays(**sizes._asdict(), **addresses))


def _sum(gradients_NG: Tensor) -> Tensor:
    """Over the positions, in fp32."""
    sums_G = torch.empty(gradients_NG.shape[1])
    functions().nmt_recurrence_sums(address(gradients_NG), *gradients_NG.shape, address(sums_G))
    return sums_G


def _grouped(weights: Tensor, units: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Rows gate by gate -> the gates of 16 units together."""
    groups = len(weights) // units
    split = weights.detach().view(groups, units // LANES, LANES, *weights.shape[1:]).transpose(0, 1)
    return split.to(dtype, memory_format=torch.contiguous_format).reshape(weights.shape)


def _ungrouped(gradients: Tensor, units: int) -> Tensor:
    """The inverse, in fp32."""
    groups = len(gradients) // units
    split = gradients.view(units // LANES, groups, LANES, *gradients.shape[1:]).transpose(0, 1)
    return split.to(torch.float32, memory_format=torch.contiguous_format).reshape(gradients.shape)


def _biases(cell: str, units: int, of_inputs_G: Tensor, of_hidden_G: Tensor) -> Tensor:
    """What the cell adds to both products: their sum, but of a GRU's new gate, where the reset
    gate scales only one of them, both."""
    if cell != "gru":
        return _grouped(of_inputs_G + of_hidden_G, units, torch.float32)
    both = of_inputs_G[: 2 * units] + of_hidden_G[: 2 * units]
    return _grouped(
        torch.cat([both, of_hidden_G[2 * units :], of_inputs_G[2 * units :]]), units, torch.float32
    )


def _panels(weight_GH: Tensor, panel: int, backwards: bool) -> Tensor:
    """The recurrent weights as the kernel reads them: backwards in panels of units, else of
    gates."""
    panels = torch.empty_like(weight_GH)
    functions().nmt_recurrence_panels(
        address(weight_GH), *weight_GH.shape, panel, backwards, address(panels)
    )
    return panels


def _hidden_before(hidden_BTH: Tensor, first_BH: Tensor, lengths_B: Tensor, reverse: int) -> Tensor:
    if not reverse:
        return torch.cat([first_BH[:, None], hidden_BTH[:, :-1]], dim=1)
    before_BTH = torch.cat([hidden_BTH[:, 1:], first_BH[:, None]], dim=1)
    before_BTH[torch.arange(len(lengths_B)), lengths_B - 1] = first_BH
    return before_BTH
