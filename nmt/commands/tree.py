"""Print what a language model expects after a text, as a tree of next symbols with probabilities.

Each symbol stands with its probability after those before it; `…` is the probability of all other
symbols. With --out FILE.json the tree is written as JSON: a list of nodes, parents first.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.arguments import UsageError, at_least, log
from nmt.recipe import DEVICES

if TYPE_CHECKING:
    from nmt.language_model import SymbolTree


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        help="a run folder of nmt train --task language-model",
    )
    parser.add_argument("text", metavar="TEXT", help="what comes before; it may be empty")
    parser.add_argument(
        "--depth", metavar="D", type=at_least(1), default=3, help="symbols ahead (default: 3)"
    )
    parser.add_argument(
        "--width",
        metavar="W",
        type=at_least(1),
        default=3,
        help="symbols shown after each prefix (default: 3)",
    )
    parser.add_argument(
        "--beam",
        metavar="K",
        type=at_least(1),
        default=4,
        help="prefixes that go on at each depth, the likeliest ones (default: 4)",
    )
    parser.add_argument(
        "-o", "--out", metavar="FILE", type=Path, help="FILE.json or FILE.txt (default: print it)"
    )
    parser.add_argument(
        "--device", choices=DEVICES, default="auto", help="default: a GPU if there is one"
    )


def run(arguments: argparse.Namespace) -> int:
    out: Path | None = arguments.out
    if out is not None and out.suffix not in (".json", ".txt"):
        raise UsageError(f"--out must end in .json or .txt, got {out}")
    from nmt.files import write_atomically
    from nmt.language_model import LanguageModel

    model = LanguageModel.load(arguments.model, arguments.device)
    tree = model.tree(arguments.text, arguments.depth, arguments.width, arguments.beam)
    text = "".join(f"{line}\n" for line in drawn(tree))
    if out is None:
        print(text, end="")
        return 0
    if out.suffix == ".json":
        nodes = [node._asdict() for node in tree.nodes]
        fields = {"text": tree.text, "rest": tree.rest, "nodes": nodes}
        text = json.dumps(fields, ensure_ascii=True, indent=1) + "\n"
    write_atomically(out, text)
    log(f"wrote {out}")
    return 0


def drawn(tree: "SymbolTree") -> Iterator[str]:
    """The tree as lines of text; a symbol is quoted as JSON quotes it."""
    children: dict[int, list[int]] = {}
    for number, node in enumerate(tree.nodes):
        children.setdefault(node.parent, []).append(number)
    yield json.dumps(tree.text, ensure_ascii=False)
    yield from _branches(tree, children, -1, "")


def _branches(
    tree: "SymbolTree", children: dict[int, list[int]], parent: int, margin: str
) -> Iterator[str]:
    rest = tree.rest if parent < 0 else tree.nodes[parent].rest
    if rest is None:
        return
    for number in children.get(parent, []):
        node = tree.nodes[number]
        symbol = json.dumps(node.symbol, ensure_ascii=False)
        yield f"{margin}├─ {symbol} {node.probability:.3f}"
        yield from _branches(tree, children, number, f"{margin}│  ")
    yield f"{margin}└─ … {rest:.3f}"
