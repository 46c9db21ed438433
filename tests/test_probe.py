import pytest
import torch

from nmt.engines import choice as probe
from nmt.engines.choice import choose_kernels, gpu_precision
from nmt.engines.export import DTYPES
from nmt.engines.force_decoding import HALVES
from nmt.errors import NmtError
from nmt.machine import CPU_FORMATS, FORMATS, GPU_FORMATS, TRAINING_FORMATS


def test_a_named_precision_is_used_as_named():
    assert [choose_kernels(name).precision for name in ("fp32", "bf16", "int8")] == [
        "fp32",
        "bf16",
        "int8",
    ]


def test_an_unknown_precision_is_refused():
    with pytest.raises(
        NmtError, match=r"unknown precision 'fp8'; use auto, fp32, bf16, int8 or, on a GPU, fp16"
    ):
        choose_kernels("fp8")


def test_without_fast_instructions_auto_is_fp32(monkeypatch):
    monkeypatch.setattr(probe, "_fast_int8", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert choose_kernels("auto").precision == "fp32"


@pytest.mark.parametrize(
    ("times", "chosen"), [((9, 5, 1), "int8"), ((9, 2, 4), "bf16"), ((9, 8, 8), "fp32")]
)
def test_auto_takes_what_is_clearly_faster_than_fp32(monkeypatch, times, chosen):
    fp32, bf16, int8 = times
    monkeypatch.setattr(probe, "_fast_int8", lambda: True)
    monkeypatch.setattr(probe, "has_bf16_kernels", lambda: True)
    monkeypatch.setattr(
        probe,
        "seconds",
        lambda kernels: {"fp32": fp32, "bf16": bf16, "int8": int8}[kernels.precision],
    )
    assert choose_kernels("auto").precision == chosen


def test_instructions_without_kernels_are_not_used(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(probe, "has_lstm", lambda dtype: False)
    assert not choose_kernels("bf16").fast_bf16
    assert not choose_kernels("int8").fast_bf16


def test_int8_without_its_products_is_refused(monkeypatch):
    monkeypatch.setattr(probe, "_int8_kernels", lambda has_bf16: [])
    with pytest.raises(
        NmtError, match=r"this build of torch has no int8 products; use auto, bf16 or fp32"
    ):
        choose_kernels("int8")


def test_every_number_format_is_wired_where_the_one_list_says_it_can_be_used():
    assert [choose_kernels(name).precision for name in CPU_FORMATS] == ["fp32", "bf16", "int8"]
    assert [gpu_precision(name) for name in GPU_FORMATS] == ["fp32", "bf16", "fp16"]
    assert set(GPU_FORMATS) == {"fp32", *HALVES}
    assert set(TRAINING_FORMATS) == set(DTYPES)
    for name in {each.name for each in FORMATS} - set(CPU_FORMATS):
        with pytest.raises(NmtError, match="is for a GPU"):
            choose_kernels(name)
    for name in {each.name for each in FORMATS} - set(GPU_FORMATS):
        with pytest.raises(NmtError, match="is not for a GPU"):
            gpu_precision(name)
