"""Force-decoding: what the model thinks of a given translation."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.batches import collate
from nmt.model.translation import Seq2Seq


class Forced(NamedTuple):
    """A pair as the model sees it."""

    log_probs: tuple[float, ...]  # nats, of each target piece and the end of sentence
    weights_TS: Tensor  # attention of each of them to each source piece and the end of the source


def force_decode(
    model: Seq2Seq, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[Forced]:
    """Teacher forcing of a batch of pairs, given as ids without beginning and end of sentence."""
    device = model.output.weight.device
    batch = collate(sources, targets).to(device)
    vectors_BTE, weights_BTS = model(batch)
    results = []
    for row in range(
        len(sources)
    ):  # one sentence at a time: all logits together would need B * T * V numbers
        length, source_length = int(batch.output_lengths_B[row]), int(batch.source_lengths_B[row])
        logits_TV = model.output(vectors_BTE[row, :length]).float()
        chosen_T = (
            torch.log_softmax(logits_TV, -1)
            .gather(1, batch.output_BT[row, :length, None])
            .squeeze(1)
        )
        results.append(
            Forced(
                tuple(chosen_T.tolist()), weights_BTS[row, :length, :source_length].float().cpu()
            )
        )
    return results
