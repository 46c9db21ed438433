"""Beam search over a step function: it knows neither the network nor the text.

Dimension besides the legend: F forbidden pieces.
"""

from collections.abc import Sequence

import torch

from nmt.errors import NmtError
from nmt.search.beam_step import TORCH, Chooser, first_front
from nmt.search.greedy import greedy_search
from nmt.search.hypotheses import Hypothesis, Picks, read_hypotheses
from nmt.search.step import Rules, S, SearchState, Step

LARGEST = torch.finfo(torch.float32).max

__all__ = ["Hypothesis", "SearchState", "Step", "beam_search"]


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
    """The `n_best` hypotheses of each sentence, best first; equal scores in the order in which they
    were finished.

    The first step has one row a sentence. A finished hypothesis keeps its slot, so that the beam of
    its sentence shrinks by one. A sentence leaves the batch when every slot is finished, or when no
    live prefix can beat the n_best-th finished hypothesis: a prefix of log-probability p cannot
    score above p / max_length ** length_alpha. At its max_length a hypothesis can only end. Lengths
    count the end of sentence. `forbidden` pieces keep their share of the probability but are never
    picked. A beam of 1 that is not `scored` leaves the softmax out: the same pieces, log_prob and
    score are nan. An empty list given as `record` receives what each step picked.
    Raises: NmtError for settings out of range, and if the logits of a sentence are not finite.
    """
    _check(max_lengths, beam, length_alpha, n_best, min_length, eos in forbidden, scored)
    with torch.inference_mode():
        divisors_T = (
            torch.arange(1, max(max_lengths, default=1) + 1, dtype=torch.float64) ** length_alpha
        ).to(device, torch.float32)
        never_F, early_F = (
            torch.tensor(pieces, dtype=torch.long, device=device)
            for pieces in ([*forbidden], [*forbidden, eos])
        )
        rules = Rules(
            beam, eos, min_length, frozenset(max_lengths), never_F, early_F, divisors_T, scored
        )
        if beam == 1 and record is None:
            return [
                [found]
                for found in greedy_search(
                    step, state, max_lengths, length_alpha, bos, rules, chooser
                )
            ]
        record = [] if record is None else record
        front = first_front(max_lengths, beam, n_best, device)
        pieces_N = torch.full((len(max_lengths),), bos, device=device)
        while front.sentences_B.numel():
            logits_NV, state = step(pieces_N, state)
            picks, (pieces_N, rows_N, sentences_B), front = chooser.advance(logits_NV, front, rules)
            record.append(picks)
            if rows_N is not None and rows_N.numel():
                state = state.select(rows_N, sentences_B)
    return read_hypotheses(record, len(max_lengths), n_best)


def _check(
    max_lengths: Sequence[int],
    beam: int,
    length_alpha: float,
    n_best: int,
    min_length: int,
    eos_forbidden: bool,
    scored: bool,
) -> None:
    if beam < 1:
        raise NmtError(f"the beam is a number of hypotheses, got {beam}; give 1 or more")
    if not 1 <= n_best <= beam:
        raise NmtError(
            f"an n-best list is no longer than the beam of {beam}, got n_best = {n_best}; give 1 to"
            f" {beam}"
        )
    if not 0 <= length_alpha <= 10 or max(max_lengths, default=1) ** length_alpha > LARGEST:
        raise NmtError(
            f"length_alpha is an exponent of the length, up to {max(max_lengths, default=1)} here,"
            f" got {length_alpha}; give 1 or so"
        )
    if min(max_lengths, default=1) < max(1, min_length):
        raise NmtError(
            f"a sentence has max_length {min(max_lengths)}, below {max(1, min_length)}; give every"
            " sentence room to end"
        )
    if eos_forbidden:
        raise NmtError(
            "the end of sentence is among the forbidden pieces; leave it out, or no hypothesis"
            " can end"
        )
    if not scored and beam > 1:
        raise NmtError(
            f"a search without scores is greedy, got beam = {beam}; give a beam of 1 or scored ="
            " True"
        )
