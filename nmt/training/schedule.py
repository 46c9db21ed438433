"""The learning rate of each update."""

import math

from nmt.config import TrainingConfig


def learning_rate(config: TrainingConfig, update: int, updates: int) -> float:
    """The rate of update 1, 2, ... `updates`: a linear warm-up, then

    cosine        half a cosine down to 1% of the peak at the last update (Loshchilov & Hutter 2017, eq. 5)
    inverse-sqrt  proportional to 1 / sqrt(update) (Vaswani et al. 2017, eq. 3)
    constant      the peak
    plateau       the peak, halved by the run where validations stop getting better
    """
    warmup = min(config.warmup, updates // 2)
    if update <= warmup:
        return config.learning_rate * update / warmup
    if config.schedule in ("constant", "plateau"):
        return config.learning_rate
    if config.schedule == "inverse-sqrt":
        return config.learning_rate * math.sqrt(max(warmup, 1) / update)
    share = min(1.0, (update - warmup) / max(1, updates - warmup))
    return config.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)
