"""What tests of the compiled engine share: whether there is one, a network that it can compute,
sources and a shortlist for it."""

from unittest import mock

import pytest
import torch

from nmt import native
from nmt.engines import shortlist as shortlist_module
from nmt.engines.shortlist import Shortlist
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig

SETS = (
    () if isinstance(native.library(), str) else native.sets(native.functions())
)  # the instruction sets that this processor can use
needs_library = pytest.mark.skipif(
    isinstance(native.library(), str), reason=f"no compiled engine: {native.library()}"
)
CELLS = ("lstm", "gru", "peephole", "tanh")
V = 200  # not a multiple of 64: the logits have 56 columns more


def network(biases=0.3, **settings):
    """Random weights; `biases` and peepholes have this deviation. Without any, some translations
    end early."""
    torch.manual_seed(3)
    model = Seq2Seq(
        ModelConfig(embedding_size=64, hidden_size=128, **settings), V, V, shared=True
    ).eval()
    for name, parameter in model.named_parameters():
        if "peepholes" in name or "bias" in name:
            torch.nn.init.normal_(parameter, std=biases)
        elif "embedding" not in name:
            parameter.data.mul_(2)  # untrained weights are too small for outputs to differ
    return model


def random_sources():
    torch.manual_seed(5)
    return [torch.randint(4, V, (1 + number % 12,)).tolist() for number in range(37)]


def small_shortlist():
    """Nine target pieces for each source piece, beside four frequent ones."""
    torch.manual_seed(1)
    with mock.patch.object(shortlist_module, "FREQUENT", 4):
        return Shortlist(torch.randint(4, V, (V, 9)), torch.arange(V).flip(0))
