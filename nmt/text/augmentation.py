"""Training pairs changed as real text differs from clean text: placeholders in place of names,
lower case, typos, neighbours joined. A function of the pair and the generator alone.

Made-up words and placeholders teach copying (Currey et al. 2017); joined neighbours teach lines of
several sentences (Kondo et al. 2021).
"""

import random
import re
from collections.abc import Sequence
from zlib import crc32

from nmt.text.markup import (
    COUNT,
    ENTITY,
    MARK,
    NUMBER,
    PLACEHOLDERS,
    TAG,
    Span,
    mark_pair,
    spans_of,
)
from nmt.text.rare_characters import Ids

NAME = re.compile(r"(?<![\w])[^\W\d_][\w'’-]*[^\W_](?!\w)")
END = re.compile(r"\s*[.!?…]*[\"'”’»]*$")
JOINED = 0.06  # share of the batches whose pairs are joined


def varied(source: str, target: str, generator: random.Random) -> tuple[str, str]:
    """One pair, changed in one or several ways."""
    lot = generator.random()
    if lot < 0.5:
        source, target = with_placeholders(source, target, generator)
    elif lot < 0.72:
        source = source.lower()
    elif lot < 0.9:
        source = with_typos(source, generator)
    else:
        source, target = without_stop(source), without_stop(target)
    return mark_pair(source, target, generator.randrange(COUNT))


def marked_pair(source: str, target: str) -> tuple[str, str]:
    """As `mark_pair`; the first placeholder follows from the source."""
    return mark_pair(source, target, crc32(source.encode(errors="replace")) % COUNT)


def joined(
    sources: Sequence[Ids], targets: Sequence[Ids], longest: int, generator: random.Random
) -> tuple[list[Ids], list[Ids]]:
    """Groups of two to four neighbours of a batch as one pair each, of at most `longest` pieces a
    side; so the batch has as many pieces as before."""
    new_sources, new_targets, at = list[Ids](), list[Ids](), 0
    while at < len(sources):
        end = min(len(sources), at + generator.randint(2, 4))
        while (
            end > at + 1
            and max(sum(map(len, side[at:end])) for side in (sources, targets)) > longest
        ):
            end -= 1
        new_sources.append([int(piece) for ids in sources[at:end] for piece in ids])
        new_targets.append([int(piece) for ids in targets[at:end] for piece in ids])
        at = end
    return new_sources, new_targets


def shared_names(source: str, target: str) -> list[str]:
    """Words with a capital that stand once on each side, the same."""
    ours, theirs = NAME.findall(source), NAME.findall(target)
    return [
        word
        for word in ours
        if word[0].isupper() and ours.count(word) == 1 == theirs.count(word) and len(word) > 1
    ]


def with_placeholders(source: str, target: str, generator: random.Random) -> tuple[str, str]:
    """Placeholders in place of names that both sides share, beside them, or at both ends."""
    first = generator.randrange(COUNT)
    names = shared_names(source, target)
    chosen = [name for name in names if generator.random() < 0.75]

    def find(text: str) -> list[Span]:
        spans = [each for each in spans_of(text) if not MARK.match(text, each.start)]
        taken = [Span(*each.span(), ENTITY) for each in NAME.finditer(text) if each[0] in chosen]
        return sorted(
            [a for a in spans if all(a.end <= b.start or b.end <= a.start for b in taken)] + taken
        )

    source, target = mark_pair(source, target, first, find)
    if chosen and generator.random() < 0.5:
        return source, target
    anchors = [mark for mark in MARK.findall(source) if mark in target]
    used = set(MARK.findall(source + target))
    free = {
        kind: [mark for mark in marks_from(kind, first) if mark not in used]
        for kind in (NUMBER, ENTITY, TAG)
    }
    kind = generator.choice((NUMBER, NUMBER, ENTITY, TAG))
    if len(free[kind]) < 2:
        return source, target
    one, two = free[kind][:2]
    if anchors:
        anchor = generator.choice(anchors)
        forms = [f"{anchor} {one}", f"{one} {anchor}"]
        form = f"{one}{anchor}{two}" if kind == TAG else generator.choice(forms)
        return source.replace(anchor, form), target.replace(anchor, form)
    place = generator.random()
    if kind == TAG and place < 0.5:
        return f"{one}{source}{two}", f"{one}{target}{two}"
    if place < 0.5:
        between = generator.choice((" ", ": ", ", "))
        return f"{one}{between}{source}", f"{one}{between}{target}"
    between = generator.choice((" ", " ", ": ", " ("))
    return at_end(source, between, one), at_end(target, between, one)


def marks_from(kind: str, first: int) -> list[str]:
    """The placeholders of a kind around the circle."""
    marks = PLACEHOLDERS[kind]
    return [*marks[first:], *marks[:first]]


def at_end(text: str, between: str, word: str) -> str:
    """The text with a word before its final stop."""
    end = END.search(text)
    start = end.start() if end else len(text)
    return f"{text[:start]}{between}{word}{')' if between == ' (' else ''}{text[start:]}"


def without_stop(text: str) -> str:
    """The text without its final full stop."""
    return text[:-1] if text.endswith(".") and not text.endswith("..") else text


def with_typos(text: str, generator: random.Random) -> str:
    """A letter left out, doubled, put for another or exchanged with the next, in one or two words
    of five letters on average."""
    letters = list(text)
    for _ in range(1 + (len(text) > 40)):
        places = [
            i for i in range(1, len(letters)) if letters[i - 1].isalpha() and letters[i].isalpha()
        ]
        if not places:
            break
        at = generator.choice(places)
        way = generator.randrange(4)
        if way == 0:
            del letters[at]
        elif way == 1:
            letters.insert(at, letters[at])
        elif way == 2:
            letters[at - 1], letters[at] = letters[at], letters[at - 1]
        else:
            letters[at] = generator.choice([letter for letter in text if letter.isalpha()])
    return "".join(letters)
