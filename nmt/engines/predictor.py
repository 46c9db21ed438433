"""A trained network at work: sources as pieces in, hypotheses as pieces out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.data.batches import padded
from nmt.engines.choice import AnyEngine, choose_engine
from nmt.engines.compiled.engine import NativeEngine, NativeState
from nmt.engines.force_decoding import Forced, force_decode
from nmt.engines.packed.engine import Engine, EngineState, in_pieces
from nmt.engines.packed.weights import Kernels
from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.folders import ModelFolder, load_network
from nmt.model.translation import Seq2Seq, TranslationState
from nmt.search.beam import beam_search
from nmt.search.beam_step import TORCH, Chooser
from nmt.search.constraints import constrain
from nmt.search.hypotheses import Hypothesis, Picks
from nmt.search.step import S, Step
from nmt.vocabulary import BOS, EOS, PAD, UNK

HALVES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}  # what a network computes its products in, as it was trained


class SearchSettings(NamedTuple):
    """How a batch is searched."""

    longest: list[int]  # target pieces of each sentence, its end included
    beam: int
    alpha: float
    n: int
    device: torch.device
    scored: bool = True  # False: greedy without the softmax, the same pieces
    shortest: int = 1  # target pieces, the end included
    no_repeat_ngram: int = 0
    prefixes: Sequence[
        Sequence[int]
    ] = ()  # the pieces that each sentence's hypotheses begin with; (): the batch has none


class Predictor:
    """One network, packed for a CPU or as it was trained. Its methods may be called from several
    threads."""

    def __init__(
        self, model: Seq2Seq, precision: str, engine: AnyEngine | None, remark: str = ""
    ) -> None:
        """`remark` is on the engine, for people."""
        self.model, self.precision, self.engine, self.remark = model, precision, engine, remark
        self.device = model.output.weight.device

    def search(
        self, sources: Sequence[Sequence[int]], settings: SearchSettings
    ) -> list[list[Hypothesis]]:
        """The n best hypotheses of each source, best first. No shortlist is used with prefixes:
        it might lack their pieces."""
        source_BS, lengths_B = (tensor.to(self.device) for tensor in padded(sources, suffix=(EOS,)))
        with torch.inference_mode():
            if self.engine is not None:
                step: Step[Any] = self.engine.step
                state = self.engine.encode(source_BS, lengths_B, shortlisted=not settings.prefixes)
                return in_pieces(
                    search(step, state, settings, chooser=self.engine.chooser), state.candidates
                )
            with self.autocast():
                return search(self.model.step, self.model.encode(source_BS, lengths_B), settings)

    def encode(
        self, source_BS: Tensor, lengths_B: Tensor
    ) -> EngineState | NativeState | TranslationState:
        """Reads the source for `step`; the logits have a column for each piece."""
        if self.engine is not None:
            return self.engine.encode(source_BS, lengths_B, shortlisted=False)
        return self.model.encode(source_BS, lengths_B)

    @property
    def step(self) -> Step[Any]:
        """One target position after `encode`."""
        return self.model.step if self.engine is None else self.engine.step

    def batch_pieces(self, most: int, beam: int) -> int:
        """Padded source pieces to search at once: the compiled engine is as fast with few, and then
        they call for fewer candidates.

        Beams leave more to Python at each step, so that twice as many rows pay there.
        """
        few = 2048 if beam == 1 else max(256, 4096 // beam)
        return min(most, few) if isinstance(self.engine, NativeEngine) else most

    @property
    def chosen_precision(self) -> str | Kernels:
        """What makes another process, or another model's predictor, compute as this one does,
        without a probe of its own."""
        return self.engine.kernels if isinstance(self.engine, Engine) else self.precision

    def force_decode(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
    ) -> list[Forced]:
        """What the network, as it was trained, thinks of given pairs; with int8 in fp32."""
        with torch.inference_mode(), self.autocast():
            return force_decode(self.model, sources, targets)

    def autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, HALVES.get(self.precision), enabled=self.precision in HALVES
        )


def load_predictor(
    folder: ModelFolder, device: torch.device, precision: str | Kernels, shortlist: bool
) -> Predictor:
    """The network of a model folder in its form for this device; `precision` and `shortlist` as of
    Translator.load.

    Raises:
        NmtError: no such precision, or not on this device; weights or shortlist are not those of
            the recipe.
    """
    model = load_network(folder, device)
    if device.type == "cuda":
        return Predictor(model, gpu_precision(precision), None)
    candidates = None
    if shortlist and folder.shortlist and precision != "fp32":
        candidates = Shortlist.load(
            folder.shortlist, folder.subwords.source.size, folder.subwords.target.size
        )
    found = choose_engine(model, precision, candidates)
    return Predictor(model, found.precision, found.engine, found.remark)


def gpu_precision(precision: str | Kernels) -> str:
    """auto: bf16, or fp16 on cards of before 2020, which have no products in bf16.

    Raises:
        NmtError: a precision of processors.
    """
    if isinstance(precision, Kernels) or precision not in ("auto", "fp32", *HALVES):
        raise NmtError(f"precision {precision!r} is not for a GPU; use auto, fp32, bf16 or fp16")
    if precision != "auto":
        return precision
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def search(
    step: Step[S],
    state: S,
    settings: SearchSettings,
    record: list[Picks] | None = None,
    chooser: Chooser = TORCH,
) -> list[list[Hypothesis]]:
    """Beam search for target pieces; an empty list given as `record` receives what each step
    picked."""
    if not settings.prefixes and not settings.no_repeat_ngram:
        return _search(step, state, chooser, settings, record)
    prefixes = settings.prefixes or [()] * len(settings.longest)
    within = constrain(
        step,
        state,
        prefixes=prefixes,
        no_repeat_ngram=settings.no_repeat_ngram,
        device=settings.device,
        chooser=chooser,
    )
    return _search(*within, settings, record)


def _search(
    step: Step[S], state: S, chooser: Chooser, settings: SearchSettings, record: list[Picks] | None
) -> list[list[Hypothesis]]:
    return beam_search(
        step,
        state,
        max_lengths=settings.longest,
        beam=settings.beam,
        length_alpha=settings.alpha,
        n_best=settings.n,
        bos=BOS,
        eos=EOS,
        min_length=settings.shortest,
        forbidden=(PAD, UNK, BOS),
        scored=settings.scored,
        record=record,
        device=settings.device,
        chooser=chooser,
    )
