"""What translation asks of a network: search, and force-decoding, the log-probabilities and the
attention of a given translation."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from nmt.data.batches import collate
from nmt.engines.packed.layers import Kernels
from nmt.model.translation import Seq2Seq
from nmt.search.step import Network, S

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}  # of autocast, by precision


class ScoredTarget(NamedTuple):
    """A translation as the network sees it."""

    log_probs: tuple[float, ...]  # nats, of each target piece and the end of sentence
    weights_TS: Tensor  # attention of each of them to each source piece and the end of the source


class TranslationNetwork(Network[S], Protocol[S]):
    """A network that translates: sources as pieces in, target pieces out."""

    @property
    def models(self) -> Sequence[Seq2Seq]:
        """The trained networks behind it; several in an ensemble."""
        ...

    @property
    def precision(self) -> str:
        """fp32, bf16, fp16 or int8."""
        ...

    @property
    def pinned_precision(self) -> str | Kernels:
        """What makes another process compute as this one does, without a probe of its own."""
        ...

    @property
    def note(self) -> str:
        """On the engine, for people: which it is, or why it is not the compiled one; may be
        empty."""
        ...

    @property
    def independent(self) -> bool:
        """Whether no result depends on the sentences of its batch: then batches may be of any
        size."""
        ...

    def batch_pieces(self, most: int, beam: int) -> int:
        """Padded source pieces to search at once, at most `most`."""
        ...

    def force_decode(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[ScoredTarget]:
        """What the network, as it was trained, thinks of given pairs; with int8 in fp32."""
        ...


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of a network in half precision; for others one that changes nothing."""
    return torch.autocast(device.type, HALVES.get(precision), enabled=precision in HALVES)


def force_decode(
    model: Seq2Seq,
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    precision: str = "fp32",
) -> list[ScoredTarget]:
    """Teacher forcing of a batch of pairs, given as pieces without beginning and end of
    sentence."""
    with torch.inference_mode(), autocast(model.output.weight.device, precision):
        return _force_decode(model, sources, targets)


def _force_decode(
    model: Seq2Seq, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[ScoredTarget]:
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
            ScoredTarget(
                tuple(chosen_T.tolist()), weights_BTS[row, :length, :source_length].float().cpu()
            )
        )
    return results
