"""What tests of compiled training need to know of this machine."""

import pytest
import torch

from nmt.model.compiled import why_not

AVAILABLE = why_not() is None
needs_instructions = pytest.mark.skipif(not AVAILABLE, reason="no AVX512-BF16 instructions or no compiled library")


def in_bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)
