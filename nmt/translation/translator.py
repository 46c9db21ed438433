"""Text in, text out: the front door of translation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

import nmt.translation.forks  # noqa: F401  a forked child can translate
from nmt.data.batches import source_batches
from nmt.engines.choice import load_translation_network
from nmt.engines.ensemble import Ensemble
from nmt.engines.force_decoding import TranslationNetwork
from nmt.engines.packed.layers import Kernels
from nmt.errors import NmtError
from nmt.folders import open_folder, open_members
from nmt.limits import whole_number
from nmt.recipe import DEVICES, Recipe
from nmt.search.beam import beam_search
from nmt.search.hypotheses import Hypothesis
from nmt.search.required import search_again
from nmt.search.settings import SearchSettings
from nmt.text.lines import CHUNK_LINES, chunks, is_blank
from nmt.text.segments import Lengths, shortest_of
from nmt.text.subwords import SubwordPair
from nmt.text.terms import Term, as_terms
from nmt.translation.candidates import candidates
from nmt.translation.inputs import (
    Segment,
    cut_into_batches,
    join_breaks,
    single_lines,
    split_breaks,
    texts_of,
    with_prefixes,
)
from nmt.translation.options import SearchOptions
from nmt.translation.prepared import joined_units, unit_places, units_of
from nmt.translation.result import (
    PairScore,
    SegmentTranslations,
    Translation,
    attended,
    detailed,
    join_segments,
    penalised,
    translations_of,
    words_of,
)


class Translator:
    """A model with its subwords and search settings; its methods may be called from several
    threads.

    `translate` and its sisters take lines; line ends are taken off. A blank line translates to a
    blank line. A text of several lines is translated line by line and keeps its breaks; n-best
    lists and scores are of single lines. A line of more pieces than any in training is translated
    in segments (`lengths`; `data.max_length` of the recipe where nothing is recorded).
    """

    def __init__(
        self,
        network: TranslationNetwork[Any],
        subwords: SubwordPair,
        recipe: Recipe,
        lengths: Lengths | None = None,
        paths: Sequence[Path] = (),
    ) -> None:
        self.network, self.subwords, self.recipe = network, subwords, recipe
        self.search = recipe.search
        most = recipe.data.max_length
        self.lengths = lengths or Lengths(most, most)  # of the longest lines in training
        # of the folders that hold the weights, the model's and those of an ensemble
        self.paths = tuple(paths)

    def __repr__(self) -> str:
        model, data = self.recipe.model, self.recipe.data
        network = (
            f"{model.cell} of {model.encoder_layers}+{model.decoder_layers} layers of"
            f" {model.hidden_size}"
        )
        others = len(self.network.models) - 1
        more = f" with {others} more" if others else ""
        where = f", {self.paths[0]}{more}" if self.paths else more
        return (
            f"<Translator {data.source} to {data.target}, {network}, {self.network.precision} on"
            f" {self.network.device}{where}>"
        )

    def __reduce__(self) -> str:
        raise NmtError(
            "a Translator cannot be pickled or copied; call Translator.load in each process,"
            " threads may share one"
        )

    @property
    def source_language(self) -> str:
        """The language that is translated, as the recipe calls it."""
        return self.recipe.data.source

    @property
    def target_language(self) -> str:
        """The language that it is translated to, as the recipe calls it."""
        return self.recipe.data.target

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        precision: str | Kernels = "auto",
        ensemble: Sequence[str | Path] = (),
        shortlist: bool = True,
    ) -> Self:
        """A training run, one of its checkpoints, or an exported model; with `ensemble` the mean of
        its predictions and of those models'.

        `device` is auto (a GPU where there is one), cpu or cuda; `precision` is fp32, bf16, on a
        GPU fp16, on a CPU int8, or auto: on a GPU bf16 (fp16 where it has none), on a CPU the
        fastest by a probe of some milliseconds; Kernels are what such a probe has chosen before.
        With bf16 and int8 on a CPU the folder's shortlist is used where it has one, unless
        `shortlist` is False; with fp32 and in an ensemble every piece is a candidate, whatever it
        says.

        Raises:
            NmtError: the folder is no model, is damaged, or the device is not there; a model of the
                ensemble has other subwords.
        """
        chosen, folder = choose_device(device), open_folder(Path(path))
        members = open_members(folder, ensemble)
        first = load_translation_network(folder, chosen, precision, shortlist)
        others = [
            load_translation_network(member, chosen, first.pinned_precision, shortlist)
            for member in members
        ]
        lengths = shortest_of(each.lengths for each in (folder, *members))
        paths = [each.weights.parent for each in (folder, *members)]
        network = Ensemble([first, *others]) if others else first
        return cls(network, folder.subwords, folder.recipe, lengths, paths)

    def parameters(self) -> int:
        """Numbers that were learnt, of all models of an ensemble."""
        return sum(each.numel() for model in self.network.models for each in model.parameters())

    def translate(
        self,
        lines: Iterable[str],
        beam: int | None = None,
        length_alpha: float | None = None,
        *,
        options: SearchOptions | None = None,
        prefixes: Iterable[str] | None = None,
        terms: Mapping[str, str] | Sequence[Term] = (),
    ) -> list[str]:
        """The best translation of each line; `beam` and `length_alpha` go before those of the
        `options`.

        Each translation begins with the prefix of its line, "" for none. A prefix is cut into
        pieces as a text of its own; what follows may begin a new word or go on with the prefix's
        last one. Only a blank line stays blank, whatever its prefix. Where a source has one of the
        `terms`, its translation has that term's target.

        Raises:
            NmtError: beam or length_alpha is out of range, something is no text, not as many
                prefixes as lines, or a prefix with
                characters without a piece.
        """
        return list(
            self.stream(lines, beam, length_alpha, options=options, prefixes=prefixes, terms=terms)
        )

    def stream(
        self,
        lines: Iterable[str],
        beam: int | None = None,
        length_alpha: float | None = None,
        *,
        options: SearchOptions | None = None,
        prefixes: Iterable[str] | None = None,
        chunk_lines: int | None = None,
        terms: Mapping[str, str] | Sequence[Term] = (),
    ) -> Iterator[str]:
        """What `translate` gives, in order, in constant memory: `chunk_lines` lines are read and
        translated together, 2,000 by default.

        With `chunk_lines=1` each line is answered before the next one is read, as a dialogue needs;
        more are faster.
        """
        options = (options or SearchOptions()).override(beam, length_alpha)
        settings = self.settings(options, scored=False)
        size = (
            CHUNK_LINES
            if chunk_lines is None
            else whole_number(chunk_lines, "chunk_lines", "give 1 to answer each line at once")
        )
        if size < 1:
            raise NmtError(
                f"chunk_lines is a number of lines, got {size}; give 1 to answer each line at once"
            )
        of_all = as_terms(terms)
        first = 0
        for chunk in chunks(with_prefixes(texts_of(lines, "lines"), prefixes), size):
            split = split_breaks(chunk, first)
            each = [of_all] * len(split.lines)
            found = self.nbest_of(split.lines, settings, places=split.places, terms=each)
            yield from join_breaks((best[0].text for best in found), split.counts)
            first += len(chunk)

    def nbest(
        self,
        lines: Sequence[str],
        n: int,
        beam: int | None = None,
        length_alpha: float | None = None,
        details: bool = False,
        *,
        options: SearchOptions | None = None,
        prefixes: Sequence[str] | None = None,
        attention: bool = False,
    ) -> list[list[Translation]]:
        """The n best translations of each line, best first, at most `beam` of them.

        With `details` they have scores of each piece and alignments, with `attention` what each
        piece attended to. All that is of the network as it was trained, force-decoded: with bf16
        and int8 piece scores do not quite sum up to the log_prob of the search.

        Raises:
            NmtError: n is out of range, or as of `translate`.
        """
        n = whole_number(n, "n", "round it")
        options = (options or SearchOptions()).override(beam, length_alpha)
        settings = self.settings(options, n)
        pairs = list(with_prefixes(single_lines(lines, "lines"), prefixes))
        return self.nbest_of(pairs, settings, details, attention)

    def settings(
        self, options: SearchOptions, n_best: int = 1, scored: bool = True
    ) -> SearchSettings:
        """What the recipe, these options and the network make together, for `nbest_of`."""
        settings = options.settings(self.search, n_best, scored)
        most = self.network.batch_pieces(self.search.batch_pieces, settings.beam)
        return replace(settings, batch_pieces=most)

    def nbest_of(
        self,
        lines: Sequence[tuple[str, str]],
        settings: SearchSettings,
        details: bool = False,
        attention: bool = False,
        places: Sequence[tuple[int, ...]] | None = None,
        terms: Sequence[Sequence[Term]] = (),
    ) -> list[list[Translation]]:
        """As `nbest`, of single lines with their prefixes, "" for none. `terms` are those of each
        line. `places` are whole numbers that with the seed decide what is sampled for each line;
        None: (0, 0), (1, 0), ..."""
        places = [(line, 0) for line in range(len(lines))] if places is None else places
        units = units_of(lines, self.subwords, self.source_language, terms)
        found = self._nbest_of_units(
            [(unit.text, unit.prefix) for unit in units],
            settings,
            details,
            attention,
            unit_places(units, places),
        )
        alpha = None if settings.mbr else settings.length_alpha
        return joined_units(units, found, len(lines), alpha)

    def _nbest_of_units(
        self,
        lines: Sequence[tuple[str, str]],
        settings: SearchSettings,
        details: bool,
        attention: bool,
        places: Sequence[tuple[int, ...]],
    ) -> list[list[Translation]]:
        segments, batches = cut_into_batches(
            lines, self.subwords, self.lengths.source, settings.batch_pieces, places
        )
        results: list[list[Translation]] = [[] for _ in segments]
        for batch in batches:
            found = self._translate_batch(
                [segments[index] for index in batch], settings, details, attention
            )
            for index, translations in zip(batch, found, strict=True):
                results[index] = translations
        parts: list[list[SegmentTranslations]] = [[] for _ in lines]
        for segment, translations in zip(segments, results, strict=True):
            source_words = (
                1 + max(words_of(self.subwords.source.pieces(segment.ids))) if details else 0
            )
            parts[segment.line].append(
                SegmentTranslations(source_words, translations, segment.spaced, segment.within_word)
            )
        alpha = None if settings.mbr else settings.length_alpha
        return [
            each[0].translations if len(each) == 1 else join_segments(each, alpha) for each in parts
        ]

    def _translate_batch(
        self,
        segments: Sequence[Segment],
        settings: SearchSettings,
        details: bool,
        attention: bool,
    ) -> list[list[Translation]]:
        sources = [segment.ids for segment in segments]
        if settings.sampling or settings.mbr:
            found, plain = candidates(self.network, self.subwords.target, segments, settings)
        else:
            prefixes = [segment.prefix for segment in segments]
            asked = replace(settings, n_best=settings.beam) if settings.coverage else settings
            found = beam_search(self.network, sources, asked, prefixes).hypotheses
            if self.subwords.placeholders:
                required = self.subwords.target.placeholders
                found = search_again(self.network, required, sources, found, asked, prefixes)
            plain = translations_of(found, self.subwords.target)
        if not (details or attention or settings.coverage):
            return plain
        return [
            self._judged(*each, settings, details, attention)
            for each in zip(sources, found, plain, strict=True)
        ]

    def _judged(
        self,
        source: list[int],
        hypotheses: Sequence[Hypothesis],
        translations: Sequence[Translation],
        settings: SearchSettings,
        details: bool,
        attention: bool,
    ) -> list[Translation]:
        """The n best translations of a source, with what force-decoding them tells."""
        scored = self.network.force_decode(
            [source] * len(hypotheses), [hypothesis.pieces for hypothesis in hypotheses]
        )
        judged = list(zip(translations, scored, strict=True))
        if settings.coverage > 0:
            judged = [
                (penalised(translation, target, settings.coverage, settings.length_alpha), target)
                for translation, target in judged
            ]
            judged.sort(key=lambda each: -each[0].score)
        subwords, judged = self.subwords.source, judged[: settings.n_best]
        if details:
            judged = [
                (detailed(translation, source, target, subwords), target)
                for translation, target in judged
            ]
        if attention:
            judged = [
                (attended(translation, source, target, subwords), target)
                for translation, target in judged
            ]
        return [translation for translation, _ in judged]

    def score(self, sources: Sequence[str], targets: Sequence[str]) -> list[PairScore]:
        """The log-probability of each target line given its source line; long lines are not cut,
        nothing says where both would go apart.

        Raises:
            NmtError: not as many targets as sources, or something is no line of text.
        """
        sources, targets = (
            list(single_lines(sources, "sources")),
            list(single_lines(targets, "targets")),
        )
        if len(sources) != len(targets):
            raise NmtError(
                f"{len(sources)} source lines but {len(targets)} target lines; give one target for"
                " each source"
            )
        source_ids = self.subwords.encode_sources(sources)
        target_ids = self.subwords.target.encode(
            ["" if is_blank(target) else target for target in targets]
        )
        scores = [PairScore(0.0, 0)] * len(sources)
        widths = np.array(
            [
                max(len(source), len(target))
                for source, target in zip(source_ids, target_ids, strict=True)
            ]
        )
        for batch in source_batches(widths, self.search.batch_pieces):
            scored = self.network.force_decode(
                [source_ids[i] for i in batch], [target_ids[i] for i in batch]
            )
            for index, pair in zip(batch, scored, strict=True):
                is_long = (
                    len(source_ids[index]) > self.lengths.source
                    or len(target_ids[index]) > self.lengths.target
                )
                scores[index] = PairScore(sum(pair.log_probs), len(pair.log_probs), is_long)
        return scores


def choose_device(name: str) -> torch.device:
    """auto: a GPU where there is one.

    Raises:
        NmtError: no such device, or cuda was asked for and is not there.
    """
    if name not in DEVICES:
        raise NmtError(f"unknown device {name!r}; use {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise NmtError(
            "device cuda: this machine has no usable GPU; use cpu or auto (--device, or"
            " training.device in a recipe)"
        )
    return torch.device(
        "cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu"
    )
