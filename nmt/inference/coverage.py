"""Coverage: whether a translation has read all of its source.

Wu et al. (2016, eq. 14) add beta times the penalty to a score that is divided by ((5 + length) / 6) ** 0.2, hardly at all. Scores here are
divided by length ** alpha, with an alpha of 1 unless a recipe says otherwise, and the penalty is divided with them: added whole, it weighed
as many times more as the translation is long, and chose translations that are too long. Their beta of 0.2 fits both ways.
"""

import torch
from torch import Tensor


def coverage_penalty(weights_TS: Tensor) -> float:
    """sum_i log(min(sum_j p_ij, 1)), p_ij being the attention of target piece j to source piece i (Wu et al. 2016, eq. 14, for beta = 1).

    0 if each source piece has had all the attention of one target piece or more, below 0 otherwise. The last column, the end of the
    source, calls for no translation and does not count; the last row, the end of the target, does.
    """
    covered_S = weights_TS[:, :-1].sum(0)
    return float(covered_S.clamp(torch.finfo(covered_S.dtype).tiny, 1).log().sum())
