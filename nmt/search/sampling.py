"""Random outputs from a network: text from a language model, or varied translations.

What is drawn for a row depends on its place alone (a seed, the number of its line, ...), not on its
batch: the numbers of a place are uniform, and each picks a piece by the inverse of the cumulative
distribution. Dimension besides the legend: C candidates of a row.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nmt.search.beam import longest_outputs
from nmt.search.constraints import Constrained
from nmt.search.hypotheses import Hypothesis, in_pieces, nothing_finite
from nmt.search.settings import Sampling, SearchSettings
from nmt.search.step import Network

MANY = 256  # pieces that top_p mostly needs no more of


def sample(
    network: Network[Any],
    sources: Sequence[Sequence[int]],
    settings: SearchSettings,
    places: Sequence[Sequence[int]],
    prefixes: Sequence[Sequence[int]] = (),
) -> list[Hypothesis]:
    """One random output for each source, piece by piece from softmax(logits / temperature), as
    settings.sampling says (None: from the network's own probabilities).

    A place is a few whole numbers of at least 0, which with sampling.seed decide what is drawn; for
    several samples of a source, repeat it with other places. Prefixes are as of beam_search.
    log_prob is the network's own, whatever the temperature; score is log_prob / length **
    length_alpha. At its longest length an output can only end.

    Raises:
        NmtError: the logits of a source are not finite.
    """
    sampling = settings.sampling or Sampling()
    longest = longest_outputs(settings, sources, prefixes)
    constrained = any(prefixes) or settings.no_repeat_ngram > 0
    if constrained:
        network = Constrained(network, prefixes, settings.no_repeat_ngram)
    numbers_NT = [
        uniforms((sampling.seed, *place), length)
        for place, length in zip(places, longest, strict=True)
    ]
    never_F, early_F = (
        torch.tensor(pieces, dtype=torch.long, device=network.device)
        for pieces in (settings.forbidden, (*settings.forbidden, settings.eos))
    )
    pieces: list[list[int]] = [[] for _ in sources]
    log_probs = [0.0] * len(sources)
    rows, length = list(range(len(sources))), 0  # the outputs that are not finished
    with torch.inference_mode(), network.autocast():
        state = first = network.start(sources)
        pieces_N = torch.full((len(rows),), settings.bos, device=network.device)
        while rows:
            length += 1
            logits_NV, state = network.step(pieces_N, state)
            # in float64: a rounding that depends on the batch must not change a piece
            allowed_NV = logits_NV.double()
            normalisers_N = 0 if constrained else allowed_NV.logsumexp(1)
            allowed_NV.index_fill_(
                1, early_F if length < settings.min_length else never_F, -torch.inf
            )
            uniforms_N = torch.stack([numbers_NT[row][length - 1] for row in rows])
            pieces_N = draw(allowed_NV, sampling, uniforms_N.to(network.device))
            pieces_N[[length == longest[row] for row in rows]] = settings.eos
            picked_N = logits_NV.gather(1, pieces_N[:, None])[:, 0].double() - normalisers_N
            picked = pieces_N.tolist(), picked_N.tolist()
            for row, piece, log_prob in zip(rows, *picked, strict=True):
                pieces[row].append(piece)
                log_probs[row] += log_prob
                if not log_probs[row] > -torch.inf:
                    raise nothing_finite(row)
            going = [n for n, row in enumerate(rows) if pieces[row][-1] != settings.eos]
            if going and len(going) < len(rows):
                going_N = torch.tensor(going, device=network.device)
                state, pieces_N = state.select(going_N, going_N), pieces_N[going_N]
            rows = [rows[n] for n in going]
        found = [
            [Hypothesis(tuple(ids[:-1]), log_prob, log_prob / len(ids) ** settings.length_alpha)]
            for ids, log_prob in zip(pieces, log_probs, strict=True)
        ]
        return [best for (best,) in in_pieces(found, network.candidates(first))]


def uniforms(place: Sequence[int], length: int) -> Tensor:
    """So many numbers of [0, 1), a function of the place alone; of a longer row the first ones are
    the same."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(place))))
    return torch.from_numpy(generator.random(length))


def draw(logits_NV: Tensor, sampling: Sampling, uniforms_N: Tensor) -> Tensor:
    """A piece for each row, from logits that it leaves as they are and a uniform number of [0, 1),
    in float64."""
    probabilities_NV = (logits_NV.double() / sampling.temperature).softmax(1)
    V = logits_NV.shape[1]
    if not sampling.top_k and sampling.top_p == 1:
        return _inverse(probabilities_NV, uniforms_N)
    likeliest_NC, pieces_NC = probabilities_NV.topk(min(sampling.top_k or MANY, V), 1)
    if sampling.top_k:
        likeliest_NC = likeliest_NC / likeliest_NC.sum(1, keepdim=True)
    chosen_N = _nucleus(likeliest_NC, pieces_NC, sampling.top_p, uniforms_N)
    flat_N = (likeliest_NC.sum(1) < sampling.top_p).nonzero()[:, 0]
    if not sampling.top_k and len(flat_N):
        every = probabilities_NV[flat_N].sort(1, descending=True)
        chosen_N[flat_N] = _nucleus(*every, sampling.top_p, uniforms_N[flat_N])
    return chosen_N


def _nucleus(likeliest_NC: Tensor, pieces_NC: Tensor, top_p: float, uniforms_N: Tensor) -> Tensor:
    """A piece for each row, of the fewest whose probabilities, largest first, sum up to top_p."""
    # probability of the likelier pieces; 0 for the first, which always stays
    before_NC = likeliest_NC.cumsum(1) - likeliest_NC
    kept_NC = likeliest_NC.masked_fill(before_NC >= top_p, 0)
    return pieces_NC.gather(1, _inverse(kept_NC, uniforms_N)[:, None])[:, 0]


def _inverse(weights_NC: Tensor, uniforms_N: Tensor) -> Tensor:
    """The first column up to which the sum of the weights exceeds its share of them all: none of
    weight 0. The last one for weights that are not finite."""
    sums_NC = weights_NC.cumsum(1)
    targets_N1 = (uniforms_N * sums_NC[:, -1])[:, None]
    found_N1 = torch.searchsorted(sums_NC, targets_N1, right=True)
    return found_N1[:, 0].clamp_(max=weights_NC.shape[1] - 1)
