"""What a search picked at each step, and the hypotheses that are read from it once it is over.

Dimensions besides the legend: P picks of a sentence at a step.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nmt.errors import NmtError


class Hypothesis(NamedTuple):
    """One finished output."""

    pieces: tuple[int, ...]  # without beginning and end of sentence
    log_prob: float  # nats, end of sentence included; nan if the search was not scored
    score: float  # log_prob / length ** length_alpha, where length counts the end of sentence


class Picks(NamedTuple):
    """The best continuations at one step, best first, of the B sentences that were still in the batch."""

    sentences: list[int]  # B sentence numbers in the first batch
    parents_BP: Tensor  # the pick that is continued: its position among the B * P of the step before
    pieces_BP: Tensor
    log_probs_BP: Tensor  # of the whole prefix
    scores_BP: Tensor  # log_prob / length ** length_alpha; -inf unless finished
    kept_BP: Tensor  # bool: finished, or live at the next step; the others fell off the beam


class Nodes(NamedTuple):
    """All picks of a search in one row, step after step."""

    sentences: list[int]
    parents: list[int]  # index of the continued node; negative at the first step
    pieces: list[int]
    log_probs: list[float]
    scores: list[float]
    kept: list[bool]


def flatten(record: list[Picks]) -> Nodes:
    """The picks of all steps, with parents counted from the first step on."""
    sentences: list[int] = []
    parents = []
    before, start = 0, 0  # where the nodes of the step before, and of this step, start
    for picks in record:
        width = picks.parents_BP.shape[1]
        parents.append((picks.parents_BP + before).view(-1) if start else torch.full_like(picks.parents_BP, -1).view(-1))
        sentences.extend(number for number in picks.sentences for _ in range(width))
        before, start = start, start + picks.parents_BP.numel()

    def row(name: str) -> Tensor:
        return torch.cat([getattr(picks, name).view(-1) for picks in record])

    return Nodes(
        sentences,
        torch.cat(parents).tolist(),
        row("pieces_BP").tolist(),
        row("log_probs_BP").tolist(),
        row("scores_BP").tolist(),
        row("kept_BP").tolist(),
    )


def read_hypotheses(record: list[Picks], sentences: int, n_best: int) -> list[list[Hypothesis]]:
    """The `n_best` hypotheses of each sentence, best first; equal scores in the order in which they were finished."""
    if not sentences:
        return []
    nodes = flatten(record)
    finished: list[list[int]] = [[] for _ in range(sentences)]
    for node, score in enumerate(nodes.scores):
        if score > -torch.inf:
            finished[nodes.sentences[node]].append(node)
    for sentence, found in enumerate(finished):
        if not found:
            raise nothing_finite(sentence)
        found.sort(key=lambda node: -nodes.scores[node])
    return [[_hypothesis(nodes, node) for node in found[:n_best]] for found in finished]


def _hypothesis(nodes: Nodes, last: int) -> Hypothesis:
    pieces = []
    node = nodes.parents[last]
    while node >= 0:
        pieces.append(nodes.pieces[node])
        node = nodes.parents[node]
    return Hypothesis(tuple(reversed(pieces)), nodes.log_probs[last], nodes.scores[last])


def nothing_finite(sentence: int) -> NmtError:
    """The error for a sentence (counted from 0) whose logits allow no hypothesis."""
    return NmtError(
        f"no hypothesis for sentence {sentence + 1} of the batch: its logits are not finite, or every piece is forbidden; "
        "check that the model has been trained without nan"
    )
