"""Beam search over a network: it knows neither the network's form nor the text.

Dimensions besides the legend: P = beam picks of a sentence at a step (its best continuations), Q
n-best list, F forbidden pieces.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import torch

from nmt.errors import NmtError
from nmt.search.constraints import Constrained
from nmt.search.greedy import greedy_search
from nmt.search.hypotheses import (
    BeamRecord,
    Hypothesis,
    in_pieces,
    read_hypotheses,
    record_in_pieces,
)
from nmt.search.kernels import Beam, Rules
from nmt.search.settings import SearchSettings
from nmt.search.step import Network, S

LARGEST = torch.finfo(torch.float32).max


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
    max_lengths = longest_outputs(settings, sources, prefixes)
    if any(prefixes) or settings.no_repeat_ngram:
        network = Constrained(network, prefixes, settings.no_repeat_ngram)
    with torch.inference_mode(), network.autocast():
        state = network.start(sources)
        rules = _rules(settings, max_lengths, network.device)
        candidates = network.candidates(state)
        if settings.beam == 1 and not settings.recorded:
            best = greedy_search(network, state, max_lengths, settings, rules)
            return SearchResult(in_pieces([[each] for each in best], candidates), [])
        record = _search(network, state, max_lengths, settings, rules)
        found = read_hypotheses(record, len(sources), settings.n_best, candidates)
        return SearchResult(
            found, record_in_pieces(record, candidates) if settings.recorded else []
        )


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


def longest_outputs(
    settings: SearchSettings,
    sources: Sequence[Sequence[int]],
    prefixes: Sequence[Sequence[int]] = (),
) -> list[int]:
    """Pieces that the hypotheses of each source may have: length_factor * source pieces +
    length_extra, at most max_length, but at least what min_length and the prefix need.

    Raises:
        NmtError: length ** length_alpha would be infinite.
    """
    found = []
    for source, prefix in zip_longest(sources, prefixes, fillvalue=()):
        length = int(settings.length_factor * len(source)) + settings.length_extra
        length = length if settings.max_length is None else min(length, settings.max_length)
        found.append(max(length, settings.min_length, len(prefix) + 1))
    if max(found, default=1) ** settings.length_alpha > LARGEST:
        raise NmtError(
            f"length_alpha is too large for outputs of {max(found):,} pieces, got"
            f" {settings.length_alpha}; 1 is typical"
        )
    return found
