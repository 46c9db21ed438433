"""Weights on disk: safetensors files, checked against the network before a byte of them is used."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nmt.errors import NmtError


def named_weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name; one name for tied ones."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Writes named tensors as one safetensors file."""
    save_file({name: value.contiguous() for name, value in weights.items()}, path)
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)  # safetensors lets nobody else read it


def read_weights(path: Path, model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a file, in fp32, whose names and shapes are exactly the model's.

    The header is compared first, so that a file of a stranger cannot make this process allocate more than the recipe says.

    Raises:
        NmtError: no such file, no safetensors file, or the weights of another network.
    """
    expected = named_weights(model)
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        if shapes.keys() != expected.keys():
            different = ", ".join(sorted(expected.keys() ^ shapes.keys())[:3])
            raise NmtError(f"{path}: these are the weights of another network ({different} differ); use the recipe they were trained with")
        for name, shape in shapes.items():
            if shape != tuple(expected[name].shape):
                raise NmtError(f"{path}: {name} has shape {shape}, the recipe asks for {tuple(expected[name].shape)}")
        return {name: value.float() for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise NmtError(f"{path}: cannot read the weights ({error}); copy the model folder again") from error


def copy_weights(weights: Mapping[str, Tensor], model: nn.Module) -> None:
    """Copies named tensors into the model's parameters."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def adopt_weights(weights: Mapping[str, Tensor], model: nn.Module) -> None:
    """Makes the tensors the parameters of a model built on the meta device; parameters that were tied stay tied."""
    adopted: dict[int, nn.Parameter] = {}
    for name, parameter in list(model.named_parameters(remove_duplicate=False)):
        if id(parameter) not in adopted:
            adopted[id(parameter)] = nn.Parameter(weights[name], requires_grad=False)
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, adopted[id(parameter)])
