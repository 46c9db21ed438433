"""A model at work on one sentence: what it attended to, how sure it was, and which prefixes its
search kept."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from nmt.data.batches import padded
from nmt.engines.force_decoding import force_decode
from nmt.engines.predictor import SearchSettings, search
from nmt.search.hypotheses import Picks, prediction_trees
from nmt.translation.translator import Translator
from nmt.vocabulary import EOS

LONGEST = 40  # source pieces: more are not readable


class TreeNode(NamedTuple):
    """A prefix that the search kept, by its last piece."""

    parent: int  # -1: the empty prefix
    piece: str
    log_prob: float  # nats, of the whole prefix
    score: float | None  # of a finished hypothesis
    best: bool  # on the path of the translation


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
    beam, alpha, subwords, record = (
        translator.search.beam,
        translator.search.length_alpha,
        translator.subwords,
        list[Picks](),
    )
    settings = SearchSettings(
        translator.longest_targets([ids]), beam, alpha, beam, translator.device
    )
    with torch.inference_mode():
        source_BS, lengths_B = padded([ids], suffix=(EOS,))
        state = translator.model.encode(
            source_BS.to(translator.device), lengths_B.to(translator.device)
        )
        found = search(translator.model.step, state, settings, record)[0]
        forced = force_decode(translator.model, [ids], [found[0].pieces])[0]
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
    texts = subwords.target.decode([hypothesis.pieces for hypothesis in found])
    return CloseUp(
        run=run,
        source=source,
        source_pieces=[*subwords.source.pieces(ids), END],
        target_pieces=_names(translator, [*found[0].pieces, EOS]),
        weights=forced.weights_TS.tolist(),
        log_probs=list(forced.log_probs),
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
