"""What `nmt translate` writes for a line: text, an n-best list as Marian prints it, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nmt.inference.lines import Line, dump_json

if TYPE_CHECKING:
    from nmt.inference.translation import Translation

FORMATS = ("text", "nbest", "jsonl")


def text_line(best: Translation, alignments: bool, word_scores: bool) -> str:
    """`text`, then ` ||| 0-0 1-2` and ` ||| WordScores= -0.1 -0.2` where wanted; nothing but a blank line for a blank line."""
    if not best.pieces:
        return ""
    return _field(best.text) + _extras(best, alignments, word_scores) if alignments or word_scores else best.text


def nbest_lines(number: int, translations: Sequence[Translation], alignments: bool, word_scores: bool) -> list[str]:
    """`number ||| text ||| F0= log-probability ||| score`, best first, with the extras of `text_line` behind the text."""
    return [
        f"{number} ||| {_field(each.text)}{_extras(each, alignments, word_scores)} ||| F0= {each.log_prob:g} ||| {each.score:g}"
        for each in translations
    ]


def json_line(
    line: Line, translations: Sequence[Translation], n_best: int, alignments: bool, word_scores: bool, attention: bool = False
) -> str:
    """The input object with "translation" added, and "translations" where several are wanted; a blank line for a blank line.

    With `attention` a row for each target piece and the end of sentence, of a weight for each of the "source_pieces".
    """
    if line.fields is None:
        return ""
    extras = alignments, word_scores, attention
    fields = line.fields | {"translation": translations[0].text} | _json_extras(translations[0], *extras)
    if attention:
        fields["source_pieces"] = list(translations[0].source_pieces)
    if n_best > 1:
        fields["translations"] = [
            {"text": each.text, "log_prob": each.log_prob, "score": each.score} | _json_extras(each, *extras) for each in translations
        ]
    return dump_json(fields)


def _field(text: str) -> str:
    """The text as one of several fields: what divides them is written as Moses escapes it."""
    return text.replace("|||", "&#124;&#124;&#124;")


def _extras(translation: Translation, alignments: bool, word_scores: bool) -> str:
    text = ""
    if alignments:
        text += " ||| " + " ".join(f"{source}-{target}" for source, target in translation.alignment or ())
    if word_scores:
        text += " ||| WordScores= " + " ".join(f"{log_prob:.5f}" for log_prob in translation.piece_log_probs)
    return text


def _json_extras(translation: Translation, alignments: bool, word_scores: bool, attention: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if alignments:
        fields["alignment"] = [list(link) for link in translation.alignment or ()]
    if word_scores or attention:
        fields["pieces"] = list(translation.pieces)
    if word_scores:
        fields["word_scores"] = list(translation.piece_log_probs)
    if attention:
        fields["attention"] = [[round(weight, 4) for weight in row] for row in translation.attention]
    return fields
