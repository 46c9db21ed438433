"""A model at work on one sentence: what it attended to, how sure it was, and which prefixes its
search kept."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from nmt.pages.tree import TreeNode
from nmt.search.beam import beam_search
from nmt.search.hypotheses import prediction_trees
from nmt.translation.options import SearchOptions
from nmt.translation.translator import Translator
from nmt.vocabulary import EOS

LONGEST = 40  # source pieces: more are not readable


class CloseUp(NamedTuple):
    """One run on one sentence."""

    run: str
    source: str
    source_pieces: list[str]  # with the end of sentence
    target_pieces: list[str]  # with the end of sentence
    weights: list[list[float]]  # attention: for each target piece each source piece
    log_probs: list[float]  # of each target piece
    nodes: list[TreeNode]
    hypotheses: list[tuple[str, float, float]]  # text, log-probability, score; best first


def close_up(run: str, translator: Translator, source: str) -> CloseUp | None:
    """None for a blank sentence and for one of more than LONGEST pieces."""
    ids = translator.subwords.encode_sources([source])[0]
    if not 0 < len(ids) <= LONGEST:
        return None
    settings = replace(
        translator.settings(SearchOptions(), n_best=translator.search.beam), recorded=True
    )
    (found,), record = beam_search(translator.network, [ids], settings)
    (scored,) = translator.network.force_decode([ids], [found[0].pieces])
    tree = prediction_trees(record)[0]
    best = {(*found[0].pieces, EOS)[: depth + 1] for depth in range(len(found[0].pieces) + 1)}
    names = _names(translator, [node.piece for node in tree.nodes])
    nodes = [
        TreeNode(
            node.parent,
            name,
            node.log_prob,
            node.score,
            tuple(tree.nodes[each].piece for each in tree.path(number)) in best,
        )
        for number, (node, name) in enumerate(zip(tree.nodes, names, strict=True))
    ]
    subwords = translator.subwords
    texts = subwords.target.decode([hypothesis.pieces for hypothesis in found])
    return CloseUp(
        run=run,
        source=source,
        source_pieces=[*subwords.source.pieces(ids), END],
        target_pieces=_names(translator, [*found[0].pieces, EOS]),
        weights=scored.weights_TS.tolist(),
        log_probs=list(scored.log_probs),
        nodes=nodes,
        hypotheses=[
            (text, hypothesis.log_prob, hypothesis.score)
            for text, hypothesis in zip(texts, found, strict=True)
        ],
    )


END = "</s>"  # the end of sentence


def _names(translator: Translator, ids: Sequence[int]) -> list[str]:
    return [
        END if number == EOS else piece
        for number, piece in zip(ids, translator.subwords.target.pieces(ids), strict=True)
    ]
