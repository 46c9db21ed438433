"""Half-precision recurrences that oneDNN has on this processor, found by trying: torch asks
about other instructions than it needs."""

from functools import cache

import torch

LSTM = 2  # torch's number for it
UNITS = 16


@cache
def has_lstm(dtype: torch.dtype) -> bool:
    """Whether oneDNN's LSTM runs in `dtype` on this processor, forwards and backwards. Draws no
    random numbers."""
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
            for training in (False, True):
                _lstm(dtype, training)
    except (RuntimeError, AttributeError):  # no such primitive; a torch without oneDNN
        return False
    return True


def _lstm(dtype: torch.dtype, training: bool) -> None:
    inputs_TBI = torch.ones(2, 2, UNITS, dtype=dtype, requires_grad=training)
    weight_GI, bias_G = (
        torch.ones(shape, dtype=dtype, requires_grad=training)
        for shape in ((4 * UNITS, UNITS), (4 * UNITS,))
    )
    zeros_BH = torch.zeros(2, UNITS, dtype=dtype)
    weights = weight_GI, weight_GI, bias_G, bias_G
    reverse, lengths, biased, bidirectional, batch_first = False, (), True, False, False
    outputs_TBH = torch.ops.aten.mkldnn_rnn_layer.default(
        inputs_TBI,
        *weights,
        zeros_BH,
        zeros_BH,
        reverse,
        lengths,
        LSTM,
        UNITS,
        1,
        biased,
        bidirectional,
        batch_first,
        training,
    )[0]
    if training:
        outputs_TBH.sum().backward()
