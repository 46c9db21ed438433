"""Greedy search: a beam of 1 with little more work a step than an arg-max."""

import math
from collections.abc import Sequence

import torch

from nmt.search.hypotheses import Hypothesis, nothing_finite
from nmt.search.kernels import Rules, rows_to_keep
from nmt.search.settings import SearchSettings
from nmt.search.step import Network, S

FEW = 20_000  # logits: so many are faster looked at one by one than in blocks


def greedy_search(
    network: Network[S],
    state: S,
    max_lengths: Sequence[int],
    settings: SearchSettings,
    rules: Rules,
) -> list[Hypothesis]:
    """One hypothesis for each sentence: at each step the likeliest piece, of equal ones the
    first."""
    kernels = network.search_kernels
    if kernels.whole is not None and not rules.scored:
        return [
            Hypothesis(tuple(pieces), math.nan, math.nan)
            for pieces in kernels.whole(state, max_lengths, settings.bos, rules)
        ]
    sentences = list(range(len(max_lengths)))  # those in the batch, one row each
    going = [True] * len(sentences)  # which of them are not finished
    pieces: list[list[int]] = [[] for _ in sentences]
    found = [Hypothesis((), math.nan, math.nan)] * len(sentences)
    pieces_N = torch.full((len(sentences),), settings.bos, device=network.device)
    log_probs_N = torch.zeros(len(sentences), device=network.device)
    length = 0
    while sentences:
        length += 1
        logits_NV, state = network.step(pieces_N, state)
        forbidden_F = rules.forbidden(length)
        if not rules.scored and logits_NV.numel() <= FEW:
            values_N, pieces_N = logits_NV.index_fill_(1, forbidden_F, -torch.inf).max(1)
        else:
            values_N, pieces_N, normalisers_N = kernels.best_pieces(
                logits_NV, forbidden_F, rules.scored
            )
        if length in rules.max_lengths:
            must_end = [
                n for n, sentence in enumerate(sentences) if max_lengths[sentence] == length
            ]
            pieces_N[must_end] = rules.eos
            values_N[must_end] = logits_NV[must_end, rules.eos] - (
                normalisers_N[must_end] if rules.scored else 0.0
            )
        log_probs_N = log_probs_N + values_N
        picked = pieces_N.tolist()
        for sentence, piece in zip(sentences, picked, strict=True):
            pieces[sentence].append(piece)
        if rules.eos not in picked:
            continue
        for n, (sentence, piece, log_prob) in enumerate(
            zip(sentences, picked, log_probs_N.tolist(), strict=True)
        ):
            if going[n] and piece == rules.eos:
                going[n] = False
                found[sentence] = _finished(
                    sentence,
                    pieces[sentence][:-1],
                    log_prob,
                    length**settings.length_alpha,
                    rules.scored,
                )
        stay = rows_to_keep(going)
        if len(stay) < len(sentences):
            sentences, going = [sentences[n] for n in stay], [going[n] for n in stay]
            stay_N = torch.tensor(stay, dtype=torch.long, device=pieces_N.device)
            pieces_N, log_probs_N = pieces_N[stay_N], log_probs_N[stay_N]
            state = state.select(stay_N, stay_N) if stay else state
    return found


def _finished(
    sentence: int, pieces: list[int], log_prob: float, divisor: float, scored: bool
) -> Hypothesis:
    if not math.isfinite(log_prob):
        raise nothing_finite(sentence)
    return (
        Hypothesis(tuple(pieces), log_prob, log_prob / divisor)
        if scored
        else Hypothesis(tuple(pieces), math.nan, math.nan)
    )
