"""Where the sentences of a line end.

A stop ends a sentence where white space and the beginning of another one follow, unless it belongs
to an abbreviation, an initial or a number, or stands within quotes or brackets. Chinese and
Japanese stops need no white space.
"""

import re
from bisect import bisect_left

from nmt.text.segments import CLOSERS

OPENERS = "\"'“‘„‚«»‹›¿¡(\\[（「『【《〈［｢"
WIDE_STOPS = "。！？．｡"
_STOPS = ".!?…‥‽؟۔।॥։።"
# Possessive, and only from the first mark of a run: the time is in proportion to the text.
STOP = re.compile(
    rf"(?<![{_STOPS}])(?P<stop>[{_STOPS}]++[{CLOSERS}]*+)(?P<space>\s++)"
    rf"(?=[{OPENERS}]{{0,9}}(?P<next>\S))"
    rf"|(?<![{WIDE_STOPS}])(?P<wide>[{WIDE_STOPS}]++[{CLOSERS}]*+)(?P<none>\s*+)(?=\S)"
)
LONGEST_WORD = 64  # characters before a stop that are looked at
# After these a stop ends no sentence. Words such as etc. may end one and are left out.
ABBREVIATIONS = frozenset(
    """
    mr mrs ms dr drs prof st sr jr mme mlle ir ing mw mevr dhr hr fr frau herr bijv bv blz nr
    nrs no nos vol fig vgl vs cf ca approx zgn resp incl excl evt max min bzw tel str abs art
    bd geb gest ed eds pp ph jhr mgr ds lt col gen capt sgt rev hon gov sen rep jan feb mar
    apr jun jul aug sep sept okt oct nov dez dec dept univ inc ltd co corp mt ft sra dra ud
    uds av
    """.split()  # noqa: SIM905  one name a line would fill a page
)
ORDINALS = frozenset(("de", "da", "nb", "nn", "no", "fi", "et", "cs", "sk", "sl", "hr", "hu", "lv"))
PAIRS = {"“": "”", "„": "“”", "«": "»", "(": ")", "（": "）", "「": "」", "『": "』", '"': '"'}
LONGEST_QUOTE = 300  # characters; what stays open longer is no quote


def sentences(text: str, language: str = "") -> list[tuple[int, int]]:
    """(start, end) of each sentence; white space between them belongs to none.

    >>> line = "Dr. Smit kwam om 3.15 uur. Hij bleef!"
    >>> [line[start:end] for start, end in sentences(line, "nl")]
    ['Dr. Smit kwam om 3.15 uur.', 'Hij bleef!']
    """
    found, start = [], len(text) - len(text.lstrip())
    inside = _quoted(text)
    starts = [first for first, _ in inside]
    for match in STOP.finditer(text):
        end = match.start("space") if match["wide"] is None else match.start("none")
        before = bisect_left(starts, end) - 1  # the last quotation that opens before
        if before >= 0 and end <= inside[before][1]:
            continue
        if not _ends(match, text, language):
            continue
        if end > start:
            found.append((start, end))
        start = match.end()
    last = len(text.rstrip())
    return [*found, (start, last)] if last > start else found


def _ends(match: "re.Match[str]", text: str, language: str) -> bool:
    if match["wide"]:  # what follows a quotation may go on with its sentence
        return match["wide"][-1] in WIDE_STOPS
    if match["next"].islower() or match["next"] in ",;:-–—.!?…":
        return False
    if not match["stop"].startswith(".") or match["stop"].startswith(".."):
        return True
    before = re.search(r"[\w.]*$", text[max(0, match.start() - LONGEST_WORD) : match.start()])
    word = before[0] if before else ""
    if word.isdecimal():
        return not (language[:2] in ORDINALS and len(word) <= 2)
    is_initial = len(word) == 1 and word.isupper()
    return not (is_initial or "." in word.strip(".") or word.casefold() in ABBREVIATIONS)


def _quoted(text: str) -> list[tuple[int, int]]:
    """(place of the opening mark, place of the closing one) of quotes and brackets that close
    soon."""
    found, at = [], 0
    while at < len(text):
        closing = PAIRS.get(text[at])
        if closing:
            end = min(
                (
                    place
                    for mark in closing
                    if (place := text.find(mark, at + 1, at + 1 + LONGEST_QUOTE)) > 0
                ),
                default=-1,
            )
            if 0 < end - at <= LONGEST_QUOTE:
                found.append((at, end))
                at = end
        at += 1
    return found
