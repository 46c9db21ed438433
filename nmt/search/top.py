"""The best continuations of every sentence's rows: exact, without sorting or normalising the whole
vocabulary.

Dimensions besides the legend: P picks of a sentence, F forbidden pieces, M blocks of a row, D
pieces in a block, X chosen blocks, C candidates of a sentence.
"""

from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 64  # pieces in a block: 64 floats are a whole number of cache lines and of vector registers
CHUNK = 1 << 17  # logits exponentiated at a time: half a MiB stays in a core's own cache
LOW_BITS = (1 << 32) - 1


class Candidates(NamedTuple):
    """The best continuations of each sentence, best first; equal totals by slot, then by piece."""

    # log-probability of the row's prefix and the new piece; -inf: there is no such continuation
    totals_BP: Tensor
    slots_BP: Tensor  # which row of the sentence is continued
    pieces_BP: Tensor


class Rows(NamedTuple):
    """The logits of all rows and what is known of them after one look at every piece."""

    logits_NV: Tensor
    maxima_NM: (
        Tensor  # the maximum of each block, then the vocabulary's last pieces, too few for a block
    )
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
