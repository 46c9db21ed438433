"""Spaces as the model reads them: many ways to write a space, or nothing at all, look alike and
must read alike.

The source is read through `plain` in training and in translation. The target is not: a model may
learn to write no-break spaces.
"""

import re
import unicodedata

# Tabs, control characters, no-break spaces, the wide space of Chinese and Japanese, line and
# paragraph separators.
SPACES = re.compile("[\x00-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
# Soft hyphens, byte order marks, word joiners, marks of writing direction, invisible operators.
INVISIBLE = re.compile("[\xad\u061c\u180e\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
# Zero-width spaces and joiners. After Hebrew, Arabic, Indic and South-East Asian letters and in
# emoji they carry meaning, so they stay.
JOINERS = re.compile(
    "(?<![\u0590-\u1dff\u2190-\u2bff\ufe00-\ufe0f\U0001f000-\U0010ffff\u200b-\u200d])[\u200b-\u200d]+"
)


def plain(text: str) -> str:
    """The text with every kind of space as U+0020, without characters that show nothing,
    composed (Unicode NFC)."""
    if text.isascii():
        return SPACES.sub(" ", text)
    text = INVISIBLE.sub("", SPACES.sub(" ", text))
    return unicodedata.normalize("NFC", JOINERS.sub("", text))


def is_blank(text: str) -> bool:
    """Whether a text shows nothing."""
    return not plain(text).strip(" ")
