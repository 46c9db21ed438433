"""Text in, text out: the front door of translation."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch

from nmt.config import Recipe
from nmt.data.batches import padded, source_batches
from nmt.data.subwords import BOS, EOS, PAD, UNK, SubwordPair
from nmt.errors import NmtError
from nmt.inference.alignment import align_words, words_of
from nmt.inference.folder import load_network, open_folder
from nmt.inference.forced import force_decode
from nmt.inference.segments import segment_ends
from nmt.inference.translation import SegmentTranslations, Translation, join_segments
from nmt.model.seq2seq import Seq2Seq
from nmt.search.beam import beam_search
from nmt.search.picks import Hypothesis

CHUNK_LINES = 2000  # read, sorted by length and translated together: memory does not grow with the input
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class PairScore(NamedTuple):
    """The model's judgement of a given translation."""

    log_prob: float  # nats, end of sentence included
    pieces: int  # target pieces, end of sentence included


class _Segment(NamedTuple):
    line: int
    ids: list[int]


class Translator:
    """A model with its subwords and search settings; its methods may be called from several threads.

    `translate` and its sisters take lines; line ends are taken off. A blank line translates to a blank line. A line of more pieces than
    `data.max_length` of the recipe is translated in segments and joined with spaces.
    """

    def __init__(self, model: Seq2Seq, subwords: SubwordPair, recipe: Recipe, precision: str = "fp32") -> None:
        self.model, self.subwords, self.recipe, self.precision = model, subwords, recipe, precision
        self.search = recipe.search
        self.device = model.output.weight.device

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", precision: str = "auto") -> Self:
        """A training run, one of its checkpoints, or an exported model.

        `device` is auto (a GPU where there is one), cpu or cuda; `precision` is fp32, bf16 or auto (bf16 on a GPU, fp32 on a CPU).

        Raises:
            NmtError: the folder is no model, is damaged, or the device is not there.
        """
        chosen = choose_device(device)
        folder = open_folder(Path(path))
        if precision == "auto":
            precision = "bf16" if chosen.type == "cuda" else "fp32"
        if precision not in PRECISIONS:
            raise NmtError(f"unknown precision {precision!r}; use auto, fp32 or bf16")
        return cls(load_network(folder, chosen), folder.subwords, folder.recipe, precision)

    def translate(self, lines: Iterable[str], beam: int | None = None, length_alpha: float | None = None) -> list[str]:
        """The best translation of each line."""
        return list(self.stream(lines, beam, length_alpha))

    def stream(self, lines: Iterable[str], beam: int | None = None, length_alpha: float | None = None) -> Iterator[str]:
        """The best translation of each line, in order, in constant memory: lines are read by the thousand."""
        iterator = iter(lines)
        while chunk := list(islice(iterator, CHUNK_LINES)):
            yield from (best[0].text for best in self.nbest(chunk, 1, beam, length_alpha))

    def nbest(
        self, lines: Sequence[str], n: int, beam: int | None = None, length_alpha: float | None = None, details: bool = False
    ) -> list[list[Translation]]:
        """The n best translations of each line, best first, at most `beam` of them; with `details` scores of each piece and alignments.

        Raises:
            NmtError: beam, n or length_alpha is out of range.
        """
        beam = self.search.beam if beam is None else beam
        alpha = self.search.length_alpha if length_alpha is None else length_alpha
        if not 1 <= n <= beam:
            raise NmtError(f"an n-best list needs 1 <= n <= beam, got n = {n} and beam = {beam}; raise the beam")
        segments = self._segments(lines)
        results: list[list[Translation]] = [[] for _ in segments]
        for batch in source_batches(np.array([len(segment.ids) for segment in segments]), self.search.batch_pieces):
            sources = [segments[index].ids for index in batch]
            for index, translations in zip(batch, self._translate_batch(sources, n, beam, alpha, details), strict=True):
                results[index] = translations
        parts: list[list[SegmentTranslations]] = [[] for _ in lines]
        for segment, translations in zip(segments, results, strict=True):
            source_words = 1 + max(words_of(self.subwords.source.pieces(segment.ids)))
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

    def _translate_batch(self, sources: list[list[int]], n: int, beam: int, alpha: float, details: bool) -> list[list[Translation]]:
        with torch.inference_mode(), self._autocast():
            source_BS, lengths_B = padded(sources, suffix=(EOS,))
            state = self.model.encode(source_BS.to(self.device), lengths_B.to(self.device))
            longest = [int(self.search.max_length_factor * len(ids)) + self.search.max_length_extra for ids in sources]
            found = beam_search(
                self.model.step,
                state,
                max_lengths=longest,
                beam=beam,
                length_alpha=alpha,
                n_best=n,
                bos=BOS,
                eos=EOS,
                forbidden=(PAD, UNK, BOS),
                device=self.device,
            )
            if details:
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


def choose_device(name: str) -> torch.device:
    """auto: a GPU where there is one.

    Raises:
        NmtError: cuda was asked for and is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise NmtError("device cuda was asked for, but this machine has no usable GPU; use --device cpu or auto")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")
