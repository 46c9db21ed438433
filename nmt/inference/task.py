"""What a run of `nmt translate` is asked to do, as one value: each process that works on it has the same."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nmt.inference.formats import json_line, nbest_lines, text_line
from nmt.inference.lines import Line, chunks
from nmt.inference.options import SearchOptions

if TYPE_CHECKING:
    from nmt.inference.packing import Kernels
    from nmt.inference.translation import Translation
    from nmt.inference.translator import Translator


class Chunk(NamedTuple):
    """Neighbouring lines that are translated together."""

    first: int  # lines before them in the whole input
    lines: list[Line]


class Rendered(NamedTuple):
    """What becomes of a chunk."""

    lines: list[str]  # of the output
    notes: list[str]  # for the user, with file and line number


@dataclass(frozen=True, kw_only=True)
class TranslationTask:
    """A model and what is wanted of it. Settings of None are the recipe's."""

    model: Path
    device: str  # auto, cpu or cuda
    precision: str | Kernels  # Kernels: what a probe has chosen, so that no other process chooses otherwise
    shortlist: bool  # whether one is used where the model has it
    name: str  # of the input, in notes
    form: str  # one of FORMATS
    n_best: int | None = None
    options: SearchOptions = field(default_factory=SearchOptions)
    ensemble: tuple[Path, ...] = ()  # other models
    alignments: bool = False
    word_scores: bool = False
    attention: bool = False

    def load(self) -> Translator:
        """The model, on a CPU in one thread: more of them would meet those of other workers, and may add up in another order."""
        import torch

        from nmt.inference.translator import Translator, choose_device

        if choose_device(self.device).type == "cpu":
            torch.set_num_threads(1)
        translator = Translator.load(self.model, self.device, self.precision, self.ensemble, self.shortlist)
        gc.freeze()  # what is there now stays: looking through it for garbage again and again took 4% of the time
        return translator

    def render(self, translator: Translator, chunk: Chunk) -> Rendered:
        """Translates a chunk and writes it as the user wants it.

        Raises:
            NmtError: a line's prefix has characters without a piece.
        """
        from nmt.inference.segments import encode_prefixes

        n_best = self.n_best or (1 if self.form != "nbest" else self.options.beam or translator.search.beam)
        details = self.alignments or self.word_scores
        texts, prefixes = [line.text for line in chunk.lines], [line.prefix for line in chunk.lines]
        if any(prefixes):
            places = [f"{self.name}:{number}: " for number in range(chunk.first + 1, chunk.first + 1 + len(texts))]
            encode_prefixes(prefixes, translator.subwords, places)  # names the line of one that cannot be forced
        found = translator.nbest(texts, n_best, details=details, options=self.options, prefixes=prefixes, attention=self.attention)
        notes = [
            f"{self.name}:{number}: longer than any line in training; translated in {best[0].segments} segments"
            for number, best in enumerate(found, start=chunk.first + 1)
            if best[0].segments > 1
        ]
        return Rendered(list(self._lines(chunk, found)), notes)

    def _lines(self, chunk: Chunk, found: list[list[Translation]]) -> Iterator[str]:
        extras = self.alignments, self.word_scores
        for number, (line, translations) in enumerate(zip(chunk.lines, found, strict=True), start=chunk.first):
            if self.form == "nbest":
                yield from nbest_lines(number, translations, *extras)
            elif self.form == "jsonl":
                yield json_line(line, translations, self.n_best or 1, *extras, self.attention)
            else:
                yield text_line(translations[0], *extras)


def numbered_chunks(lines: Iterable[Line], size: int, first: int = 0) -> Iterator[Chunk]:
    """The lines in chunks of `size`; `first` lines of the input come before them."""
    for chunk in chunks(lines, size):
        yield Chunk(first, chunk)
        first += len(chunk)
