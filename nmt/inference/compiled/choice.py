"""nmt.search.candidates in compiled code: the same choices from the same logits."""

import torch
from torch import Tensor

from nmt.native import address, functions
from nmt.search.candidates import BLOCK, Candidates, Chooser, Rows


def _look(logits_NV: Tensor, forbidden_F: Tensor, scored: bool) -> Rows:
    N, V = logits_NV.shape
    maxima_NM = torch.empty(N, V // BLOCK)
    normalisers_N = torch.empty(N) if scored else torch.zeros(N)
    logits, forbidden, maxima = address(logits_NV), address(forbidden_F), address(maxima_NM)
    functions().nmt_look(logits, N, V, forbidden, len(forbidden_F), maxima, address(normalisers_N) if scored else None)
    return Rows(logits_NV, maxima_NM, normalisers_N)


def _best_pieces(rows: Rows) -> tuple[Tensor, Tensor]:
    N, V = rows.logits_NV.shape
    values_N, pieces_N = torch.empty(N), torch.empty(N, dtype=torch.long)
    functions().nmt_best_pieces(address(rows.logits_NV), address(rows.maxima_NM), N, V, address(values_N), address(pieces_N))
    return values_N, pieces_N


def _best_candidates(rows: Rows, log_probs_BK: Tensor, count: int) -> Candidates:
    B, K = log_probs_BK.shape
    V = rows.logits_NV.shape[1]
    count = min(count, K * V)
    prefixes_BK = log_probs_BK.contiguous()
    totals_BP, slots_BP = torch.empty(B, count), torch.empty(B, count, dtype=torch.long)
    pieces_BP = torch.empty_like(slots_BP)
    inputs = [address(tensor) for tensor in (rows.logits_NV, rows.maxima_NM, rows.normalisers_N, prefixes_BK)]
    outputs = [address(tensor) for tensor in (totals_BP, slots_BP, pieces_BP)]
    functions().nmt_best_candidates(*inputs, B, K, V, count, *outputs)
    return Candidates(totals_BP, slots_BP, pieces_BP)


NATIVE = Chooser(_look, _best_pieces, _best_candidates)  # for logits in whole blocks of 64 columns
