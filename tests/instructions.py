"""What tests of compiled training and of bf16 kernels need to know of this machine."""

import pytest
import torch

from nmt.engines.choice import has_bf16_kernels
from nmt.model.compiled_recurrence import unavailable_reason

AVAILABLE = unavailable_reason() is None
needs_instructions = pytest.mark.skipif(
    not AVAILABLE, reason="no AVX512-BF16 instructions or no compiled library"
)
needs_bf16_kernels = pytest.mark.skipif(
    not has_bf16_kernels(), reason="no bf16 instructions, or oneDNN is held to others"
)


def in_bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)
