"""What a run of `nmt translate` is asked to do, as one value: each process that works on it has the same."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nmt.inference.formats import json_line, nbest_lines, text_line
from nmt.inference.lines import Line, chunks
from nmt.inference.options import SearchOptions
from nmt.inference.texts import split_breaks

if TYPE_CHECKING:
    from nmt.inference.packing import Kernels
    from nmt.inference.translation import Translation
    from nmt.inference.translator import Translator


ESCAPED = 'a translation has "|||", written as &#124;&#124;&#124; to keep the fields apart; --format jsonl keeps it'
ONE_LINE = "n-best lists, alignments, word scores and attention are of one line"


class Chunk(NamedTuple):
    """Neighbouring lines that are translated together."""

    first: int  # lines before them in the whole input
    lines: list[Line]
    paused: bool = False  # no line was ready after them: somebody may wait for their translation


class Rendered(NamedTuple):
    """What becomes of a chunk."""

    lines: list[str]  # of the output
    notes: list[str]  # for the user, with file and line number
    read: int = 0  # lines of the chunk


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
        places = [f"{self.name}:{number}: " for number in range(chunk.first + 1, chunk.first + 1 + len(chunk.lines))]
        if any(prefixes := [line.prefix for line in chunk.lines]):
            encode_prefixes(prefixes, translator.subwords, places)  # names the line of one that cannot be forced
        notes = []
        whole = n_best > 1 or details or self.attention
        texts = [line.text for line in chunk.lines]
        if whole:
            notes += [f"{place}line breaks became spaces: {ONE_LINE}" for place, text in zip(places, texts, strict=True) if "\n" in text]
            texts = [text.replace("\n", " ") for text in texts]
        parts, counts = split_breaks(zip(texts, prefixes, strict=True))
        lines, starts = zip(*parts, strict=True)
        each = iter(translator.nbest(lines, n_best, details=details, options=self.options, prefixes=starts, attention=self.attention))
        found = []
        for place, count in zip(places, counts, strict=True):
            several = list(islice(each, count))
            segments = sum(best[0].segments for best in several if best[0].segments > 1)
            if segments:
                notes.append(f"{place}longer than any line in training; translated in {segments} segments")
            found.append(several[0] if count == 1 else [several[0][0]._replace(text="\n".join(best[0].text for best in several))])
        if self.form != "jsonl" and (self.form == "nbest" or details):
            notes += [
                f"{place}{ESCAPED}" for place, several in zip(places, found, strict=True) if any("|||" in each.text for each in several)
            ]
        return Rendered(list(self._lines(chunk, found)), notes, len(chunk.lines))

    def _lines(self, chunk: Chunk, found: list[list[Translation]]) -> Iterator[str]:
        extras = self.alignments, self.word_scores
        for number, (line, translations) in enumerate(zip(chunk.lines, found, strict=True), start=chunk.first):
            if self.form == "nbest":
                yield from nbest_lines(number, translations, *extras)
            elif self.form == "jsonl":
                yield json_line(line, translations, self.n_best or 1, *extras, self.attention)
            else:
                yield text_line(translations[0], *extras)


def numbered_chunks(lines: Iterable[Line], size: int, first: int = 0, is_ready: Callable[[], bool] | None = None) -> Iterator[Chunk]:
    """The lines in chunks of `size`; `first` lines of the input come before them.

    With `is_ready` a chunk ends, too, when no line is ready, and says so.
    """
    if is_ready is not None:
        yield from _ready_chunks(iter(lines), size, first, is_ready)
        return
    for chunk in chunks(lines, size):
        yield Chunk(first, chunk)
        first += len(chunk)


def _ready_chunks(lines: Iterator[Line], size: int, first: int, is_ready: Callable[[], bool]) -> Iterator[Chunk]:
    for line in lines:
        chunk = [line]
        while (ready := is_ready()) and len(chunk) < size and (following := next(lines, None)) is not None:
            chunk.append(following)
        yield Chunk(first, chunk, paused=not ready)
        first += len(chunk)
