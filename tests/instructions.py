"""What tests of compiled training need to know of this machine."""

import pytest
import torch

from nmt import native

AVAILABLE = torch.cpu._is_avx512_bf16_supported() and not isinstance(native.library(), str)
needs_instructions = pytest.mark.skipif(not AVAILABLE, reason="no AVX512-BF16 instructions or no compiled library")


def in_bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)
