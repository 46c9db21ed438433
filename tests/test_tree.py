import json

import pytest
import torch
from test_beam import EOS, random_tables, recorded_search
from torch import Tensor

from nmt.search.hypotheses import Node, prediction_trees


def test_hypotheses_are_paths_from_the_root_to_a_finished_node() -> None:
    found, record = recorded_search(
        random_tables(5, pieces=90, seed=4, ending=3.0),
        max_lengths=[7, 3, 7, 1, 5],
        beam=3,
        n_best=3,
        recorded=True,
    )
    trees = prediction_trees(record)
    assert len(trees) == 5
    for tree, hypotheses in zip(trees, found, strict=True):
        ends = [number for number, node in enumerate(tree.nodes) if node.finished]
        paths = {
            tuple(tree.nodes[number].piece for number in tree.path(end)): tree.nodes[end]
            for end in ends
        }
        assert all(
            paths[(*hypothesis.pieces, EOS)].score == hypothesis.score for hypothesis in hypotheses
        )
        assert all(node.parent < number for number, node in enumerate(tree.nodes))
        assert all(node.parent < 0 or not tree.nodes[node.parent].finished for node in tree.nodes)
        assert all(
            node.parent < 0 or node.log_prob <= tree.nodes[node.parent].log_prob
            for node in tree.nodes
        )


def test_a_small_tree_is_drawn_by_hand() -> None:
    # pieces 0 (beginning), 1 (end), 2 with probabilities 0, 1/4, 3/4; two slots; outputs of at most
    # two pieces
    tables_BCV = torch.tensor([1e-30, 0.25, 0.75]).log().repeat(1, 97, 1)
    _, record = recorded_search(
        tables_BCV, max_lengths=[2], beam=2, length_alpha=0.0, n_best=2, recorded=True
    )
    tree = prediction_trees(record)[0]
    logs: Tensor = torch.tensor([3 / 4, 1 / 4, 3 / 16]).log()
    expected = [
        Node(-1, 2, logs[0].item(), False, None),
        Node(-1, EOS, logs[1].item(), True, logs[1].item()),
    ]
    expected.append(Node(0, EOS, logs[2].item(), True, logs[2].item()))
    for node, wanted in zip(tree.nodes, expected, strict=True):
        assert (node.parent, node.piece, node.finished) == (
            wanted.parent,
            wanted.piece,
            wanted.finished,
        )
        assert (node.log_prob, node.score) == (
            pytest.approx(wanted.log_prob),
            pytest.approx(wanted.score) if wanted.finished else None,
        )
    objects = json.loads(tree.to_json("abc".__getitem__))
    assert [(node["parent"], node["piece"], node["finished"]) for node in objects] == [
        (-1, "c", False),
        (-1, "b", True),
        (0, "b", True),
    ]


def test_an_empty_record_has_no_trees() -> None:
    assert prediction_trees([]) == []
