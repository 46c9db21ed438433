"""nmt.search.candidates and front in compiled code: the same choices from the same logits."""

import torch
from torch import Tensor

from nmt.native import AdvanceArrays, address, functions
from nmt.search.candidates import BLOCK, Rows
from nmt.search.chooser import Chooser
from nmt.search.front import Front, Onward, Rules
from nmt.search.leaving import FEW, MULTIPLE
from nmt.search.picks import Picks


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


def _advance(rows: Rows, front: Front, rules: Rules) -> tuple[Picks, Onward, Front]:
    (B, K), Q, V = front.log_probs_BK.shape, front.best_BQ.shape[1], rows.logits_NV.shape[1]
    P = min(rules.beam, K * V)
    picks = Picks(
        front.sentences_B, _integers(B, P), _integers(B, P), torch.empty(B, P), torch.empty(B, P), torch.empty(B, P, dtype=torch.bool)
    )
    after = Front(
        length=front.length + 1,
        picked=front.picked + B * P,
        sentences_B=_integers(B),
        max_lengths_B=_integers(B),
        log_probs_BK=torch.empty(B, P),
        origins_BK=_integers(B, P),
        free_B=_integers(B),
        best_BQ=torch.empty(B, Q),
    )
    pieces_N, rows_N, stay_B = _integers(B * P), _integers(B * P), _integers(B)
    tensors = (*rows, *front[2:], rules.divisors_T, *picks[1:], *after[2:], pieces_N, rows_N, stay_B)
    arrays = AdvanceArrays(B, K, V, P, Q, rules.eos, front.length, front.picked, FEW, MULTIPLE, *map(address, tensors))
    functions().nmt_advance(arrays)
    S, width = arrays.staying, arrays.width
    after.log_probs_BK.resize_(S, width), after.origins_BK.resize_(S, width)
    pieces_N.resize_(S * width), rows_N.resize_(S * width)
    if S < B:
        after.best_BQ.resize_(S, Q)
        for tensor in (after.sentences_B, after.max_lengths_B, after.free_B, stay_B):
            tensor.resize_(S)
    resting = S == B and K == width == 1
    return picks, Onward(pieces_N, None if resting else rows_N, stay_B if S < B else None), after


def _integers(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.long)


NATIVE = Chooser(_look, _best_pieces, _advance)  # for logits in whole blocks of 64 columns
