"""Beam search over a step function: it knows neither the network nor the text.

Dimensions besides the legend: P picks of a sentence at a step (its best continuations), F forbidden pieces, Q n-best list.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nmt.errors import NmtError
from nmt.search.candidates import TORCH, Candidates, Chooser
from nmt.search.greedy import Ends, greedy_search
from nmt.search.leaving import staying
from nmt.search.picks import Hypothesis, Picks, read_hypotheses
from nmt.search.step import S, SearchState, Step

__all__ = ["Hypothesis", "SearchState", "Step", "beam_search"]


class _Settings(NamedTuple):
    """What stays the same during a search."""

    beam: int
    eos: int
    forbidden_F: Tensor  # never picked
    early_F: Tensor  # never picked below min_length: the same and the end of sentence
    min_length: int
    divisors_T: Tensor  # length ** length_alpha for the lengths 1, 2, ...
    scored: bool
    chooser: Chooser


class _Front(NamedTuple):
    """The prefixes that are being continued; live ones come first among the K of their sentence."""

    length: int  # of the hypotheses that the next picks finish
    sentences: list[int]  # B sentence numbers in the first batch
    max_lengths: list[int]  # B
    limits_B: Tensor  # max_length ** length_alpha
    log_probs_BK: Tensor  # -inf where there is no prefix
    origins_BK: Tensor  # the pick that each prefix came from, among the B * P of its step
    free_B: Tensor  # slots without a finished hypothesis
    best_BQ: Tensor  # scores of the best finished hypotheses, best first; -inf where there is none


def beam_search(
    step: Step[S],
    state: S,
    *,
    max_lengths: Sequence[int],
    beam: int,
    length_alpha: float,
    n_best: int = 1,
    bos: int,
    eos: int,
    min_length: int = 0,
    forbidden: Sequence[int] = (),
    scored: bool = True,
    record: list[Picks] | None = None,
    device: torch.device | str = "cpu",
    chooser: Chooser = TORCH,
) -> list[list[Hypothesis]]:
    """The `n_best` hypotheses of each sentence, best first; equal scores in the order in which they were finished.

    The first step has one row a sentence. A finished hypothesis keeps its slot, so that the beam of its sentence shrinks by one. A sentence
    leaves the batch when every slot is finished, or when no live prefix can beat the n_best-th finished hypothesis: a prefix of
    log-probability p cannot score above p / max_length ** length_alpha. At its max_length a hypothesis can only end.
    Lengths count the end of sentence. `forbidden` pieces keep their share of the probability but are never picked. A beam of 1 that is
    not `scored` leaves the softmax out: the same pieces, log_prob and score are nan. An empty list given as
    `record` receives what each step picked.
    Raises: NmtError for settings out of range, and if the logits of a sentence are not finite.
    """
    _check(max_lengths, beam, length_alpha, n_best, min_length, eos in forbidden, scored)
    with torch.inference_mode():
        divisors_T = (torch.arange(1, max(max_lengths, default=1) + 1, dtype=torch.float64) ** length_alpha).to(device, torch.float32)
        never_F, early_F = (torch.tensor(pieces, dtype=torch.long, device=device) for pieces in ([*forbidden], [*forbidden, eos]))
        if beam == 1 and record is None:
            ends = Ends(list(max_lengths), min_length, eos, never_F, early_F)
            return [[found] for found in greedy_search(step, state, bos, ends, length_alpha, scored, chooser)]
        record = [] if record is None else record
        settings = _Settings(beam, eos, never_F, early_F, min_length, divisors_T, scored, chooser)
        front = _first_front(max_lengths, beam, n_best, divisors_T)
        pieces_N = torch.full((len(max_lengths),), bos, device=device)
        while front.sentences:
            logits_NV, state = step(pieces_N, state)
            candidates = _candidates(logits_NV, front, settings)
            record.append(_pick(candidates, front, settings))
            pieces_N, state, front = _advance(record[-1], candidates.slots_BP, state, front)
    return read_hypotheses(record, len(max_lengths), n_best)


def _check(
    max_lengths: Sequence[int], beam: int, length_alpha: float, n_best: int, min_length: int, eos_forbidden: bool, scored: bool
) -> None:
    if beam < 1:
        raise NmtError(f"the beam is a number of hypotheses, got {beam}; give 1 or more")
    if not 1 <= n_best <= beam:
        raise NmtError(f"an n-best list is no longer than the beam of {beam}, got n_best = {n_best}; give 1 to {beam}")
    if not 0 <= length_alpha < float("inf"):
        raise NmtError(f"length_alpha is an exponent of the length, got {length_alpha}; give 0 or more")
    if min(max_lengths, default=1) < max(1, min_length):
        raise NmtError(f"a sentence has max_length {min(max_lengths)}, below {max(1, min_length)}; give every sentence room to end")
    if eos_forbidden:
        raise NmtError("the end of sentence is among the forbidden pieces; leave it out, or no hypothesis can end")
    if not scored and beam > 1:
        raise NmtError(f"a search without scores is greedy, got beam = {beam}; give a beam of 1 or scored = True")


def _first_front(max_lengths: Sequence[int], beam: int, n_best: int, divisors_T: Tensor) -> _Front:
    B, device = len(max_lengths), divisors_T.device
    return _Front(
        length=1,
        sentences=list(range(B)),
        max_lengths=list(max_lengths),
        limits_B=divisors_T[torch.tensor(max_lengths, dtype=torch.long, device=device) - 1],
        log_probs_BK=torch.zeros(B, 1, device=device),
        origins_BK=torch.full((B, 1), -1, device=device),
        free_B=torch.full((B,), beam, device=device),
        best_BQ=torch.full((B, n_best), -torch.inf, device=device),
    )


def _candidates(logits_NV: Tensor, front: _Front, settings: _Settings) -> Candidates:
    """The best continuations of each sentence; for a sentence at its max_length only the ends of its prefixes."""
    B, K = front.log_probs_BK.shape
    rows = settings.chooser.look(
        logits_NV, settings.early_F if front.length < settings.min_length else settings.forbidden_F, settings.scored
    )
    totals_BP, slots_BP, pieces_BP = settings.chooser.best_candidates(rows, front.log_probs_BK, settings.beam)
    last = [front.length == max_length for max_length in front.max_lengths]
    if not any(last):
        return Candidates(totals_BP, slots_BP, pieces_BP)
    last_B1 = torch.tensor(last, device=logits_NV.device)[:, None]
    ends_BK = (logits_NV[:, settings.eos] - rows.normalisers_N).view(B, K) + front.log_probs_BK
    ends_BP = functional.pad(ends_BK, (0, totals_BP.shape[1] - K), value=-torch.inf)
    end_slots_P = torch.arange(totals_BP.shape[1], device=logits_NV.device).clamp_(max=K - 1)
    return Candidates(
        torch.where(last_B1, ends_BP, totals_BP), torch.where(last_B1, end_slots_P, slots_BP), pieces_BP.masked_fill(last_B1, settings.eos)
    )


def _pick(candidates: Candidates, front: _Front, settings: _Settings) -> Picks:
    """The candidates that take the free slots of their sentence."""
    totals_BP, slots_BP, pieces_BP = candidates
    kept_BP = (torch.arange(totals_BP.shape[1], device=totals_BP.device) < front.free_B[:, None]) & (totals_BP > -torch.inf)
    open_BP = ~kept_BP | (pieces_BP != settings.eos)
    scores_BP = (totals_BP / settings.divisors_T[front.length - 1]).masked_fill_(open_BP, -torch.inf)
    return Picks(front.sentences, front.origins_BK.gather(1, slots_BP), pieces_BP, totals_BP, scores_BP, kept_BP)


def _advance(picks: Picks, slots_BP: Tensor, state: S, front: _Front) -> tuple[Tensor, S, _Front]:
    """The last pieces, the state and the front of the prefixes that go on, without the sentences that are done."""
    B, P = slots_BP.shape
    K, device = front.log_probs_BK.shape[1], slots_BP.device
    finished_BP = picks.scores_BP > -torch.inf
    best_BQ = torch.cat([front.best_BQ, picks.scores_BP], 1).topk(front.best_BQ.shape[1], 1).values
    live_BP = picks.log_probs_BP.masked_fill(~picks.kept_BP | finished_BP, -torch.inf)
    live_BP, order_BP = live_BP.sort(dim=1, descending=True, stable=True)
    live_BP.masked_fill_(live_BP[:, :1] / front.limits_B[:, None] <= best_BQ[:, -1:], -torch.inf)
    widths: list[int] = (live_BP > -torch.inf).sum(1).tolist()
    stay = staying([width > 0 for width in widths])  # one that is done and stays has no live prefix, and gets none
    sentences_B = None if len(stay) == B else torch.tensor(stay, dtype=torch.long, device=device)
    stays_B = slice(None) if sentences_B is None else sentences_B
    order_BK = order_BP[stays_B, : max(widths)]
    firsts_B1 = torch.arange(B, device=device)[stays_B, None]
    if stay and (sentences_B is not None or max(widths) > 1 or K > 1):  # else every row goes on where it is
        state = state.select((slots_BP[stays_B].gather(1, order_BK) + firsts_B1 * K).view(-1), sentences_B)
    front = _Front(
        length=front.length + 1,
        sentences=[front.sentences[sentence] for sentence in stay],
        max_lengths=[front.max_lengths[sentence] for sentence in stay],
        limits_B=front.limits_B[stays_B],
        log_probs_BK=live_BP[stays_B, : max(widths)],
        origins_BK=order_BK + firsts_B1 * P,
        free_B=(front.free_B - finished_BP.sum(1))[stays_B],
        best_BQ=best_BQ[stays_B],
    )
    return picks.pieces_BP[stays_B].gather(1, order_BK).view(-1), state, front
