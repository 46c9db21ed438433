"""The surface of a sentence: capitals, quotes around it and its final stop, taken off before
translation and put back after it.

What a corpus has little of reads like what it has much of: a line in capitals is translated in
lower case, and its translation is capitalised.
"""

import re
import unicodedata
from typing import NamedTuple

from nmt.text.markup import MARK

QUOTES = ("“”", "„“", "„”", "””", "«»", "»«", "‘’", "‚‘", "‚’", "‹›", "「」", "『』", '""', "''")
FINAL = ".!?…。！？।"
NO_STOP = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")  # scripts without full stops
LOOK_ALIKE = str.maketrans(
    dict.fromkeys("‘’‚‛`´ʼ′", "'")
    | dict.fromkeys("“”„‟«»″", '"')
    | dict.fromkeys("‐‑‒–—―−", "-")
    | {"…": "...", "‥": "..", "⁄": "/", "•": "-", "·": "-"}
)
TITLE_WORDS = 4  # long words; a shorter line with capitals may be names


class Surface(NamedTuple):
    """What was taken off a sentence."""

    opening: str = ""
    closing: str = ""
    case: str = ""  # upper, title, or as it was
    bare: bool = False  # it had no final stop
    repeated: str = ""  # its final marks, where there were several


def familiar(text: str, known: frozenset[str]) -> str:
    """The text with quotes, dashes and compatibility forms that no piece has as those that one
    has."""
    if known.issuperset(text):
        return text
    return "".join(_look_alike(character, known) for character in text)


def _look_alike(character: str, known: frozenset[str]) -> str:
    if character in known or character == " ":
        return character
    for form in (character.translate(LOOK_ALIKE), unicodedata.normalize("NFKC", character)):
        if form != character and known.issuperset(form):
            return form
    return character


def take_off(text: str, known: frozenset[str]) -> tuple[str, Surface]:
    """A sentence as corpora write it, and what `put_back` needs.

    >>> take_off("“HOE GAAT HET”", frozenset("."))
    ('Hoe gaat het.', Surface(opening='“', closing='”', case='upper', bare=True, repeated=''))
    """
    opening = closing = case = repeated = ""
    for pair in QUOTES:
        inner = text[1:-1]
        if len(text) > 2 and text[0] + text[-1] == pair and not set(pair) & set(inner):
            opening, closing, text = pair[0], pair[1], inner.strip()
            break
    kept = text.rstrip(text[-1:]) if text[-1:] in tuple(".!?") else text
    if len(text) - len(kept) > 1 and text[len(kept) :] != "...":
        repeated, text = text[len(kept) :], text[: len(kept) + 1]
    case = case_of(text)
    if case:
        text = _sentence_case(text)
    stop = _missing_stop(text, known)
    return text + stop, Surface(opening, closing, case, bool(stop), repeated)


def put_back(text: str, surface: Surface) -> str:
    """The translation with the source's quotes, capitals and final marks."""
    if not text:
        return text
    if surface.bare:
        text = text.rstrip(FINAL).rstrip() or text
    if surface.repeated and text.endswith(surface.repeated[0]):
        text = text.rstrip(surface.repeated[0]) + surface.repeated
    if surface.case == "upper":
        text = text.upper()
    elif surface.case == "title":
        text = re.sub(
            r"(?<![\w'’])\w[\w'’]*",
            lambda word: (
                word[0][0].upper() + word[0][1:]
                if len(word[0]) > 3 or not word.start()
                else word[0]
            ),
            text,
        )
    return f"{surface.opening}{text}{surface.closing}"


def case_of(text: str) -> str:
    """upper or title where the text is written so, else nothing."""
    words = re.findall(r"[^\W\d_]+", MARK.sub(" ", text))
    letters = "".join(words)
    if len(letters) > 5 and letters.isupper() and (len(words) > 1 or len(letters) > 8):
        return "upper"
    long = [word for word in words if len(word) > 3]
    titled = all(word[0].isupper() and not word.isupper() for word in long)
    return "title" if titled and len(long) >= TITLE_WORDS and words[0][0].isupper() else ""


def _sentence_case(text: str) -> str:
    text = text.lower()
    first = re.search(r"[^\W\d_]|" + MARK.pattern, text)
    if first is None:
        return text
    return text[: first.start()] + first[0].upper() + text[first.end() :]


def _missing_stop(text: str, known: frozenset[str]) -> str:
    """The final stop that the sentence lacks and the model knows, else nothing."""
    last = text[-1:]
    if not last or not (last.isalnum() or MARK.match(last)) or NO_STOP.match(last):
        return ""
    wide = unicodedata.east_asian_width(last) == "W"
    stop = "。" if wide else "।" if "\u0900" <= last <= "\u097f" else "."
    return stop if stop in known else ""
