"""The search kernels: from the logits of a step to the rows of the next one. Exact, without
sorting or normalising the whole vocabulary.

Dimensions besides the legend: P = beam picks of a sentence at a step (its best continuations), Q
n-best list, F forbidden pieces, M blocks of a row, D pieces in a block, X chosen blocks, C
candidates of a sentence.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nmt.search.hypotheses import BeamRecord

BLOCK = 64  # pieces in a block: 64 floats are a whole number of cache lines and of vector registers
CHUNK = 1 << 17  # logits exponentiated at a time: half a MiB stays in a core's own cache
LOW_BITS = (1 << 32) - 1
FEW = 16  # sentences that leave a batch one by one
MULTIPLE = 8  # of others so many leave together


class Rules(NamedTuple):
    """How hypotheses may grow, end and be scored: settings as the kernels read them."""

    beam: int
    eos: int
    min_length: int  # lengths count the end of sentence
    max_lengths: frozenset[int]  # of any sentence
    never_F: Tensor  # pieces that are never picked
    early_F: Tensor  # the same and the end of sentence, below min_length
    divisors_T: Tensor  # length ** length_alpha for the lengths 1, 2, ...
    scored: bool  # whether logits are normalised

    def forbidden(self, length: int) -> Tensor:
        """Pieces that are not picked as the last one of `length`."""
        return self.early_F if length < self.min_length else self.never_F


class Beam(NamedTuple):
    """The prefixes that a search continues; live ones come first among the K of their sentence."""

    length: int  # of the hypotheses that the next picks finish
    picked: int  # picks of all steps before
    sentences_B: Tensor  # their numbers in the first batch
    max_lengths_B: Tensor
    log_probs_BK: Tensor  # -inf where there is no prefix
    origins_BK: Tensor  # the pick that each prefix ends with, counted from the first step; -1: none
    free_B: Tensor  # slots without a finished hypothesis
    best_BQ: Tensor  # scores of the best finished hypotheses, best first; -inf where there is none


class NextRows(NamedTuple):
    """The rows of the next step."""

    pieces_N: Tensor  # their last pieces
    rows_N: Tensor | None  # the rows of this step that they continue; None: each its own
    sentences_B: Tensor | None  # the sentences of this step that stay; None: all


class Candidates(NamedTuple):
    """The best continuations of each sentence, best first; equal totals by slot, then by piece."""

    # log-probability of the row's prefix and the new piece; -inf: there is no such continuation
    totals_BP: Tensor
    slots_BP: Tensor  # which row of the sentence is continued
    pieces_BP: Tensor


class Rows(NamedTuple):
    """The logits of all rows and what is known of them after one look at every piece."""

    logits_NV: Tensor
    # the maximum of each block, then the vocabulary's last pieces, too few for a block
    maxima_NM: Tensor
    normalisers_N: Tensor  # log sum exp of each row; zeros if not scored


def look(logits_NV: Tensor, forbidden_F: Tensor, scored: bool) -> Rows:
    """The rows with the logits of forbidden pieces overwritten by -inf; the normalisers count
    them in."""
    forbidden_NF = logits_NV[:, forbidden_F]
    if len(forbidden_F):
        logits_NV.index_fill_(1, forbidden_F, -torch.inf)
    maxima_NM = torch.cat(
        [_blocks(logits_NV).amax(2), logits_NV[:, logits_NV.shape[1] // BLOCK * BLOCK :]], 1
    )
    if not scored:
        return Rows(logits_NV, maxima_NM, logits_NV.new_zeros(len(logits_NV)))
    normalisers_N = log_normalisers(logits_NV, maxima_NM.amax(1, keepdim=True))
    if len(forbidden_F):
        normalisers_N = torch.logaddexp(normalisers_N, forbidden_NF.logsumexp(1))
    return Rows(logits_NV, maxima_NM, normalisers_N)


def log_normalisers(logits_NV: Tensor, maxima_N1: Tensor) -> Tensor:
    """log sum exp of each row, never below the row's maximum, so that no log-probability exceeds
    0."""
    if logits_NV.is_cuda:
        return torch.maximum(logits_NV.logsumexp(1), maxima_N1[:, 0])
    rows = max(1, CHUNK // logits_NV.shape[1])
    chunks = zip(logits_NV.split(rows), maxima_N1.split(rows), strict=True)
    return (
        torch.cat([(chunk_RV - maxima_R1).exp_().sum(1) for chunk_RV, maxima_R1 in chunks])
        .log_()
        .add_(maxima_N1[:, 0])
    )


class BestPieces(NamedTuple):
    """The choice of each row."""

    values_N: Tensor  # the largest logit less the normaliser
    pieces_N: Tensor  # the first piece that has it
    normalisers_N: Tensor  # as of Rows


def best_pieces(logits_NV: Tensor, forbidden_F: Tensor, scored: bool) -> BestPieces:
    """The likeliest piece of each row that is not forbidden. Overwrites forbidden logits."""
    rows = look(logits_NV, forbidden_F, scored)
    values_N, columns_N = rows.maxima_NM.max(1)
    blocks = logits_NV.shape[1] // BLOCK
    if not blocks:
        return BestPieces(values_N - rows.normalisers_N, columns_N, rows.normalisers_N)
    numbers_N = torch.arange(len(columns_N), device=columns_N.device)
    inside_N = _blocks(logits_NV)[numbers_N, columns_N.clamp(max=blocks - 1)].max(1).indices
    pieces_N = torch.where(
        columns_N < blocks, columns_N * BLOCK + inside_N, columns_N + blocks * (BLOCK - 1)
    )
    return BestPieces(values_N - rows.normalisers_N, pieces_N, rows.normalisers_N)


def best_candidates(rows: Rows, log_probs_BK: Tensor, count: int) -> Candidates:
    """The `count` best of each sentence's K * V continuations, or all if there are fewer.

    A total is (logit - normaliser) + log-probability of the row. The best `count` lie in the
    `count` blocks of 64 pieces with the largest maxima, so only those are looked at piece by piece.
    """
    B, K = log_probs_BK.shape
    V, device = rows.logits_NV.shape[1], rows.logits_NV.device
    blocks = V // BLOCK if count < V // BLOCK else 0
    offsets_N1, prefixes_N1 = rows.normalisers_N.view(-1, 1), log_probs_BK.reshape(-1, 1)
    found = []
    if blocks * BLOCK < V:  # pieces in no block: the vocabulary's last ones, or all of a small one
        rest_NC = (rows.logits_NV[:, blocks * BLOCK :] - offsets_N1).add_(prefixes_N1)
        found.append((rest_NC.view(B, -1), _indices(K, V, blocks * BLOCK, device).expand(B, -1)))
    if blocks:
        maxima_BC = (rows.maxima_NM[:, :blocks] - offsets_N1).add_(prefixes_N1).view(B, -1)
        chosen_BX = _largest(maxima_BC, _indices(K, blocks, 0, device).expand(B, -1), count)[1]
        slots_BX, numbers_BX = chosen_BX // blocks, chosen_BX % blocks
        rows_X = (slots_BX + torch.arange(0, B * K, K, device=device)[:, None]).view(-1)
        inside_XD = (
            _blocks(rows.logits_NV)[rows_X, numbers_BX.view(-1)]
            .sub_(offsets_N1[rows_X])
            .add_(prefixes_N1[rows_X])
        )
        firsts_BX1 = (slots_BX * V + numbers_BX * BLOCK)[:, :, None]
        found.append(
            (inside_XD.view(B, -1), (firsts_BX1 + torch.arange(BLOCK, device=device)).view(B, -1))
        )
    totals_BC, indices_BC = (
        torch.cat(part, 1) if len(part) > 1 else part[0] for part in zip(*found, strict=True)
    )
    totals_BP, indices_BP = _largest(totals_BC, indices_BC, count)
    return Candidates(totals_BP, indices_BP // V, indices_BP % V)


def _blocks(logits_NV: Tensor) -> Tensor:
    """A view of the whole blocks, N x M x D."""
    N, V = logits_NV.shape
    return logits_NV[:, : V // BLOCK * BLOCK].view(N, V // BLOCK, BLOCK)


def _indices(rows: int, width: int, first: int, device: torch.device) -> Tensor:
    """Row * width + column for the columns from `first` on: what the candidates of a sentence
    are called."""
    return torch.arange(rows * width, device=device).view(rows, width)[:, first:].reshape(1, -1)


def _largest(totals_BC: Tensor, indices_BC: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest totals, best first, equal ones by lower index, with their indices.

    The order of a float's bits as an integer is the order of the floats once negative ones are
    flipped; below those 32 bits the key holds the index, inverted, so that no two keys are equal
    and the result does not depend on how top-k breaks ties.
    """
    keys_BC = (_ordered(totals_BC.view(torch.int32)).long() << 32) | (
        indices_BC ^ LOW_BITS
    )  # | and ^: int64 + is 3 times slower
    keys_BP = keys_BC.topk(min(count, keys_BC.shape[1]), 1).values
    return _ordered((keys_BP >> 32).int()).view(torch.float32), (keys_BP & LOW_BITS) ^ LOW_BITS


def _ordered(bits: Tensor) -> Tensor:
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)  # its own inverse


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
    # no continuation of the best prefix can score above
    bounds_B1 = live_BP[:, :1] / rules.divisors_T[beam.max_lengths_B - 1, None]
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


def rows_to_keep(going: Sequence[bool]) -> list[int]:
    """The sentences of a batch that stay, given which of them go on: those, and enough finished
    ones to make their number a multiple of 8.

    Removing one costs a copy of the state, and a product of a new number of rows costs the CPU a
    kernel to be made. So sentences leave in groups, until there are few. Empty if none goes on.
    """
    count = sum(going)
    room = count if count <= FEW else -(-count // MULTIPLE) * MULTIPLE
    if count and room >= len(going):
        return list(range(len(going)))
    kept = set(islice((number for number, goes in enumerate(going) if not goes), room - count))
    return [number for number, goes in enumerate(going) if goes or number in kept]


class SearchKernels(NamedTuple):
    """How logits become the rows of the next step: torch's functions, or others that choose the
    same, faster."""

    best_pieces: Callable[[Tensor, Tensor, bool], BestPieces]  # greedy search
    advance: Callable[[Tensor, Beam, Rules], tuple[BeamRecord, NextRows, Beam]]  # beam search
    # greedy search without scores, from the first state, max_lengths and BOS to pieces
    whole: Callable[[Any, Sequence[int], int, Rules], list[list[int]]] | None = None


TORCH = SearchKernels(best_pieces, advance)
