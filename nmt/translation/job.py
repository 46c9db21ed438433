"""One job of `nmt translate` as a value, and what it writes for a line: text, an n-best list, or
JSON."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt.text.lines import Line, dump_json
from nmt.text.terms import Term, terms_of
from nmt.translation.options import SearchOptions

if TYPE_CHECKING:
    from nmt.engines.packed.layers import Kernels
    from nmt.search.settings import SearchSettings
    from nmt.translation.result import Translation
    from nmt.translation.translator import Translator


ESCAPED = (
    'a translation has "|||", written as &#124;&#124;&#124; to keep the fields apart; --format'
    " jsonl keeps it"
)
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
    # Kernels: what a probe has chosen, so that no other process chooses otherwise
    precision: str | Kernels
    shortlist: bool  # whether one is used where the model has it
    name: str  # of the input, in notes
    form: str  # one of FORMATS
    n_best: int | None = None
    options: SearchOptions = field(default_factory=SearchOptions)
    ensemble: tuple[Path, ...] = ()  # other models
    alignments: bool = False
    word_scores: bool = False
    attention: bool = False
    terms: tuple[Term, ...] = ()  # of every line

    def load(self) -> TranslationJob:
        """The job with its model, on a CPU in one thread: more of them would meet those of other
        workers, and may add up in another order.

        Raises:
            NmtError: as of Translator.load, or n_best is larger than the beam.
        """
        import torch

        from nmt.translation.translator import Translator, choose_device

        if choose_device(self.device).type == "cpu":
            torch.set_num_threads(1)
        translator = Translator.load(
            self.model, self.device, self.precision, self.ensemble, self.shortlist
        )
        # what is there now stays: looking through it for garbage again and again took 4% of the
        # time
        gc.freeze()
        return self.of(translator)

    def of(self, translator: Translator) -> TranslationJob:
        """The job with this model."""
        n_best = self.n_best or (
            1 if self.form != "nbest" else self.options.beam or translator.search.beam
        )
        return TranslationJob(self, translator, translator.settings(self.options, n_best))


class TranslationJob(NamedTuple):
    """A task at work."""

    task: TranslationTask
    translator: Translator
    settings: SearchSettings

    def for_workers(self) -> TranslationTask:
        """The task that makes another process translate as this one does: training that goes on
        may let the run's name stand for another checkpoint, and a probe may choose otherwise."""
        pinned = replace(self.task, precision=self.translator.network.pinned_precision)
        if not self.translator.paths:
            return pinned
        model, *ensemble = self.translator.paths
        return replace(pinned, model=model, ensemble=tuple(ensemble))

    def render(self, chunk: Chunk) -> Rendered:
        """Translates a chunk and writes it as the user wants it.

        Raises:
            NmtError: a line's prefix has characters without a piece.
        """
        from nmt.translation.inputs import encode_prefixes, split_breaks

        task, translator, n_best = self.task, self.translator, self.settings.n_best
        details = task.alignments or task.word_scores
        places = [
            f"{task.name}:{number}: "
            for number in range(chunk.first + 1, chunk.first + 1 + len(chunk.lines))
        ]
        if any(prefixes := [line.prefix for line in chunk.lines]):
            encode_prefixes(
                prefixes, translator.subwords, places
            )  # names the line of one that cannot be forced
        notes = []
        whole = n_best > 1 or details or task.attention
        texts = [line.text for line in chunk.lines]
        if whole:
            notes += [
                f"{place}line breaks became spaces: {ONE_LINE}"
                for place, text in zip(places, texts, strict=True)
                if "\n" in text
            ]
            texts = [text.replace("\n", " ") for text in texts]
        split = split_breaks(zip(texts, prefixes, strict=True), chunk.first)
        terms = [
            (*own_terms(line, place), *task.terms)
            for line, place, count in zip(chunk.lines, places, split.counts, strict=True)
            for _ in range(count)
        ]
        each = iter(
            translator.nbest_of(
                split.lines, self.settings, details, task.attention, split.places, terms
            )
        )
        found = []
        for place, count in zip(places, split.counts, strict=True):
            several = list(islice(each, count))
            segments = sum(best[0].segments for best in several if best[0].segments > 1)
            if segments:
                notes.append(
                    f"{place}longer than any line in training; translated in {segments} segments"
                )
            unplaced = [span for best in several for span in best[0].unplaced]
            if unplaced:
                notes.append(f"{place}put at the end, no place found for it: {', '.join(unplaced)}")
            found.append(
                several[0]
                if count == 1
                else [several[0][0]._replace(text="\n".join(best[0].text for best in several))]
            )
        if task.form != "jsonl" and (task.form == "nbest" or details):
            notes += [
                f"{place}{ESCAPED}"
                for place, several in zip(places, found, strict=True)
                if any("|||" in each.text for each in several)
            ]
        return Rendered(list(self._lines(chunk, found)), notes, len(chunk.lines))

    def _lines(self, chunk: Chunk, found: list[list[Translation]]) -> Iterator[str]:
        task = self.task
        extras = task.alignments, task.word_scores
        for number, (line, translations) in enumerate(
            zip(chunk.lines, found, strict=True), start=chunk.first
        ):
            if task.form == "nbest":
                yield from nbest_lines(number, translations, *extras)
            elif task.form == "jsonl":
                yield json_line(line, translations, self.settings.n_best, *extras, task.attention)
            else:
                yield text_line(translations[0], *extras)


def own_terms(line: Line, place: str) -> tuple[Term, ...]:
    """The terms that a JSON line gives for itself.

    Raises:
        NmtError: they are no object of texts.
    """
    if line.fields is None or "terms" not in line.fields:
        return ()
    return terms_of(line.fields["terms"], place.removesuffix(": "))


def numbered_chunks(
    lines: Iterable[Line], size: int, first: int = 0, is_ready: Callable[[], bool] | None = None
) -> Iterator[Chunk]:
    """The lines in chunks of `size`; `first` lines of the input come before them.

    With `is_ready` a chunk ends, too, when no line is ready, and says so.
    """
    if is_ready is not None:
        yield from _ready_chunks(iter(lines), size, first, is_ready)
        return
    following = iter(lines)
    while chunk := list(islice(following, size)):
        yield Chunk(first, chunk)
        first += len(chunk)


def _ready_chunks(
    lines: Iterator[Line], size: int, first: int, is_ready: Callable[[], bool]
) -> Iterator[Chunk]:
    for line in lines:
        chunk = [line]
        while (
            (ready := is_ready())
            and len(chunk) < size
            and (following := next(lines, None)) is not None
        ):
            chunk.append(following)
        yield Chunk(first, chunk, paused=not ready)
        first += len(chunk)


FORMATS = ("text", "nbest", "jsonl")


def text_line(best: Translation, alignments: bool, word_scores: bool) -> str:
    """`text`, then ` ||| 0-0 1-2` and ` ||| WordScores= -0.1 -0.2` where wanted; nothing but a
    blank line for a blank line."""
    if not best.pieces:
        return ""
    return (
        _field(best.text) + _extras(best, alignments, word_scores)
        if alignments or word_scores
        else best.text
    )


def nbest_lines(
    number: int, translations: Sequence[Translation], alignments: bool, word_scores: bool
) -> list[str]:
    """`number ||| text ||| F0= log-probability ||| score`, best first, with the extras of
    `text_line` behind the text."""
    return [
        f"{number} ||| {_field(each.text)}{_extras(each, alignments, word_scores)} ||| F0="
        f" {each.log_prob:g} ||| {each.score:g}"
        for each in translations
    ]


def json_line(
    line: Line,
    translations: Sequence[Translation],
    n_best: int,
    alignments: bool,
    word_scores: bool,
    attention: bool = False,
) -> str:
    """The input object with "translation" added, and "translations" where several are wanted; a
    blank line for a blank line.

    With `attention` a row for each target piece and the end of sentence, of a weight for each of
    the "source_pieces".
    """
    if line.fields is None:
        return ""
    extras = alignments, word_scores, attention
    fields = (
        line.fields | {"translation": translations[0].text} | _json_extras(translations[0], *extras)
    )
    if attention:
        fields["source_pieces"] = list(translations[0].source_pieces)
    if n_best > 1:
        fields["translations"] = [
            {"text": each.text, "log_prob": each.log_prob, "score": each.score}
            | _json_extras(each, *extras)
            for each in translations
        ]
    return dump_json(fields)


def _field(text: str) -> str:
    """The text as one of several fields: what divides them is written as Moses escapes it."""
    return text.replace("|||", "&#124;&#124;&#124;")


def _extras(translation: Translation, alignments: bool, word_scores: bool) -> str:
    text = ""
    if alignments:
        text += " ||| " + " ".join(
            f"{source}-{target}" for source, target in translation.alignment or ()
        )
    if word_scores:
        text += " ||| WordScores= " + " ".join(
            f"{log_prob:.5f}" for log_prob in translation.piece_log_probs
        )
    return text


def _json_extras(
    translation: Translation, alignments: bool, word_scores: bool, attention: bool
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if alignments:
        fields["alignment"] = [list(link) for link in translation.alignment or ()]
    if word_scores or attention:
        fields["pieces"] = list(translation.pieces)
    if word_scores:
        fields["word_scores"] = list(translation.piece_log_probs)
    if attention:
        fields["attention"] = [
            [round(weight, 4) for weight in row] for row in translation.attention
        ]
    return fields
