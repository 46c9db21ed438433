"""Weights packed once for many products: fp32, bf16 or int8, by what the processor is good at."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

PRECISIONS = ("fp32", "bf16", "int8")
FEW_ROWS = (
    24  # up to so many rows fbgemm's int8 product is the faster one: it sets up nothing a call
)


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """How products are computed on this machine."""

    precision: str  # of the weights: fp32, bf16 or int8
    engine: str = "fbgemm"  # of int8 products of many rows: fbgemm, or onednn where that is faster
    # oneDNN has bf16 kernels here: bf16 uses them, int8 where they are faster than its own
    fast_bf16: bool = False
    # int8: activations have 7 bits, for processors whose 8-bit sums saturate (those without VNNI)
    reduced: bool = True

    @property
    def rounded_to_bf16(self) -> bool:
        """Whether LSTMs that read the source run in oneDNN's bf16 kernel, and the output layers
        of shortlists in bf16."""
        return self.precision != "fp32" and self.fast_bf16


class PackedLinear:
    """x W' + b for rows x in fp32, with the weights in another format.

    bf16: the factors are rounded, their products summed in fp32 and the sums rounded. Without bf16
    kernels the rounded numbers are multiplied in fp32, which changes only the order of the sums.
    int8: each row of W has its own scale, largest magnitude = 127; x is quantised at each call by
    its least and greatest value, so that a row's result depends, within the rounding, on the other
    rows of the call.
    """

    def __init__(self, weight_OI: Tensor, bias_O: Tensor | None, kernels: Kernels) -> None:
        self.precision, self.reduced = kernels.precision, kernels.reduced
        self.dtype = (
            torch.bfloat16 if kernels.precision == "bf16" and kernels.fast_bf16 else torch.float32
        )  # of the products
        self.few: Any = None
        self.many: Any = None
        self.bias: Tensor | None = None
        if self.precision == "int8":
            self._pack_int8(*quantise(weight_OI), bias_O, kernels.engine)
        else:
            self._pack_float(weight_OI, bias_O)

    def __call__(self, inputs_NI: Tensor) -> Tensor:
        """fp32 rows -> fp32 rows."""
        if self.precision == "int8":
            weights = self.few if len(inputs_NI) <= FEW_ROWS else self.many
            outputs_NO: Tensor = torch.ops.quantized.linear_dynamic.default(
                inputs_NI, weights, self.reduced
            )
            return outputs_NO
        if self.precision == "bf16":
            return (
                _product(inputs_NI.bfloat16().to(self.dtype), self.many, self.bias)
                .bfloat16()
                .float()
            )
        return _product(inputs_NI, self.many, self.bias)

    def _pack_int8(
        self, weight_OI: Tensor, scales_O: Tensor, bias_O: Tensor | None, engine: str
    ) -> None:
        zeros_O = torch.zeros(len(scales_O), dtype=torch.long)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # torch announces to remove these tensors; the probe asks whether they are there
            quantised = torch._make_per_channel_quantized_tensor(weight_OI, scales_O, zeros_O, 0)
        self.few = _prepack(quantised, bias_O, "fbgemm")
        self.many = self.few if engine == "fbgemm" else _prepack(quantised, bias_O, engine)

    def _pack_float(self, weight_OI: Tensor, bias_O: Tensor | None) -> None:
        rounded = torch.bfloat16 if self.precision == "bf16" else torch.float32
        weight_OI = weight_OI.to(rounded).to(self.dtype).contiguous()
        self.bias = None if bias_O is None else bias_O.to(rounded).to(self.dtype)
        self.many = (
            torch.ops.mkldnn._reorder_linear_weight.default(weight_OI)
            if torch.backends.mkldnn.is_available()
            else weight_OI
        )


def quantise(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """-> int8 weights and the scale of each row: weight = scale * int8."""
    scales_O = weight_OI.abs().amax(1).clamp(min=1e-12) / 127
    return (weight_OI / scales_O[:, None]).round().to(torch.int8), scales_O.double()


def _product(inputs_NI: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if not weight.is_mkldnn:
        return functional.linear(inputs_NI, weight, bias)
    outputs_NO: Tensor = torch.ops.mkldnn._linear_pointwise.default(
        inputs_NI, weight, bias, "none", [], ""
    )
    return outputs_NO


def _prepack(weight: Tensor, bias_O: Tensor | None, engine: str) -> Any:
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine
    try:
        return torch.ops.quantized.linear_prepack.default(weight, bias_O)
    finally:
        torch.backends.quantized.engine = before
