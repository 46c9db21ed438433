"""What may come next: the likeliest pieces after a prefix, and after each of these in turn."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import torch

from nmt.search.step import Network
from nmt.vocabulary import BOS


class Prediction(NamedTuple):
    """One piece that may follow a prefix."""

    parent: int  # index of the prediction before it; -1: the given prefix
    piece: int
    probability: float  # after its parent
    log_prob: float  # of all pieces from the given prefix to this one, nats
    # probability that another piece follows than those among the predictions; None: not looked at
    rest: float | None


class Lookahead(NamedTuple):
    """Predictions, every parent before its children, those of one parent the likeliest first."""

    nodes: list[Prediction]
    rest: float  # probability that another piece follows the given prefix


def look_ahead(
    network: Network[Any],
    source: Sequence[int],
    depth: int,
    width: int,
    beam: int,
    forbidden: Collection[int] = (),
    ends: Collection[int] = (),
) -> Lookahead:
    """The `width` likeliest pieces after the source, and so on to `depth` pieces. At each depth
    only the `beam` likeliest prefixes go on, none that ends in one of `ends`.

    Probabilities are the network's own: pieces that are forbidden keep their share, in the rest.
    For a network whose columns are pieces.
    """
    nodes: list[Prediction] = []
    prefixes, rests = [-1], []  # the prefixes that go on
    with torch.inference_mode(), network.autocast():
        state = network.start([source], every_piece=True)
        pieces_N = torch.full((1,), BOS, device=network.device)
        never_F = torch.tensor(sorted(forbidden), dtype=torch.long, device=network.device)
        for _ in range(depth):
            logits_NV, state = network.step(pieces_N, state)
            own_NV = logits_NV.log_softmax(1)
            shown_NV = own_NV.index_fill(1, never_F, -torch.inf)
            count = min(width, shown_NV.shape[1] - len(never_F))
            log_probs_NW, pieces_NW = shown_NV.topk(count, 1)
            rests = (1 - log_probs_NW.double().exp().sum(1)).clamp_(min=0).tolist()
            grown = []
            for row, (parent, rest) in enumerate(zip(prefixes, rests, strict=True)):
                before = nodes[parent].log_prob if parent >= 0 else 0.0
                if parent >= 0:
                    nodes[parent] = nodes[parent]._replace(rest=rest)
                else:
                    first_rest = rest
                found = zip(pieces_NW[row].tolist(), log_probs_NW[row].double(), strict=True)
                for piece, log_prob in found:
                    value = float(log_prob)
                    grown.append((before + value, row, len(nodes)))
                    probability = float(log_prob.exp())
                    nodes.append(Prediction(parent, piece, probability, before + value, None))
            going = [each for each in grown if nodes[each[2]].piece not in ends]
            going = sorted(going, key=lambda each: (-each[0], each[2]))[:beam]
            if not going:
                break
            rows_N = torch.tensor([row for _, row, _ in going], device=network.device)
            prefixes = [node for _, _, node in going]
            state = state.select(rows_N, rows_N)
            pieces_N = torch.tensor([nodes[node].piece for node in prefixes]).to(network.device)
    return Lookahead(nodes, first_rest)
