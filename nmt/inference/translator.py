"""Text in, text out: the front door of translation."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch

from nmt.config import DEVICES, Recipe
from nmt.data.batches import padded, source_batches
from nmt.data.subwords import BOS, EOS, PAD, UNK, SubwordPair
from nmt.errors import NmtError
from nmt.inference.alignment import align_words, words_of
from nmt.inference.engine import Engine, in_pieces
from nmt.inference.folder import load_network, open_folder
from nmt.inference.forced import force_decode
from nmt.inference.lines import CHUNK_LINES, chunks
from nmt.inference.packing import Kernels
from nmt.inference.probe import choose_kernels
from nmt.inference.segments import segment_ends
from nmt.inference.shortlist import SHORTLIST, Shortlist
from nmt.inference.translation import SegmentTranslations, Translation, join_segments
from nmt.model.seq2seq import Seq2Seq
from nmt.search.beam import beam_search
from nmt.search.picks import Hypothesis, Picks
from nmt.search.step import S, Step


class PairScore(NamedTuple):
    """The model's judgement of a given translation."""

    log_prob: float  # nats, end of sentence included
    pieces: int  # target pieces, end of sentence included


class _Segment(NamedTuple):
    line: int
    ids: list[int]


class SearchSettings(NamedTuple):
    """How a batch is searched."""

    longest: list[int]  # target pieces of each sentence, its end included
    beam: int
    alpha: float
    n: int
    device: torch.device
    scored: bool = True  # False: greedy without the softmax, the same pieces


class Translator:
    """A model with its subwords and search settings; its methods may be called from several threads.

    `translate` and its sisters take lines; line ends are taken off. A blank line translates to a blank line. A line of more pieces than
    `data.max_length` of the recipe is translated in segments and joined with spaces.
    """

    def __init__(
        self, model: Seq2Seq, subwords: SubwordPair, recipe: Recipe, precision: str = "fp32", engine: Engine | None = None
    ) -> None:
        self.model, self.subwords, self.recipe, self.precision, self.engine = model, subwords, recipe, precision, engine
        self.search = recipe.search
        self.device = model.output.weight.device

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", precision: str | Kernels = "auto") -> Self:
        """A training run, one of its checkpoints, or an exported model.

        `device` is auto (a GPU where there is one), cpu or cuda; `precision` is fp32, bf16, int8 or auto: on a GPU
        bf16, on a CPU the fastest by a probe of some milliseconds. Kernels are what such a probe has chosen before.
        With bf16 and int8 a shortlist is used where the folder has one.

        Raises:
            NmtError: the folder is no model, is damaged, or the device is not there.
        """
        chosen = choose_device(device)
        folder = open_folder(Path(path))
        model = load_network(folder, chosen)
        if chosen.type == "cuda":
            if isinstance(precision, Kernels) or precision not in ("auto", "fp32", "bf16"):
                raise NmtError(f"precision {precision!r} is not for a GPU; use auto, fp32 or bf16")
            return cls(model, folder.subwords, folder.recipe, "bf16" if precision == "auto" else precision)
        kernels = precision if isinstance(precision, Kernels) else choose_kernels(precision)
        file = folder.weights.parent / SHORTLIST
        shortlist = None
        if kernels.precision != "fp32" and file.exists():
            shortlist = Shortlist.load(file, folder.subwords.source.size, folder.subwords.target.size)
        return cls(model, folder.subwords, folder.recipe, kernels.precision, Engine(model, kernels, shortlist))

    def translate(self, lines: Iterable[str], beam: int | None = None, length_alpha: float | None = None) -> list[str]:
        """The best translation of each line."""
        return list(self.stream(lines, beam, length_alpha))

    def stream(self, lines: Iterable[str], beam: int | None = None, length_alpha: float | None = None) -> Iterator[str]:
        """The best translation of each line, in order, in constant memory: lines are read by the thousand."""
        _refuse_text(lines)
        for chunk in chunks(lines, CHUNK_LINES):
            yield from (best[0].text for best in self._nbest(chunk, 1, beam, length_alpha, details=False, scored=False))

    def nbest(
        self, lines: Sequence[str], n: int, beam: int | None = None, length_alpha: float | None = None, details: bool = False
    ) -> list[list[Translation]]:
        """The n best translations of each line, best first, at most `beam` of them; with `details` scores of each piece and alignments.

        Raises:
            NmtError: beam, n or length_alpha is out of range.
        """
        _refuse_text(lines)
        return self._nbest(lines, n, beam, length_alpha, details, scored=True)

    def _nbest(
        self, lines: Sequence[str], n: int, beam: int | None, length_alpha: float | None, details: bool, scored: bool
    ) -> list[list[Translation]]:
        beam = self.search.beam if beam is None else beam
        alpha = self.search.length_alpha if length_alpha is None else length_alpha
        if not 1 <= n <= beam:
            raise NmtError(f"an n-best list needs 1 <= n <= beam, got n = {n} and beam = {beam}; raise the beam")
        segments = self._segments(lines)
        results: list[list[Translation]] = [[] for _ in segments]
        for batch in source_batches(np.array([len(segment.ids) for segment in segments]), self.search.batch_pieces):
            sources = [segments[index].ids for index in batch]
            settings = SearchSettings(self.longest_targets(sources), beam, alpha, n, self.device, scored or beam > 1)
            for index, translations in zip(batch, self._translate_batch(sources, settings, details), strict=True):
                results[index] = translations
        parts: list[list[SegmentTranslations]] = [[] for _ in lines]
        for segment, translations in zip(segments, results, strict=True):
            source_words = 1 + max(words_of(self.subwords.source.pieces(segment.ids))) if details else 0
            parts[segment.line].append(SegmentTranslations(source_words, translations))
        return [join_segments(each, alpha) for each in parts]

    def score(self, sources: Sequence[str], targets: Sequence[str]) -> list[PairScore]:
        """The log-probability of each target line given its source line.

        Raises:
            NmtError: not as many targets as sources.
        """
        if len(sources) != len(targets):
            raise NmtError(f"{len(sources)} source lines but {len(targets)} target lines; give one target for each source")
        source_ids, target_ids = self.subwords.source.encode(sources), self.subwords.target.encode(targets)
        scores = [PairScore(0.0, 0)] * len(sources)
        widths = np.array([max(len(source), len(target)) for source, target in zip(source_ids, target_ids, strict=True)])
        for batch in source_batches(widths, self.search.batch_pieces):
            with torch.inference_mode(), self._autocast():
                forced = force_decode(self.model, [source_ids[i] for i in batch], [target_ids[i] for i in batch])
            for index, pair in zip(batch, forced, strict=True):
                scores[index] = PairScore(sum(pair.log_probs), len(pair.log_probs))
        return scores

    def _segments(self, lines: Sequence[str]) -> list[_Segment]:
        segments = []
        for line, ids in enumerate(self.subwords.source.encode([line.rstrip("\r\n") for line in lines])):
            ends = segment_ends(self.subwords.source.pieces(ids), self.recipe.data.max_length) if ids else []
            segments += [_Segment(line, ids[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
        return segments

    def longest_targets(self, sources: Sequence[Sequence[int]]) -> list[int]:
        """Pieces that the translation of each source may have, end of sentence included."""
        return [int(self.search.max_length_factor * len(ids)) + self.search.max_length_extra for ids in sources]

    def _translate_batch(self, sources: list[list[int]], settings: SearchSettings, details: bool) -> list[list[Translation]]:
        source_BS, lengths_B = (tensor.to(self.device) for tensor in padded(sources, suffix=(EOS,)))
        with torch.inference_mode():
            if self.engine is not None:
                state = self.engine.encode(source_BS, lengths_B)
                found = in_pieces(search(self.engine.step, state, settings), state.candidates_C)
            else:
                with self._autocast():
                    found = search(self.model.step, self.model.encode(source_BS, lengths_B), settings)
            if details:
                with self._autocast():
                    return [self._detailed(ids, hypotheses) for ids, hypotheses in zip(sources, found, strict=True)]
        return [[self._translation(hypothesis) for hypothesis in hypotheses] for hypotheses in found]

    def _translation(self, hypothesis: Hypothesis) -> Translation:
        text = self.subwords.target.decode([hypothesis.pieces])[0]
        return Translation(text, hypothesis.log_prob, hypothesis.score, tuple(self.subwords.target.pieces(hypothesis.pieces)))

    def _detailed(self, source: list[int], hypotheses: list[Hypothesis]) -> list[Translation]:
        forced = force_decode(self.model, [source] * len(hypotheses), [hypothesis.pieces for hypothesis in hypotheses])
        source_pieces = self.subwords.source.pieces(source)
        plain = [self._translation(hypothesis) for hypothesis in hypotheses]
        return [
            each._replace(piece_log_probs=pair.log_probs, alignment=align_words(pair.weights_TS, source_pieces, each.pieces))
            for each, pair in zip(plain, forced, strict=True)
        ]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


def search(step: Step[S], state: S, settings: SearchSettings, record: list[Picks] | None = None) -> list[list[Hypothesis]]:
    """Beam search for target pieces; an empty list given as `record` receives what each step picked."""
    return beam_search(
        step,
        state,
        max_lengths=settings.longest,
        beam=settings.beam,
        length_alpha=settings.alpha,
        n_best=settings.n,
        bos=BOS,
        eos=EOS,
        forbidden=(PAD, UNK, BOS),
        scored=settings.scored,
        record=record,
        device=settings.device,
    )


def _refuse_text(lines: Iterable[str]) -> None:
    if isinstance(lines, str):
        raise NmtError(f"lines must be several lines, got the text {lines[:40]!r}; put it in a list")


def choose_device(name: str) -> torch.device:
    """auto: a GPU where there is one.

    Raises:
        NmtError: no such device, or cuda was asked for and is not there.
    """
    if name not in DEVICES:
        raise NmtError(f"unknown device {name!r}; use {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise NmtError("device cuda was asked for, but this machine has no usable GPU; use --device cpu or auto")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")
