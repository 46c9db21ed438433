"""The prediction tree as SVG: every prefix that the beam kept, the translation's own path in
full colour."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from nmt.pages.markup import MORE, data, details, escape, table

ROW = 20  # pixels between leaves
GAP = 26  # between a piece and those that follow it
NUMBER = 18  # width of a probability in percent, about
START = 14  # where the empty prefix stands, from which all first pieces follow
LETTER = 8.5  # width of a letter in bold, about
MOST = 400  # nodes: a bigger tree cannot be read


class TreeNode(NamedTuple):
    """A prefix that the search kept, by its last piece."""

    parent: int  # index of its parent, which stands before it; -1: the empty prefix
    piece: str
    log_prob: float  # nats, of the whole prefix
    score: float | None  # of a finished hypothesis
    best: bool  # on the path of the translation


def prediction_tree(
    name: str,
    nodes: list[TreeNode],
    hypotheses: Sequence[tuple[str, float, float]],
    elsewhere: str = "",
) -> str:
    """Draws a tree: time runs to the right, from the empty prefix; a square ends a hypothesis.

    `name` says whose tree it is. Each hypothesis is its text, log-probability and score, best
    first. `elsewhere` tells where to find the prefixes of a tree that is too big to draw.
    """
    finished = details("Hypotheses as a table", _table(hypotheses), is_open=True)
    where = f"; {elsewhere}" if elsewhere else ""
    if not 0 < len(nodes) <= MOST:
        return (
            f'<p class="gap">The tree has {len(nodes)} prefixes, too many to draw{escape(where)}.'
            f"</p>{finished}"
        )
    across, down = place_nodes(nodes)
    width = f"{max(x + _width(node) for x, node in zip(across, nodes, strict=True)) + 12:.0f}"
    height = f"{max(down) + ROW:.0f}"
    roots = [y for node, y in zip(nodes, down, strict=True) if node.parent < 0]
    root = sum(roots) / len(roots)
    links, labels = [], [f'<circle class="start" cx="{START - 4}" cy="{root:.0f}" r="3"/>']
    for number, node in enumerate(nodes):
        x, y = across[number], down[number]
        kind = f"{' best' if node.best else ''}{' end' if node.score is not None else ''}"
        start = across[node.parent] + _width(nodes[node.parent]) + 6 if node.parent >= 0 else START
        before = down[node.parent] if node.parent >= 0 else root
        middle = (start + x - 8) / 2
        links.append(
            f'<path class="link{kind}" d="M{start:.0f} {before:.0f}C{middle:.0f} {before:.0f}'
            f' {middle:.0f} {y:.0f} {x - 8:.0f} {y:.0f}"/>'
        )
        mark = (
            f'<rect x="{x - 7:.0f}" y="{y - 3:.0f}" width="6" height="6"/>'
            if node.score is not None
            else ""
        )
        if node.score is None:
            mark = f'<circle cx="{x - 4:.0f}" cy="{y:.0f}" r="2"/>'
        labels.append(
            f'<g class="node{kind}" data-n="{number}">{mark}<text x="{x + 3:.0f}"'
            f' y="{y + 4:.0f}">{escape(node.piece)} <tspan'
            f' class="chance">{_chance(nodes, node):.0f}</tspan></text></g>'
        )
    label = (
        f"Prediction tree of {name}: {len(nodes)} prefixes. Arrow keys walk through it; the"
        " table below lists the hypotheses."
    )
    values = [
        [
            node.parent,
            node.piece,
            round(node.log_prob, 2),
            None if node.score is None else round(node.score, 3),
        ]
        for node in nodes
    ]
    return (
        f'<div class="panel-part"><div class="scroll tall"><svg class="tree" width="{width}"'
        f' height="{height}" viewBox="0 0 {width} {height}" role="img" tabindex="0"'
        f' aria-label="{escape(label)}"'
        f' data-tree="{data(values)}">{"".join(links)}{"".join(labels)}</svg></div>{MORE}<output'
        f' class="readout" aria-live="polite"></output>{finished}</div>'
    )


def _width(node: TreeNode) -> float:
    return LETTER * len(node.piece) + NUMBER


def _chance(nodes: Sequence[TreeNode], node: TreeNode) -> float:
    """How likely the piece is after its prefix, in percent."""
    return 100 * math.exp(
        min(0.0, node.log_prob - (nodes[node.parent].log_prob if node.parent >= 0 else 0.0))
    )


def place_nodes(nodes: list[TreeNode]) -> tuple[list[float], list[float]]:
    """(x, y) of each node: behind its parent's longest sibling at that depth, and in the middle
    of its children."""
    depths = [0] * len(nodes)
    children: list[list[int]] = [[] for _ in nodes]
    for number, node in enumerate(nodes):
        if node.parent >= 0:
            depths[number] = depths[node.parent] + 1
            children[node.parent].append(number)
    widths = [0.0] * (max(depths) + 1)
    for depth, node in zip(depths, nodes, strict=True):
        widths[depth] = max(widths[depth], _width(node) + GAP)
    starts = [START + GAP + sum(widths[:depth]) for depth in range(len(widths))]
    down = [0.0] * len(nodes)
    leaf = 0
    for number in _depth_first(nodes, children):
        if not children[number]:
            leaf += 1
            down[number] = leaf * ROW
    for number in reversed(range(len(nodes))):  # parents stand before their children
        if children[number]:
            down[number] = sum(down[child] for child in children[number]) / len(children[number])
    return [starts[depth] for depth in depths], down


def _depth_first(nodes: list[TreeNode], children: list[list[int]]) -> list[int]:
    """All nodes, each before its children, the translation's path first among siblings."""
    order = []
    stack = [number for number, node in enumerate(nodes) if node.parent < 0]
    stack.sort(key=lambda number: nodes[number].best)
    while stack:
        number = stack.pop()
        order.append(number)
        stack += sorted(children[number], key=lambda child: nodes[child].best)
    return order


def _table(hypotheses: Sequence[tuple[str, float, float]]) -> str:
    rows = [
        [text or "(empty)", f"{log_prob:.2f}", f"{score:.3f}"]
        for text, log_prob, score in hypotheses
    ]
    return table(["hypothesis", "log-probability", "score"], rows)
