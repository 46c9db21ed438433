"""What a translation copies: addresses, numbers, code, markup and signs, as placeholder pieces.

A span of the source becomes one placeholder, a character for private use that the subword model has
as a piece of its own. The network learns to carry it over; the translation gets the span back.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

NUMBER, ENTITY, TAG = "number", "entity", "tag"
COUNT = 8  # placeholders of each kind
FIRST = 0xE100
PLACEHOLDERS: dict[str, tuple[str, ...]] = {
    kind: tuple(chr(FIRST + COUNT * index + number) for number in range(COUNT))
    for index, kind in enumerate((NUMBER, ENTITY, TAG))
}
ALL = tuple(mark for marks in PLACEHOLDERS.values() for mark in marks)
MARK = re.compile(f"[{ALL[0]}-{ALL[-1]}]")

_UNITS = "kg|mg|km|cm|mm|nm|ml|cl|dl|kW|kWh|MW|GW|GHz|MHz|kHz|Hz|kB|KB|MB|GB|TB|mAh|°C|°F|°"
_NUMBER = (
    r"(?<![\w])(?:[-+−±](?=\d)|(?:US|A|C)?[$€£¥]\s?-?)?"
    r"(?:\d{1,3}(?:[ '’]\d{3})+(?:[.,]\d+)?|\d+(?:[.,:/×-]\d+)*)(?![.,]?\d)"
    rf"(?:\s?(?:{_UNITS})(?!\w)|\s?[%‰€£¥]|[mglLVAW](?!\w))?"
)
_FILE = (
    "pdf|txt|docx?|xlsx?|pptx?|odt|png|jpe?g|gif|svg|webp|zip|tar|gz|7z|html?|xml|json|jsonl|csv|"
    "tsv|md|py|js|ts|cpp|hpp|java|rs|go|sh|exe|dll|so|mp3|mp4|wav|log|toml|ya?ml|ini|cfg|tex|sql|"
    "css|php|bak|iso|apk"
)
_FORMS = {
    TAG: r"</?[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>|<!--.{0,500}?-->",
    ENTITY: "|".join(
        (
            r"`[^`]+`",
            r"&(?:#\d+|#x[0-9A-Fa-f]+|[A-Za-z]\w*);",
            r"(?:https?|ftp|file|mailto):/{0,3}[^\s<>\"“”]*[^\s<>\"“”'’.,;:!?)\]]",
            r"(?<!\w)www\.[^\s<>\"“”]*[^\s<>\"“”'’.,;:!?)\]]",
            r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
            r"(?<![\w@])(?:[\w-]{1,63}\.){1,8}(?:com|org|net|io|edu|gov|info|dev)(?:/[\w./?&=%#-]*\w)?(?!\w)",
            r"\$?\{\{?[^{}\s]*\}?\}|\$\([^()\s]*\)|\$[A-Za-z_]\w*",
            r"%\(\w+\)[sdifr]|%\d+\$[sd@]|(?<![\w%])%[-+#0]*+\d*+(?:\.\d+)?[sdifgxXeEcu@](?!\w)",
            r"[A-Za-z]:\\[^\s\"<>|]*[^\s\"<>|.,;:!?)]",
            rf"(?<![\w.-])[\w-]{{1,128}}(?:\.[\w-]{{1,64}}){{0,8}}\.(?:{_FILE})(?!\w)",
            r"(?<![\w/<])(?:~|\.{1,2})?(?:/[\w.@+-]*[\w@+-]){2,}/?|(?<!\w)~/[\w./-]*\w",
            r"(?<!\w)[@#]\w[\w-]*",
            r"(?<![\w-])--[A-Za-z][\w-]*(?:=[^\s.,;]+)?",
            r"(?<!\w)[A-Za-z_]\w*\(\)",
            r"(?<!\w)[A-Za-z]\w*(?:_\w+)+(?:\.\w+)*|(?<!\w)[a-z]+[A-Z]\w*",
            r"(?<!\w)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)",
            r"(?<!\w)0x[0-9A-Fa-f]+(?!\w)|(?<!\w)v?\d+(?:\.\d+){2,}(?![\w])",
            r"(?<!\w)[A-Z]++(?:[-/]?[A-Z]*+\d++)+[A-Z]*+(?:-\w++)*+(?!\w)",
            r"(?<!\w)\d+[A-Z][A-Z\d]+(?!\w)",
            "[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\ufe0f"
            "\u200d\u20e3]+",
            "[\ue000-\uf8ff]+",
        )
    ),
    NUMBER: _NUMBER,
}
# Repetitions are possessive or bounded: the time is in proportion to the text, whatever it holds.
SPAN = re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in _FORMS.items()))
LETTERS = re.compile(r"[^\W\d_]")


class Span(NamedTuple):
    """A part of a text that is copied."""

    start: int
    end: int
    kind: str


class Marked(NamedTuple):
    """A text with placeholders, and what they stand for."""

    text: str
    spans: dict[str, str]  # placeholder -> the part of the source


def spans_of(text: str) -> list[Span]:
    """The parts of a text that are copied, from left to right; they do not overlap.

    >>> [text[a:b] for text in ["Mail bob@x.org om 12:30"] for a, b, _ in spans_of(text)]
    ['bob@x.org', '12:30']
    """
    return [Span(*match.span(), match.lastgroup or ENTITY) for match in SPAN.finditer(text)]


def mark(text: str, spans: Sequence[Span], first: int = 0) -> Marked:
    """The text with a placeholder for each span, numbered from `first` around the circle of each
    kind. A span for which its kind has none left takes one of another kind; what is still left
    stays text."""
    left = {
        kind: [marks[(first + number) % COUNT] for number in range(COUNT)]
        for kind, marks in PLACEHOLDERS.items()
    }
    parts, found, at = [], dict[str, str](), 0
    for start, end, kind in spans:
        free = left[kind] or left[ENTITY] or left[NUMBER] or left[TAG]
        if not free:
            break
        placeholder = free.pop(0)
        found[placeholder] = text[start:end]
        parts += [text[at:start], placeholder]
        at = end
    return Marked("".join([*parts, text[at:]]), found)


def restore(text: str, spans: Mapping[str, str]) -> str:
    """The text with each placeholder's span in its place; one that stands for nothing goes."""
    return MARK.sub(lambda match: spans.get(match[0], ""), text)


def digits(text: str) -> str:
    """What two ways to write a number have in common."""
    return re.sub(r"[\s.,'’]", "", text)


def mark_pair(
    source: str,
    target: str,
    first: int = 0,
    find: Callable[[str], Sequence[Span]] = spans_of,
) -> tuple[str, str]:
    """Both sides with the same placeholder where both hold the same span, each as often.

    Numbers are the same whose digits are: 12.500 and 12,500. What only one side holds stays text.
    """
    if not (SPAN.search(source) and SPAN.search(target)) and find is spans_of:
        return source, target
    ours, theirs = list(find(source)), list(find(target))
    keys = [
        [(digits(side[each.start : each.end]), each.kind == NUMBER) for each in spans]
        for side, spans in ((source, ours), (target, theirs))
    ]
    shared = [key for key in keys[0] if keys[0].count(key) == 1 == keys[1].count(key)]
    ours = [each for each, key in zip(ours, keys[0], strict=True) if key in shared]
    marked = mark(source, ours, first)
    names = dict(zip(shared, marked.spans, strict=False))
    parts, at = [], 0
    for (start, end, _), key in zip(theirs, keys[1], strict=True):
        if key in names:
            parts += [target[at:start], names[key]]
            at = end
    return marked.text, "".join([*parts, target[at:]])
