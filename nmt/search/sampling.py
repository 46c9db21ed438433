"""Random outputs from a network: text from a language model, or varied translations."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nmt.search.beam import longest_outputs
from nmt.search.hypotheses import Hypothesis, in_pieces
from nmt.search.settings import Sampling, SearchSettings
from nmt.search.step import Network


def sample(
    network: Network[Any],
    sources: Sequence[Sequence[int]],
    settings: SearchSettings,
    generator: torch.Generator | None = None,
) -> list[Hypothesis]:
    """One random output for each source, piece by piece from softmax(logits / temperature), as
    settings.sampling says (None: from the network's own probabilities).

    log_prob is the network's own, whatever the temperature; score is log_prob per piece. At its
    max_length an output can only end. For several samples of a source, repeat it.
    """
    sampling = settings.sampling or Sampling()
    max_lengths = longest_outputs(settings, sources)
    never_F, early_F = (
        torch.tensor(pieces, dtype=torch.long, device=network.device)
        for pieces in (settings.forbidden, (*settings.forbidden, settings.eos))
    )
    pieces: list[list[int]] = [[] for _ in sources]
    log_probs = [0.0] * len(sources)
    rows = list(range(len(sources)))  # the outputs that are not finished
    with torch.inference_mode(), network.autocast():
        state = first = network.start(sources)
        pieces_N = torch.full((len(rows),), settings.bos, device=network.device)
        while rows:
            logits_NV, state = network.step(pieces_N, state)
            length = len(pieces[rows[0]]) + 1
            hidden_F = early_F if length < settings.min_length else never_F
            pieces_N = draw(logits_NV.index_fill(1, hidden_F, -torch.inf), sampling, generator)
            pieces_N[[length == max_lengths[row] for row in rows]] = settings.eos
            picked_N = logits_NV.log_softmax(1).gather(1, pieces_N[:, None])[:, 0]
            drawn = zip(rows, pieces_N.tolist(), picked_N.tolist(), strict=True)
            for row, piece, log_prob in drawn:
                pieces[row].append(piece)
                log_probs[row] += log_prob
            going = [n for n, row in enumerate(rows) if pieces[row][-1] != settings.eos]
            if going and len(going) < len(rows):
                going_N = torch.tensor(going, device=network.device)
                state, pieces_N = state.select(going_N, going_N), pieces_N[going_N]
            rows = [rows[n] for n in going]
        found = [
            [Hypothesis(tuple(ids[:-1]), log_prob, log_prob / len(ids))]
            for ids, log_prob in zip(pieces, log_probs, strict=True)
        ]
        return [best for (best,) in in_pieces(found, network.candidates(first))]


def draw(logits_NV: Tensor, sampling: Sampling, generator: torch.Generator | None) -> Tensor:
    """One random piece for each row, from logits that it leaves as they are."""
    candidates = (
        logits_NV.shape[1] if sampling.top_k == 0 else min(sampling.top_k, logits_NV.shape[1])
    )
    if candidates == logits_NV.shape[1] and sampling.top_p == 1:
        return torch.multinomial(
            (logits_NV / sampling.temperature).softmax(1), 1, generator=generator
        )[:, 0]
    logits_NC, pieces_NC = logits_NV.topk(candidates, 1)
    probabilities_NC = (logits_NC / sampling.temperature).softmax(1)
    before_NC = (
        probabilities_NC.cumsum(1) - probabilities_NC
    )  # probability of the likelier pieces; 0 for the first, which always stays
    choice_N1 = torch.multinomial(
        probabilities_NC.masked_fill(before_NC >= sampling.top_p, 0), 1, generator=generator
    )
    return pieces_NC.gather(1, choice_N1)[:, 0]
