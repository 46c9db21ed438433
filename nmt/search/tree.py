"""The prediction tree: every prefix that a beam search kept for a sentence, from its first piece to its finished hypotheses."""

import json
import math
from collections.abc import Callable
from typing import NamedTuple

from nmt.search.picks import Picks, flatten


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
        return json.dumps([{**node._asdict(), "piece": text_of(node.piece)} for node in self.nodes], ensure_ascii=False)


def prediction_trees(record: list[Picks]) -> list[PredictionTree]:
    """The tree of each sentence of a batch, from the `record` of its beam_search. What fell off the beam is left out."""
    if not record:
        return []
    trees = [PredictionTree([]) for _ in record[0].sentences_B]
    places: list[int] = []  # where each pick stands in its sentence's tree
    for sentence, parent, piece, log_prob, score in zip(*(part.tolist() for part in flatten(record)), strict=True):
        nodes = trees[sentence].nodes
        places.append(len(nodes))
        if log_prob > -math.inf:
            finished = score > -math.inf
            nodes.append(Node(places[parent] if parent >= 0 else -1, piece, log_prob, finished, score if finished else None))
    return trees
