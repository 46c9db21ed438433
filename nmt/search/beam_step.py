"""The prefixes that a beam search continues, and what the logits of a step make of them.

Dimensions besides the legend: P = beam picks of a sentence at a step (its best continuations), Q
n-best list.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nmt.search.hypotheses import Picks
from nmt.search.step import Rules, staying
from nmt.search.top import BestPieces, Candidates, Rows, best_candidates, best_pieces, look


class Front(NamedTuple):
    """The prefixes that are being continued; live ones come first among the K of their sentence."""

    length: int  # of the hypotheses that the next picks finish
    picked: int  # picks of all steps before
    sentences_B: Tensor  # their numbers in the first batch
    max_lengths_B: Tensor
    log_probs_BK: Tensor  # -inf where there is no prefix
    origins_BK: (
        Tensor  # the pick that each prefix came from, counted from the first step on; -1: none
    )
    free_B: Tensor  # slots without a finished hypothesis
    best_BQ: Tensor  # scores of the best finished hypotheses, best first; -inf where there is none


class Onward(NamedTuple):
    """The rows of the next step."""

    pieces_N: Tensor  # their last pieces
    rows_N: (
        Tensor | None
    )  # the rows of this step that they continue; None: each goes on where it is
    sentences_B: Tensor | None  # the sentences of this step that stay; None: all


def first_front(
    max_lengths: Sequence[int], beam: int, n_best: int, device: torch.device | str
) -> Front:
    """One empty prefix for each sentence."""
    B = len(max_lengths)
    return Front(
        length=1,
        picked=0,
        sentences_B=torch.arange(B, device=device),
        max_lengths_B=torch.tensor(max_lengths, dtype=torch.long, device=device),
        log_probs_BK=torch.zeros(B, 1, device=device),
        origins_BK=torch.full((B, 1), -1, device=device),
        free_B=torch.full((B,), beam, device=device),
        best_BQ=torch.full((B, n_best), -torch.inf, device=device),
    )


def advance(logits_NV: Tensor, front: Front, rules: Rules) -> tuple[Picks, Onward, Front]:
    """What is picked, and the front of the prefixes that go on, without the sentences that are
    done. Overwrites forbidden logits."""
    candidates = _candidates(
        look(logits_NV, rules.forbidden(front.length), rules.scored), front, rules
    )
    picks, slots_BP = _pick(candidates, front, rules), candidates.slots_BP
    (B, P), K, device = slots_BP.shape, front.log_probs_BK.shape[1], slots_BP.device
    finished_BP = picks.scores_BP > -torch.inf
    best_BQ = torch.cat([front.best_BQ, picks.scores_BP], 1).topk(front.best_BQ.shape[1], 1).values
    live_BP, order_BP = picks.log_probs_BP.masked_fill(finished_BP, -torch.inf).sort(
        dim=1, descending=True, stable=True
    )
    bounds_B1 = (
        live_BP[:, :1] / rules.divisors_T[front.max_lengths_B - 1, None]
    )  # no continuation of the best prefix can score above
    live_BP.masked_fill_(bounds_B1 <= best_BQ[:, -1:], -torch.inf)
    widths: list[int] = (live_BP > -torch.inf).sum(1).tolist()
    stay = staying(
        [width > 0 for width in widths]
    )  # one that is done and stays has no live prefix, and gets none
    sentences_B = None if len(stay) == B else torch.tensor(stay, dtype=torch.long, device=device)
    stays_B = slice(None) if sentences_B is None else sentences_B
    order_BK, firsts_B1 = (
        order_BP[stays_B, : max(widths)],
        torch.arange(B, device=device)[stays_B, None],
    )
    after = Front(
        length=front.length + 1,
        picked=front.picked + B * P,
        sentences_B=front.sentences_B[stays_B],
        max_lengths_B=front.max_lengths_B[stays_B],
        log_probs_BK=live_BP[stays_B, : max(widths)],
        origins_BK=order_BK + (front.picked + firsts_B1 * P),
        free_B=(front.free_B - finished_BP.sum(1))[stays_B],
        best_BQ=best_BQ[stays_B],
    )
    pieces_N = picks.pieces_BP[stays_B].gather(1, order_BK).view(-1)
    rows_N = (slots_BP[stays_B].gather(1, order_BK) + firsts_B1 * K).view(-1)
    resting = sentences_B is None and K == max(widths) == 1
    return picks, Onward(pieces_N, None if resting else rows_N, sentences_B), after


def _candidates(rows: Rows, front: Front, rules: Rules) -> Candidates:
    """The `beam` best continuations of each sentence; for a sentence at its max_length only the
    ends of its prefixes."""
    totals_BP, slots_BP, pieces_BP = best_candidates(rows, front.log_probs_BK, rules.beam)
    if missing := rules.beam - totals_BP.shape[1]:
        totals_BP = functional.pad(totals_BP, (0, missing), value=-torch.inf)
        slots_BP, pieces_BP = (
            functional.pad(slots_BP, (0, missing)),
            functional.pad(pieces_BP, (0, missing)),
        )
    if front.length not in rules.max_lengths:
        return Candidates(totals_BP, slots_BP, pieces_BP)
    (B, K), P = front.log_probs_BK.shape, totals_BP.shape[1]
    last_B1 = (front.max_lengths_B == front.length)[:, None]
    ends_BK = (rows.logits_NV[:, rules.eos] - rows.normalisers_N).view(B, K) + front.log_probs_BK
    ends_BP = functional.pad(ends_BK, (0, P - K), value=-torch.inf)
    end_slots_P = torch.arange(P, device=slots_BP.device).clamp_(max=K - 1)
    return Candidates(
        torch.where(last_B1, ends_BP, totals_BP),
        torch.where(last_B1, end_slots_P, slots_BP),
        pieces_BP.masked_fill(last_B1, rules.eos),
    )


def _pick(candidates: Candidates, front: Front, rules: Rules) -> Picks:
    """The candidates that take the free slots of their sentence."""
    totals_BP, slots_BP, pieces_BP = candidates
    free_BP = torch.arange(totals_BP.shape[1], device=totals_BP.device) < front.free_B[:, None]
    log_probs_BP = torch.where(free_BP & (totals_BP > -torch.inf), totals_BP, -torch.inf)
    scores_BP = (log_probs_BP / rules.divisors_T[front.length - 1]).masked_fill_(
        pieces_BP != rules.eos, -torch.inf
    )
    return Picks(
        front.sentences_B, front.origins_BK.gather(1, slots_BP), pieces_BP, log_probs_BP, scores_BP
    )


class Chooser(NamedTuple):
    """How logits become the rows of the next step: torch's functions, or others that choose the
    same, faster."""

    best_pieces: Callable[[Tensor, Tensor, bool], BestPieces]  # greedy search
    advance: Callable[[Tensor, Front, Rules], tuple[Picks, Onward, Front]]  # beam search
    whole: Callable[[Any, Sequence[int], int, Rules], list[list[int]]] | None = (
        None  # greedy search without scores, from state to pieces
    )


TORCH = Chooser(best_pieces, advance)
