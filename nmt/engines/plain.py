"""A trained network as it is: on a GPU, and where nothing is to be packed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.data.batches import padded
from nmt.engines.force_decoding import ScoredTarget, autocast, force_decode
from nmt.model.translation import Seq2Seq, TranslationState
from nmt.search.kernels import TORCH
from nmt.vocabulary import EOS


class PlainNetwork:
    """Seq2Seq as a TranslationNetwork."""

    search_kernels = TORCH
    note = ""

    def __init__(self, model: Seq2Seq, precision: str = "fp32") -> None:
        self.models, self.precision = (model,), precision
        self.model = model
        self.device = model.output.weight.device
        self.pinned_precision = precision
        self.independent = self.device.type == "cpu" and precision == "fp32"

    def autocast(self) -> torch.autocast:
        """The products in half precision where `precision` says so."""
        return autocast(self.device, self.precision)

    def start(
        self, sources: Sequence[Sequence[int]], every_piece: bool = False
    ) -> TranslationState:
        """Reads the sources."""
        source_BS, lengths_B = (tensor.to(self.device) for tensor in padded(sources, suffix=(EOS,)))
        return self.model.encode(source_BS, lengths_B)

    def step(self, columns_N: Tensor, state: TranslationState) -> tuple[Tensor, TranslationState]:
        """As Seq2Seq.step."""
        return self.model.step(columns_N, state)

    def candidates(self, state: TranslationState) -> None:
        """Columns are pieces."""

    def batch_pieces(self, most: int, beam: int) -> int:
        """As many as there is room for."""
        return most

    def force_decode(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[ScoredTarget]:
        """As of TranslationNetwork."""
        return force_decode(self.model, sources, targets, self.precision)
