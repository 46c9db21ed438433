"""Which precision a GPU computes in. The arithmetic of half precision is tried on a CPU, which
knows it, too."""

import pytest
import torch

from nmt.engines.choice import choose_kernels, gpu_precision
from nmt.engines.packed.layers import Kernels
from nmt.engines.plain import PlainNetwork
from nmt.errors import NmtError
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig
from nmt.search.beam import beam_search
from nmt.search.settings import SearchSettings
from nmt.training.precision import choose_precision

PREFIXES = [
    [26, 43, 92, 17, 5, 83, 31],
    [35, 73, 58, 44, 9, 20, 11],
]  # nearly all of a translation: a random network has near ties
SETTINGS = SearchSettings(beam=3, length_extra=8)


@pytest.mark.parametrize(("has_bf16", "chosen"), [(True, "bf16"), (False, "fp16")])
def test_auto_is_the_half_precision_that_the_card_has_products_in(monkeypatch, has_bf16, chosen):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert gpu_precision("auto") == chosen
    assert [gpu_precision(name) for name in ("fp32", "bf16", "fp16")] == ["fp32", "bf16", "fp16"]


@pytest.mark.parametrize(("has_bf16", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_a_card_that_only_emulates_bf16_trains_in_fp32(monkeypatch, has_bf16, chosen):
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: has_bf16 or including_emulation,
    )
    assert choose_precision("auto", torch.device("cuda")) == chosen


@pytest.mark.parametrize("precision", ["int8", "fp8", Kernels(precision="bf16")], ids=str)
def test_what_only_processors_have_is_refused(precision):
    with pytest.raises(NmtError, match="is not for a GPU; use auto, fp32, bf16 or fp16"):
        gpu_precision(precision)


def test_fp16_is_refused_on_a_processor():
    with pytest.raises(
        NmtError, match="precision fp16 is for a GPU; use auto, fp32, bf16 or int8 on a CPU"
    ):
        choose_kernels("fp16")


def test_half_precision_changes_scores_by_its_rounding_alone():
    torch.manual_seed(1)
    model = Seq2Seq(ModelConfig(embedding_size=32, hidden_size=32), 100, 100, shared=True).eval()
    scores = {}
    for precision in ("fp32", "bf16", "fp16"):
        network = PlainNetwork(model, precision)
        found = beam_search(network, [[5, 6, 7], [8]], SETTINGS, PREFIXES).hypotheses
        assert [list(best.pieces) for (best,) in found] == PREFIXES
        scores[precision] = torch.tensor([best.log_prob for (best,) in found])
    errors = {name: float((scores[name] - scores["fp32"]).abs().max()) for name in ("bf16", "fp16")}
    assert 0 < errors["fp16"] < errors["bf16"] < 0.1  # 11 bits of a number and 8
