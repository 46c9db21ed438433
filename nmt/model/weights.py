"""Weights on disk: safetensors files, checked against the network before a byte of them is used."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nmt.errors import NmtError
from nmt.files import open_file
from nmt.limits import shown

HEADER_BYTES = (
    1 << 20
)  # names, types and shapes of all arrays; the largest network that a recipe allows needs a third of it  # noqa: E501
KINDS = ("F32", "BF16", "F16")  # what weights may be stored in


class ArrayShape(NamedTuple):
    """What a safetensors file says about one of its arrays."""

    kind: str  # such as F32
    shape: tuple[int, ...]


def named_weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name; one name for tied ones."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Writes named tensors as one safetensors file."""
    save_file({name: value.contiguous() for name, value in weights.items()}, path)
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)  # safetensors lets nobody else read it


def array_shapes(path: Path, limit: int) -> dict[str, ArrayShape]:
    """What the arrays of a safetensors file are, by name. None of them is read.

    Raises:
        OSError: as of `open_file`.
        SafetensorError: no safetensors file.
    """
    with open_file(path, limit, path.parent) as file:
        size = int.from_bytes(file.read(8), "little")
    if size > HEADER_BYTES:
        raise SafetensorError(
            f"its header would have {size:,} bytes, at most {HEADER_BYTES:,} make sense"
        )
    with safe_open(path, framework="pt") as arrays:
        slices = {name: arrays.get_slice(name) for name in arrays.keys()}  # noqa: SIM118
        return {
            name: ArrayShape(each.get_dtype(), tuple(each.get_shape()))
            for name, each in slices.items()
        }


def largest_file(model: nn.Module) -> int:
    """Bytes that a file of this network's weights has at most."""
    return 8 + HEADER_BYTES + 4 * sum(value.numel() for value in named_weights(model).values())


def read_weights(path: Path, model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a file, in fp32, whose names and shapes are exactly the model's.

    The header is compared first, so that a file of a stranger cannot make this process allocate
    more than the recipe says.

    Raises:
        NmtError: no such file, no safetensors file, the weights of another network, or some that
            are not finite.
    """
    expected = named_weights(model)
    try:
        found = array_shapes(path, largest_file(model))
        if found.keys() != expected.keys():
            different = ", ".join(
                shown(name)[1:-1] for name in sorted(expected.keys() ^ found.keys())[:3]
            )
            raise NmtError(
                f"{path}: these are the weights of another network ({different} differ); use the"
                " recipe they were trained with"
            )
        for name, (kind, shape) in found.items():
            if shape != tuple(expected[name].shape):
                raise NmtError(
                    f"{path}: {name} has shape {shown(shape)}, the recipe asks for"
                    f" {tuple(expected[name].shape)}"
                )
            if kind not in KINDS:
                raise NmtError(
                    f"{path}: {name} holds {kind}, weights are {', '.join(KINDS)}; copy the model"
                    " folder again"
                )
        weights = {name: value.float() for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NmtError(
            f"{path}: cannot read the weights ({reason}); copy the model folder again"
        ) from error
    for name, value in weights.items():
        if not all(bound.isfinite() for bound in value.aminmax()):  # NaN is both bounds
            raise NmtError(
                f"{path}: {name} holds numbers that are not finite, the network cannot compute; use"
                " another checkpoint or model"
            )
    return weights


def copy_weights(weights: Mapping[str, Tensor], model: nn.Module) -> None:
    """Copies named tensors into the model's parameters."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def adopt_weights(weights: Mapping[str, Tensor], model: nn.Module) -> None:
    """Makes the tensors the parameters of a model built on the meta device; parameters that were
    tied stay tied."""
    adopted: dict[int, nn.Parameter] = {}
    for name, parameter in list(model.named_parameters(remove_duplicate=False)):
        if id(parameter) not in adopted:
            adopted[id(parameter)] = nn.Parameter(weights[name], requires_grad=False)
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, adopted[id(parameter)])
