"""Lines as the network reads them best, and their translations as the lines were written.

A line becomes sentences; of each what must be copied becomes placeholders (`text.markup`), and its
capitals, quotes and final stop are those of the corpus (`text.surface`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from nmt.errors import NmtError
from nmt.text.lines import is_blank, plain
from nmt.text.markup import ALL, ENTITY, MARK, TAG, Span, mark, restore, spans_of
from nmt.text.sentences import sentences
from nmt.text.subwords import SubwordPair, Subwords
from nmt.text.surface import Surface, case_of, familiar, put_back, take_off
from nmt.text.terms import Term, find_terms
from nmt.translation.result import SegmentTranslations, Translation, join_segments

WORD = re.compile(r"[^\W_](?:[\w'’-]*[^\W_])?")
NOUNS_WITH_CAPITALS = ("de", "ger", "lb", "ltz")
# Characters of a piece on average: words of shorter pieces were hardly seen in training.
UNKNOWN, STRANGE = 2.6, 1.65


class Unit(NamedTuple):
    """A sentence, or a line that is translated as it stands."""

    line: int
    text: str
    prefix: str = ""
    between: str = ""  # white space before it in its line
    spans: Mapping[str, str] = MappingProxyType({})  # placeholder -> what it stands for
    surface: Surface = Surface()
    joined_before: frozenset[str] = frozenset()  # placeholders of tags without a space before them
    joined_after: frozenset[str] = frozenset()  # and behind them


def units_of(
    lines: Sequence[tuple[str, str]],
    subwords: SubwordPair,
    language: str,
    terms: Sequence[Sequence[Term]] = (),
) -> list[Unit]:
    """The sentences of lines with prefixes; `terms` are those of each line. A line with a prefix,
    and every line for a model without placeholders, is one unit as it stands.

    Raises:
        NmtError: terms for a model without placeholders.
    """
    if any(terms) and not subwords.placeholders:
        raise NmtError(
            "terms need a model with placeholder pieces; train one with subwords.variety above 0"
        )
    terms = terms or [()] * len(lines)
    units = []
    for number, (line, prefix) in enumerate(lines):
        if prefix or not subwords.placeholders or is_blank(line):
            units.append(Unit(number, line, prefix))
            continue
        end = 0
        for start, stop in sentences(line, language) or [(0, len(line))]:
            text = plain(line[start:stop]).strip(" ")
            if text:
                between = line[end:start] if end else ""
                units.append(_unit(number, text, between, subwords, language, terms[number]))
                end = stop
    return units


def _unit(
    line: int,
    text: str,
    between: str,
    subwords: SubwordPair,
    language: str,
    terms: Sequence[Term] = (),
) -> Unit:
    known = subwords.source.characters
    text = familiar(text, known | frozenset(ALL))
    wanted = find_terms(text, terms)
    copied = copied_spans(text, subwords, language)
    spans = sorted([*wanted, *clear_of(copied, wanted)])
    # the network places an entity surer than a tag, of which training has fewer
    spans = [span._replace(kind=ENTITY) if span.kind == TAG else span for span in spans]
    marked = mark(text, spans)
    # the placeholders are in the order of the spans
    kept = {
        placeholder: wanted.get(span, original)
        for span, (placeholder, original) in zip(spans, marked.spans.items(), strict=False)
    }
    tight = [tag for tag, original in kept.items() if original.startswith("<")]
    smooth, surface = take_off(apart(marked.text, tight), known)
    before = {tag for tag in tight if f" {tag}" not in marked.text}
    after = {tag for tag in tight if f"{tag} " not in marked.text}
    return Unit(line, smooth, "", between, kept, surface, frozenset(before), frozenset(after))


def apart(text: str, tags: Iterable[str]) -> str:
    """The text with a space on both sides of each of these placeholders, so that the words beside
    them keep their pieces."""
    for tag in tags:
        text = text.replace(tag, f" {tag} ")
    return " ".join(text.split())


def clear_of(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Those of `spans` that overlap none of `others`, in order. Neither overlap among themselves.

    >>> clear_of([Span(0, 2, "tag"), Span(4, 6, "tag")], [Span(1, 3, "number")])
    [Span(start=4, end=6, kind='tag')]
    """
    found, taken, at = list[Span](), sorted(others), 0
    for span in sorted(spans):
        while at < len(taken) and taken[at].end <= span.start:
            at += 1
        if at == len(taken) or span.end <= taken[at].start:
            found.append(span)
    return found


def copied_spans(text: str, subwords: SubwordPair, language: str) -> list[Span]:
    """What a sentence has that is copied: markup, words with characters that no piece has, and
    names that the model does not know."""
    spans = spans_of(text)
    return sorted(spans + clear_of(_unfamiliar(text, subwords, language), spans))


def _unfamiliar(text: str, subwords: SubwordPair, language: str) -> list[Span]:
    """Words that are copied, neighbours as one; and signs that no piece has."""
    known = subwords.source.characters
    names = language[:3] not in NOUNS_WITH_CAPITALS and language[:2] not in NOUNS_WITH_CAPITALS
    names = names and not case_of(text)
    words = list(WORD.finditer(text))
    copied = [
        not known.issuperset(word[0]) or (names and _is_name(word[0], subwords.source))
        for word in words
    ]
    if copied and copied[0] and known.issuperset(words[0][0]):
        # any sentence begins with a capital: a name there is a stranger in lower case too, or has
        # another one beside it
        beside = len(copied) > 1 and copied[1] and text[words[0].end() : words[1].start()] == " "
        copied[0] = beside or _piece_length(words[0][0].lower(), subwords.source) < STRANGE
    spans = list[Span]()
    for word, is_copied in zip(words, copied, strict=True):
        if not is_copied:
            continue
        if spans and text[spans[-1].end : word.start()] in (" ", "-"):
            spans[-1] = spans[-1]._replace(end=word.end())
        else:
            spans.append(Span(*word.span(), ENTITY))
    taken = {place for start, end, _ in spans for place in range(start, end)}
    for place, character in enumerate(text):
        if character == " " or character in known or place in taken or MARK.match(character):
            continue
        if spans and spans[-1].end == place and place - 1 not in taken:
            spans[-1] = spans[-1]._replace(end=place + 1)
        else:
            spans.append(Span(place, place + 1, ENTITY))
    return sorted(spans)


def _is_name(word: str, source: Subwords) -> bool:
    if not word[0].isupper() or len(word) < 4:
        return False
    return len(word) >= 2 * STRANGE and _piece_length(word, source) < UNKNOWN


def _piece_length(word: str, source: Subwords) -> float:
    """Characters of a piece on average."""
    return len(word) / len(source.encode([word])[0])


def restored(found: list[Translation], unit: Unit) -> list[Translation]:
    """The translations of a unit as its source was written. What one of them left out comes at its
    end and is named in `unplaced`."""
    if not unit.spans and unit.surface == Surface():
        return found
    return [_restored(each, unit) for each in found]


def _restored(translation: Translation, unit: Unit) -> Translation:
    text = put_back(_tags_in_order(_each_once(translation.text), unit), unit.surface)
    for tag in unit.joined_before:
        text = text.replace(f" {tag}", tag)
    for tag in unit.joined_after:
        text = text.replace(f"{tag} ", tag)
    missing = [mark for mark in unit.spans if mark not in text]
    parts = [restore(text, unit.spans), *(unit.spans[mark] for mark in missing)]
    return translation._replace(
        text=" ".join(part for part in parts if part),
        unplaced=tuple(unit.spans[mark] for mark in missing),
    )


def _each_once(text: str) -> str:
    """The text with each placeholder where it comes first."""
    seen = set[str]()

    def once(match: "re.Match[str]") -> str:
        mark = match[0]
        if mark in seen:
            return ""
        seen.add(mark)
        return mark

    return MARK.sub(once, text)


def _tags_in_order(text: str, unit: Unit) -> str:
    """The text with its tags in the order of the source, in the places that they have."""
    tags = [mark for mark, original in unit.spans.items() if original.startswith("<")]
    present = iter([tag for tag in tags if tag in text])
    return MARK.sub(lambda match: next(present) if match[0] in tags else match[0], text)


def unit_places(units: Sequence[Unit], places: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """For each unit the place of its line, and from the second of a line on its number in it."""
    found, number = [], 0
    for index, unit in enumerate(units):
        number = number + 1 if index and units[index - 1].line == unit.line else 0
        found.append((*places[unit.line], number) if number else places[unit.line])
    return found


def joined_units(
    units: Sequence[Unit], found: Sequence[list[Translation]], lines: int, alpha: float | None
) -> list[list[Translation]]:
    """The n-best list of each line from those of its units, as of `join_segments`."""
    parts: list[list[SegmentTranslations]] = [[] for _ in range(lines)]
    for unit, translations in zip(units, found, strict=True):
        whole = restored(translations, unit)
        words = len(unit.text.split())
        parts[unit.line].append(SegmentTranslations(words, whole, between=unit.between or " "))
    return [each[0].translations if len(each) == 1 else _line(each, alpha) for each in parts]


def _line(parts: list[SegmentTranslations], alpha: float | None) -> list[Translation]:
    """The parts as one; only sentences longer than in training count as segments."""
    cut = sum(part.translations[0].segments - 1 for part in parts)
    return [each._replace(segments=1 + cut) for each in join_segments(parts, alpha)]
