"""The search kernels in compiled code: the same choices from the same logits."""

import torch
from torch import Tensor

from nmt.native import AdvanceArrays, LogitsArrays, address, functions
from nmt.search.hypotheses import BeamRecord
from nmt.search.kernels import FEW, MULTIPLE, Beam, BestPieces, NextRows, Rules, SearchKernels


def _best_pieces(logits_NV: Tensor, forbidden_F: Tensor, scored: bool) -> BestPieces:
    N = logits_NV.shape[0]
    found = BestPieces(torch.empty(N), _integers(N), torch.empty(N))
    functions().nmt_best_pieces(_logits(logits_NV, forbidden_F, scored), *map(address, found))
    return found


def _advance(logits_NV: Tensor, beam: Beam, rules: Rules) -> tuple[BeamRecord, NextRows, Beam]:
    (B, K), P, Q = beam.log_probs_BK.shape, rules.beam, beam.best_BQ.shape[1]
    picks = BeamRecord(
        beam.sentences_B, _integers(B, P), _integers(B, P), torch.empty(B, P), torch.empty(B, P)
    )
    after = Beam(
        length=beam.length + 1,
        picked=beam.picked + B * P,
        sentences_B=_integers(B),
        max_lengths_B=_integers(B),
        log_probs_BK=torch.empty(B, P),
        origins_BK=_integers(B, P),
        free_B=_integers(B),
        best_BQ=torch.empty(B, Q),
    )
    pieces_N, rows_N, stay_B = _integers(B * P), _integers(B * P), _integers(B)
    arrays = AdvanceArrays(
        sentences=B,
        beam=K,
        picks=P,
        n_best=Q,
        eos=rules.eos,
        length=beam.length,
        picked=beam.picked,
        few=FEW,
        multiple=MULTIPLE,
        numbers=address(beam.sentences_B),
        max_lengths=address(beam.max_lengths_B),
        log_probs=address(beam.log_probs_BK),
        origins=address(beam.origins_BK),
        free=address(beam.free_B),
        best=address(beam.best_BQ),
        divisors=address(rules.divisors_T),
        parents=address(picks.parents_BP),
        pieces=address(picks.pieces_BP),
        log_probs_now=address(picks.log_probs_BP),
        scores=address(picks.scores_BP),
        numbers_after=address(after.sentences_B),
        max_lengths_after=address(after.max_lengths_B),
        log_probs_after=address(after.log_probs_BK),
        origins_after=address(after.origins_BK),
        free_after=address(after.free_B),
        best_after=address(after.best_BQ),
        pieces_after=address(pieces_N),
        rows_after=address(rows_N),
        stay=address(stay_B),
    )
    functions().nmt_advance(_logits(logits_NV, rules.forbidden(beam.length), rules.scored), arrays)
    S, width = arrays.staying, arrays.width
    after.log_probs_BK.resize_(S, width), after.origins_BK.resize_(S, width)
    pieces_N.resize_(S * width), rows_N.resize_(S * width)
    if S < B:
        after.best_BQ.resize_(S, Q)
        for tensor in (after.sentences_B, after.max_lengths_B, after.free_B, stay_B):
            tensor.resize_(S)
    resting = S == B and K == width == 1
    return picks, NextRows(pieces_N, None if resting else rows_N, stay_B if S < B else None), after


def _logits(logits_NV: Tensor, forbidden_F: Tensor, scored: bool) -> LogitsArrays:
    return LogitsArrays(
        logits=address(logits_NV),
        rows=logits_NV.shape[0],
        columns=logits_NV.shape[1],
        forbidden=address(forbidden_F),
        forbidden_count=forbidden_F.shape[0],
        softmax=scored,
    )


def _integers(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.long)


COMPILED = SearchKernels(_best_pieces, _advance)  # for logits in whole blocks of 64 columns
