"""What a search chose at each step, and what is read from it: hypotheses and the prediction
tree."""

import json
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.errors import NmtError


class Hypothesis(NamedTuple):
    """One finished output."""

    pieces: tuple[int, ...]  # without beginning and end of sentence
    log_prob: float  # nats, end of sentence included; nan if the search was not scored
    score: float  # log_prob / length ** length_alpha, where length counts the end of sentence


class BeamRecord(NamedTuple):
    """What a beam search picked at one step: the best continuations, best first, of the B
    sentences that were still in the batch."""

    sentences_B: Tensor  # their numbers in the first batch
    # the pick that is continued, counted from the first step on; -1 at the first step
    parents_BP: Tensor
    pieces_BP: Tensor
    log_probs_BP: Tensor  # of the whole prefix; -inf where it fell off the beam
    scores_BP: Tensor  # log_prob / length ** length_alpha; -inf unless finished


class Nodes(NamedTuple):
    """All picks of a search in one row, step after step; on the CPU."""

    sentences_M: Tensor
    parents_M: Tensor  # the continued node; -1 at the first step
    pieces_M: Tensor
    log_probs_M: Tensor
    scores_M: Tensor


def flatten(record: list[BeamRecord]) -> Nodes:
    """The picks of all steps."""
    sentences, *fields = zip(*record, strict=True)
    sentences_M = torch.cat(sentences).repeat_interleave(fields[0][0].shape[1])
    return Nodes(sentences_M.cpu(), *(torch.cat(field).view(-1).cpu() for field in fields))


def read_hypotheses(
    record: list[BeamRecord], sentences: int, n_best: int, candidates: Tensor | None = None
) -> list[list[Hypothesis]]:
    """The `n_best` hypotheses of each sentence, best first, in pieces; equal scores in the order
    in which they were finished. `candidates` are as of Network."""
    if not sentences:
        return []
    nodes = flatten(record)
    ends = (nodes.scores_M > -torch.inf).nonzero().view(-1)
    finished: list[list[_End]] = [[] for _ in range(sentences)]
    columns = (nodes.sentences_M[ends], -nodes.scores_M[ends], ends, nodes.log_probs_M[ends])
    for sentence, *end in zip(*(column.tolist() for column in columns), strict=True):
        finished[sentence].append(_End(*end))
    parents, pieces = nodes.parents_M.tolist(), nodes.pieces_M.tolist()
    for sentence, found in enumerate(finished):
        if not found:
            raise nothing_finite(sentence)
        found.sort()
    hypotheses = [
        [_hypothesis(end, parents, pieces) for end in found[:n_best]] for found in finished
    ]
    return in_pieces(hypotheses, candidates)


def in_pieces(found: list[list[Hypothesis]], candidates: Tensor | None) -> list[list[Hypothesis]]:
    """Hypotheses over the columns of a shortlist, in pieces; `candidates` as of Network."""
    if candidates is None:
        return found
    names = candidates.numpy()
    own = names if candidates.dim() == 2 else [names] * len(found)
    return [
        [each._replace(pieces=tuple(pieces[list(each.pieces)].tolist())) for each in hypotheses]
        for pieces, hypotheses in zip(own, found, strict=True)
    ]


def record_in_pieces(record: list[BeamRecord], candidates: Tensor | None) -> list[BeamRecord]:
    """The record of a search over the columns of a shortlist, in pieces. Where a continuation
    fell off the beam its piece means nothing."""
    if candidates is None:
        return record
    return [_step_in_pieces(picks, candidates) for picks in record]


def _step_in_pieces(picks: BeamRecord, candidates: Tensor) -> BeamRecord:
    columns_BP = picks.pieces_BP.masked_fill(picks.log_probs_BP == -torch.inf, 0)
    if candidates.dim() == 1:
        return picks._replace(pieces_BP=candidates[columns_BP])
    return picks._replace(pieces_BP=candidates[picks.sentences_B[:, None], columns_BP])


class _End(NamedTuple):
    """The last node of a hypothesis; the better one is the lesser."""

    loss: float  # -score
    node: int
    log_prob: float


def _hypothesis(end: _End, parents: list[int], pieces: list[int]) -> Hypothesis:
    found = []
    node = parents[end.node]
    while node >= 0:
        found.append(pieces[node])
        node = parents[node]
    return Hypothesis(tuple(reversed(found)), end.log_prob, -end.loss)


def nothing_finite(sentence: int) -> NmtError:
    """The error for a sentence (counted from 0) whose logits allow no hypothesis."""
    return NmtError(
        f"no hypothesis for sentence {sentence + 1} of the batch: its logits are not finite, or"
        " every piece is forbidden; check that the model has been trained without nan"
    )


class Node(NamedTuple):
    """A prefix, named by its last piece."""

    parent: int  # index of the prefix without the last piece; -1: the empty prefix
    piece: int
    log_prob: float  # nats, of the whole prefix
    finished: bool  # its last piece is the end of sentence
    score: float | None  # of the finished hypothesis


class PredictionTree(NamedTuple):
    """The prefixes of one sentence, every parent before its children."""

    nodes: list[Node]

    def path(self, node: int) -> list[int]:
        """The node indices from a first piece to `node`."""
        steps = []
        while node >= 0:
            steps.append(node)
            node = self.nodes[node].parent
        return steps[::-1]

    def to_json(self, text_of: Callable[[int], str] = str) -> str:
        """A list of objects with the fields of Node; `text_of` writes a piece."""
        return json.dumps(
            [{**node._asdict(), "piece": text_of(node.piece)} for node in self.nodes],
            ensure_ascii=False,
        )


def prediction_trees(record: list[BeamRecord]) -> list[PredictionTree]:
    """The tree of each sentence of a batch, from the `record` of its beam_search. What fell off
    the beam is left out."""
    if not record:
        return []
    trees = [PredictionTree([]) for _ in record[0].sentences_B]
    places: list[int] = []  # where each pick stands in its sentence's tree
    for sentence, parent, piece, log_prob, score in zip(
        *(part.tolist() for part in flatten(record)), strict=True
    ):
        nodes = trees[sentence].nodes
        places.append(len(nodes))
        if log_prob > -math.inf:
            finished = score > -math.inf
            nodes.append(
                Node(
                    places[parent] if parent >= 0 else -1,
                    piece,
                    log_prob,
                    finished,
                    score if finished else None,
                )
            )
    return trees
