"""Random outputs from a step function: text from a language model, or varied translations."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.errors import NmtError
from nmt.search.hypotheses import Hypothesis
from nmt.search.step import S, Step


@torch.inference_mode()
def sample(
    step: Step[S],
    state: S,
    *,
    max_lengths: Sequence[int],
    bos: int,
    eos: int,
    forbidden: Sequence[int] = (),
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> list[Hypothesis]:
    """One random output for each row, piece by piece from softmax(logits / temperature).

    Only the `top_k` likeliest pieces are drawn from (0: all), and of these the fewest whose
    probabilities sum up to `top_p` (Holtzman et al. 2020). log_prob is the model's own, whatever
    the temperature; score is log_prob per piece. At its max_length, which counts the end of
    sentence, an output can only end. For several samples of a sentence, repeat it in `state`.
    Raises: NmtError for settings out of range.
    """
    _check(max_lengths, temperature, top_k, top_p, eos in forbidden)
    pieces: list[list[int]] = [[] for _ in max_lengths]
    log_probs = [0.0] * len(max_lengths)
    rows = list(range(len(max_lengths)))  # the outputs that are not finished
    pieces_N = torch.full((len(rows),), bos, device=device)
    hidden_F = torch.tensor(list(forbidden), dtype=torch.long, device=device)
    while rows:
        logits_NV, state = step(pieces_N, state)
        model_NV = logits_NV.log_softmax(1)
        pieces_N = _draw(
            logits_NV.index_fill(1, hidden_F, -torch.inf), temperature, top_k, top_p, generator
        )
        pieces_N[[len(pieces[row]) + 1 == max_lengths[row] for row in rows]] = eos
        drawn = zip(
            rows,
            pieces_N.tolist(),
            model_NV.gather(1, pieces_N[:, None])[:, 0].tolist(),
            strict=True,
        )
        for row, piece, log_prob in drawn:
            pieces[row].append(piece)
            log_probs[row] += log_prob
        going = [n for n, row in enumerate(rows) if pieces[row][-1] != eos]
        if going and len(going) < len(rows):
            going_N = torch.tensor(going, device=device)
            state, pieces_N = state.select(going_N, going_N), pieces_N[going_N]
        rows = [rows[n] for n in going]
    return [
        Hypothesis(tuple(ids[:-1]), log_prob, log_prob / len(ids))
        for ids, log_prob in zip(pieces, log_probs, strict=True)
    ]


def _check(
    max_lengths: Sequence[int], temperature: float, top_k: int, top_p: float, eos_forbidden: bool
) -> None:
    if not 0 < temperature < float("inf"):
        raise NmtError(
            f"temperature divides the logits, got {temperature}; give more than 0 (for the"
            " likeliest piece always: top_k = 1)"
        )
    if top_k < 0:
        raise NmtError(f"top_k is a number of pieces, got {top_k}; give 1 or more, or 0 for all")
    if not 0 < top_p <= 1:
        raise NmtError(f"top_p is a probability, got {top_p}; give more than 0 and at most 1")
    if min(max_lengths, default=1) < 1:
        raise NmtError(
            f"an output has max_length {min(max_lengths)}; give 1 or more, which counts the end of"
            " sentence"
        )
    if eos_forbidden:
        raise NmtError(
            "the end of sentence is among the forbidden pieces; leave it out, or no output can end"
        )


def _draw(
    logits_NV: Tensor,
    temperature: float,
    top_k: int,
    top_p: float,
    generator: torch.Generator | None,
) -> Tensor:
    """One piece for each row."""
    candidates = logits_NV.shape[1] if top_k == 0 else min(top_k, logits_NV.shape[1])
    if candidates == logits_NV.shape[1] and top_p == 1:
        return torch.multinomial((logits_NV / temperature).softmax(1), 1, generator=generator)[:, 0]
    logits_NC, pieces_NC = logits_NV.topk(candidates, 1)
    probabilities_NC = (logits_NC / temperature).softmax(1)
    before_NC = (
        probabilities_NC.cumsum(1) - probabilities_NC
    )  # probability of the likelier pieces; 0 for the first, which always stays
    choice_N1 = torch.multinomial(
        probabilities_NC.masked_fill(before_NC >= top_p, 0), 1, generator=generator
    )
    return pieces_NC.gather(1, choice_N1)[:, 0]
