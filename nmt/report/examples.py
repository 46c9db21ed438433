"""The section of examples: the worst, the most changed, the best and some random translations,
with what differs marked."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from nmt.pages.markup import escape, paragraph, section
from nmt.report.all_sentences import all_sentences
from nmt.report.sentences import (
    Output,
    Sentences,
    Word,
    at_random,
    best,
    most_changed,
    words_with_probability,
    worst,
)

LEVELS = (0.1, 0.3, 0.6)  # probabilities below which a word is shaded, darkest first


def examples_section(outputs: Sequence[Output], sentences: Sentences, count: int = 8) -> str:
    """Lists of examples; the most changed ones only where there are several runs."""
    lists = [
        ("Worst", worst(outputs, sentences, count)),
        ("Best", best(outputs, sentences, count // 2)),
        ("Random", at_random(sentences, count)),
    ]
    if len(outputs) > 1:
        lists.insert(1, ("Most changed between the runs", most_changed(outputs, sentences, count)))
    parts = [
        f"<h3>{title}</h3>\n" + "".join(_example(line, outputs, sentences) for line in lines)
        for title, lines in lists
        if lines
    ]
    return section(
        "examples",
        "Examples",
        paragraph(INTRODUCTION),
        LEGEND,
        *parts,
        all_sentences(outputs, sentences),
    )


INTRODUCTION = (
    "Sentences of the set above with the chrF2 of each: the worst, the best, and some at random,"
    " which show what is usual. Point at a word for its probability, or have all of them shown."
)
LEGEND = (
    '<div class="controls"><label><input type="checkbox" checked data-toggle="show-differences">'
    ' mark <span class="extra">words that the reference does not have</span> and <span'
    ' class="missing">words that are missing</span></label> <label><input type="checkbox" checked'
    ' data-toggle="show-confidence"> shade unsure words: <span class="w0">below 10 %</span> <span'
    ' class="w1">below 30 %</span> <span class="w2">below 60 %</span></label> <label><input'
    ' type="checkbox" data-toggle="show-numbers"> show the probability of every word in'
    " percent</label></div>\n"
)


def _example(line: int, outputs: Sequence[Output], sentences: Sentences) -> str:
    reference = sentences.references[line].split()
    translated = [words_with_probability(output.translations[line]) for output in outputs]
    marks = [differing(reference, [word.text for word in words]) for words in translated]
    missing = set.intersection(*(mark[0] for mark in marks))
    rows = [
        ("source", "", escape(sentences.sources[line])),
        (
            "reference",
            "",
            " ".join(
                _marked(word, "missing" if place in missing else "")
                for place, word in enumerate(reference)
            ),
        ),
    ]
    for output, words, (_, extra) in zip(outputs, translated, marks, strict=True):
        text = (
            " ".join(_shaded(word, place in extra) for place, word in enumerate(words))
            or "<i>(empty)</i>"
        )
        rows.append((output.name, f"{output.chrf[line]:.0f}", text))
    body = "".join(
        f"<dt>{escape(name)}{f' <b>{score}</b>' if score else ''}</dt><dd>{text}</dd>"
        for name, score, text in rows
    )
    return f'<article class="example"><h4>Line {line + 1}</h4><dl>{body}</dl></article>\n'


def differing(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[set[int], set[int]]:
    """Places of the reference's words that the hypothesis lacks, and of the hypothesis's words
    that the reference lacks, in order."""
    missing, extra = set(range(len(reference))), set(range(len(hypothesis)))
    for block in SequenceMatcher(None, reference, hypothesis, autojunk=False).get_matching_blocks():
        missing -= set(range(block.a, block.a + block.size))
        extra -= set(range(block.b, block.b + block.size))
    return missing, extra


def level(probability: float | None) -> str:
    """The class of a word: w0 for the least sure ones, "" for sure ones and where it is not
    known."""
    if probability is None:
        return ""
    return next((f"w{number}" for number, bound in enumerate(LEVELS) if probability < bound), "")


def _shaded(word: Word, is_extra: bool) -> str:
    kind = " ".join(name for name in (level(word.probability), "extra" if is_extra else "") if name)
    return _marked(word.text, kind, word.probability)


def _marked(text: str, kind: str, probability: float | None = None) -> str:
    if not kind and probability is None:
        return escape(text)
    number = (
        ""
        if probability is None
        else f' title="p = {probability:.2f}" data-p="{100 * probability:.0f}"'
    )
    attributes = (f' class="{kind}"' if kind else "") + number
    return f"<span{attributes}>{escape(text)}</span>"
