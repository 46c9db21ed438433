"""Greedy search: a beam of 1 with little more work a step than an arg-max."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.search.chooser import Chooser
from nmt.search.leaving import staying
from nmt.search.picks import Hypothesis, nothing_finite
from nmt.search.step import S, Step

FEW = 20_000  # logits: so many are faster looked at one by one than in blocks


class Ends(NamedTuple):
    """Where outputs may end and where they must."""

    max_lengths: list[int]  # of each sentence, end of sentence included
    min_length: int
    eos: int
    never_F: Tensor  # pieces that are never picked
    early_F: Tensor  # the same and the end of sentence, below min_length


def greedy_search(step: Step[S], state: S, bos: int, ends: Ends, length_alpha: float, scored: bool, chooser: Chooser) -> list[Hypothesis]:
    """One hypothesis for each sentence: at each step the likeliest piece, of equal ones the first."""
    sentences = list(range(len(ends.max_lengths)))  # those in the batch, one row each
    going = [True] * len(sentences)  # which of them are not finished
    pieces: list[list[int]] = [[] for _ in sentences]
    found = [Hypothesis((), math.nan, math.nan)] * len(sentences)
    pieces_N = torch.full((len(sentences),), bos, device=ends.never_F.device)
    log_probs_N = torch.zeros(len(sentences), device=ends.never_F.device)
    length = 0
    while sentences:
        length += 1
        logits_NV, state = step(pieces_N, state)
        forbidden_F = ends.early_F if length < ends.min_length else ends.never_F
        if not scored and logits_NV.numel() <= FEW:
            values_N, pieces_N = logits_NV.index_fill_(1, forbidden_F, -torch.inf).max(1)
        else:
            rows = chooser.look(logits_NV, forbidden_F, scored)
            values_N, pieces_N = chooser.best_pieces(rows)
            values_N = values_N - rows.normalisers_N
        must_end = [n for n, sentence in enumerate(sentences) if ends.max_lengths[sentence] == length]
        if must_end:
            pieces_N[must_end] = ends.eos
            values_N[must_end] = logits_NV[must_end, ends.eos] - (rows.normalisers_N[must_end] if scored else 0.0)
        log_probs_N = log_probs_N + values_N
        log_probs = log_probs_N.tolist() if ends.eos in (picked := pieces_N.tolist()) else []
        for n, (sentence, piece) in enumerate(zip(sentences, picked, strict=True)):
            if going[n] and piece != ends.eos:
                pieces[sentence].append(piece)
            elif going[n]:
                going[n] = False
                found[sentence] = _finished(sentence, pieces[sentence], log_probs[n], length**length_alpha, scored)
        stay = staying(going)
        if len(stay) < len(sentences):
            sentences, going = [sentences[n] for n in stay], [going[n] for n in stay]
            stay_N = torch.tensor(stay, dtype=torch.long, device=pieces_N.device)
            pieces_N, log_probs_N = pieces_N[stay_N], log_probs_N[stay_N]
            state = state.select(stay_N, stay_N) if stay else state
    return found


def _finished(sentence: int, pieces: list[int], log_prob: float, divisor: float, scored: bool) -> Hypothesis:
    if not math.isfinite(log_prob):
        raise nothing_finite(sentence)
    return Hypothesis(tuple(pieces), log_prob, log_prob / divisor) if scored else Hypothesis(tuple(pieces), math.nan, math.nan)
