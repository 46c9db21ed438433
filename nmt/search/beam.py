"""Beam search over a network: it knows neither the network's form nor the text.

Dimensions besides the legend: P = beam picks of a sentence at a step (its best continuations), Q
n-best list, F forbidden pieces.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nmt.search.constraints import Constrained
from nmt.search.greedy import greedy_search
from nmt.search.hypotheses import (
    BeamRecord,
    Hypothesis,
    in_pieces,
    read_hypotheses,
    record_in_pieces,
)
from nmt.search.settings import SearchSettings
from nmt.search.step import Beam, Network, NextRows, Rules, S, SearchKernels, rows_to_keep
from nmt.search.top import Candidates, Rows, best_candidates, best_pieces, look


class SearchResult(NamedTuple):
    """What a search found."""

    hypotheses: list[list[Hypothesis]]  # the n best of each sentence, best first
    record: list[BeamRecord]  # what each step picked; empty unless settings.recorded


def beam_search(
    network: Network[Any],
    sources: Sequence[Sequence[int]],
    settings: SearchSettings,
    prefixes: Sequence[Sequence[int]] = (),
) -> SearchResult:
    """The hypotheses of each source, equal scores in the order in which they were finished.

    Sources and prefixes are pieces without the end of sentence. With prefixes, one for each
    source, each hypothesis begins with its source's; no shortlist is used then, which might lack
    their pieces.

    The first step has one row a sentence. A finished hypothesis keeps its slot, so that the beam of
    its sentence shrinks by one. A sentence leaves the batch when every slot is finished, or when no
    live prefix can beat the n_best-th finished hypothesis: a prefix of log-probability p cannot
    score above p / max_length ** length_alpha. At its max_length a hypothesis can only end.

    Raises:
        NmtError: the logits of a sentence are not finite, or a setting is out of range.
    """
    max_lengths = settings.max_lengths(sources, prefixes)
    if any(prefixes) or settings.no_repeat_ngram:
        network = Constrained(network, prefixes, settings.no_repeat_ngram)
    with torch.inference_mode(), network.autocast():
        state = network.start(sources)
        rules = _rules(settings, max_lengths, network.device)
        if settings.beam == 1 and not settings.recorded:
            best = greedy_search(network, state, max_lengths, settings, rules)
            found, record = [[each] for each in best], list[BeamRecord]()
        else:
            record = _search(network, state, max_lengths, settings, rules)
            found = read_hypotheses(record, len(sources), settings.n_best)
        candidates = network.candidates(state)
        if settings.recorded:
            record = record_in_pieces(record, candidates)
        return SearchResult(in_pieces(found, candidates), record if settings.recorded else [])


def _search(
    network: Network[S],
    state: S,
    max_lengths: Sequence[int],
    settings: SearchSettings,
    rules: Rules,
) -> list[BeamRecord]:
    record = []
    beam = first_beam(max_lengths, settings.beam, settings.n_best, network.device)
    pieces_N = torch.full((len(max_lengths),), settings.bos, device=network.device)
    advance = network.search_kernels.advance
    while beam.sentences_B.numel():
        logits_NV, state = network.step(pieces_N, state)
        picks, (pieces_N, rows_N, sentences_B), beam = advance(logits_NV, beam, rules)
        record.append(picks)
        if rows_N is not None and rows_N.numel():
            state = state.select(rows_N, sentences_B)
    return record


def _rules(settings: SearchSettings, max_lengths: Sequence[int], device: torch.device) -> Rules:
    lengths_T = torch.arange(1, max(max_lengths, default=1) + 1, dtype=torch.float64)
    never_F, early_F = (
        torch.tensor(pieces, dtype=torch.long, device=device)
        for pieces in (settings.forbidden, (*settings.forbidden, settings.eos))
    )
    return Rules(
        beam=settings.beam,
        eos=settings.eos,
        min_length=settings.min_length,
        max_lengths=frozenset(max_lengths),
        never_F=never_F,
        early_F=early_F,
        divisors_T=(lengths_T**settings.length_alpha).to(device, torch.float32),
        scored=settings.scored,
    )


def first_beam(
    max_lengths: Sequence[int], beam: int, n_best: int, device: torch.device | str
) -> Beam:
    """One empty prefix for each sentence."""
    B = len(max_lengths)
    return Beam(
        length=1,
        picked=0,
        sentences_B=torch.arange(B, device=device),
        max_lengths_B=torch.tensor(max_lengths, dtype=torch.long, device=device),
        log_probs_BK=torch.zeros(B, 1, device=device),
        origins_BK=torch.full((B, 1), -1, device=device),
        free_B=torch.full((B,), beam, device=device),
        best_BQ=torch.full((B, n_best), -torch.inf, device=device),
    )


def advance(logits_NV: Tensor, beam: Beam, rules: Rules) -> tuple[BeamRecord, NextRows, Beam]:
    """What is picked, and the beam of the prefixes that go on, without the sentences that are
    done. Overwrites forbidden logits."""
    candidates = _candidates(
        look(logits_NV, rules.forbidden(beam.length), rules.scored), beam, rules
    )
    picks, slots_BP = _pick(candidates, beam, rules), candidates.slots_BP
    (B, P), K, device = slots_BP.shape, beam.log_probs_BK.shape[1], slots_BP.device
    finished_BP = picks.scores_BP > -torch.inf
    best_BQ = torch.cat([beam.best_BQ, picks.scores_BP], 1).topk(beam.best_BQ.shape[1], 1).values
    live_BP, order_BP = picks.log_probs_BP.masked_fill(finished_BP, -torch.inf).sort(
        dim=1, descending=True, stable=True
    )
    bounds_B1 = (
        live_BP[:, :1] / rules.divisors_T[beam.max_lengths_B - 1, None]
    )  # no continuation of the best prefix can score above
    live_BP.masked_fill_(bounds_B1 <= best_BQ[:, -1:], -torch.inf)
    widths: list[int] = (live_BP > -torch.inf).sum(1).tolist()
    stay = rows_to_keep(
        [width > 0 for width in widths]
    )  # one that is done and stays has no live prefix, and gets none
    sentences_B = None if len(stay) == B else torch.tensor(stay, dtype=torch.long, device=device)
    stays_B = slice(None) if sentences_B is None else sentences_B
    order_BK, firsts_B1 = (
        order_BP[stays_B, : max(widths)],
        torch.arange(B, device=device)[stays_B, None],
    )
    after = Beam(
        length=beam.length + 1,
        picked=beam.picked + B * P,
        sentences_B=beam.sentences_B[stays_B],
        max_lengths_B=beam.max_lengths_B[stays_B],
        log_probs_BK=live_BP[stays_B, : max(widths)],
        origins_BK=order_BK + (beam.picked + firsts_B1 * P),
        free_B=(beam.free_B - finished_BP.sum(1))[stays_B],
        best_BQ=best_BQ[stays_B],
    )
    pieces_N = picks.pieces_BP[stays_B].gather(1, order_BK).view(-1)
    rows_N = (slots_BP[stays_B].gather(1, order_BK) + firsts_B1 * K).view(-1)
    resting = sentences_B is None and K == max(widths) == 1
    return picks, NextRows(pieces_N, None if resting else rows_N, sentences_B), after


def _candidates(rows: Rows, beam: Beam, rules: Rules) -> Candidates:
    """The `beam` best continuations of each sentence; for a sentence at its max_length only the
    ends of its prefixes."""
    totals_BP, slots_BP, pieces_BP = best_candidates(rows, beam.log_probs_BK, rules.beam)
    if missing := rules.beam - totals_BP.shape[1]:
        totals_BP = functional.pad(totals_BP, (0, missing), value=-torch.inf)
        slots_BP, pieces_BP = (
            functional.pad(slots_BP, (0, missing)),
            functional.pad(pieces_BP, (0, missing)),
        )
    if beam.length not in rules.max_lengths:
        return Candidates(totals_BP, slots_BP, pieces_BP)
    (B, K), P = beam.log_probs_BK.shape, totals_BP.shape[1]
    last_B1 = (beam.max_lengths_B == beam.length)[:, None]
    ends_BK = (rows.logits_NV[:, rules.eos] - rows.normalisers_N).view(B, K) + beam.log_probs_BK
    ends_BP = functional.pad(ends_BK, (0, P - K), value=-torch.inf)
    end_slots_P = torch.arange(P, device=slots_BP.device).clamp_(max=K - 1)
    return Candidates(
        torch.where(last_B1, ends_BP, totals_BP),
        torch.where(last_B1, end_slots_P, slots_BP),
        pieces_BP.masked_fill(last_B1, rules.eos),
    )


def _pick(candidates: Candidates, beam: Beam, rules: Rules) -> BeamRecord:
    """The candidates that take the free slots of their sentence."""
    totals_BP, slots_BP, pieces_BP = candidates
    free_BP = torch.arange(totals_BP.shape[1], device=totals_BP.device) < beam.free_B[:, None]
    log_probs_BP = torch.where(free_BP & (totals_BP > -torch.inf), totals_BP, -torch.inf)
    scores_BP = (log_probs_BP / rules.divisors_T[beam.length - 1]).masked_fill_(
        pieces_BP != rules.eos, -torch.inf
    )
    return BeamRecord(
        beam.sentences_B, beam.origins_BK.gather(1, slots_BP), pieces_BP, log_probs_BP, scores_BP
    )


TORCH = SearchKernels(best_pieces, advance)
