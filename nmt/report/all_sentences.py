"""Every sentence that was translated, in a table that can be searched and sorted."""

from collections.abc import Sequence

from nmt.pages.markup import MORE, details, escape
from nmt.report.sentences import Output, Sentences

LETTERS = 500_000  # of text in the table at most, so that the page stays small


def all_sentences(outputs: Sequence[Output], sentences: Sentences) -> str:
    """A folded table; the first rows of it where there is too much text."""
    rows, letters = [], 0
    for line, (source, reference) in enumerate(
        zip(sentences.sources, sentences.references, strict=True)
    ):
        texts = [source, reference, *(output.texts[line] for output in outputs)]
        letters += sum(map(len, texts))
        if letters > LETTERS:
            break
        rows.append(_row(line, texts, [output.chrf[line] for output in outputs]))
    shown = (
        f"All {len(rows):,} sentences"
        if len(rows) == len(sentences.sources)
        else f"The first {len(rows):,} sentences"
    )
    headings = [
        "line",
        *(f"chrF2 {output.name}" for output in outputs),
        "source",
        "reference",
        *(output.name for output in outputs),
    ]
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    orders = [("line", "as in the file"), ("worst", "worst first"), ("best", "best first")]
    if len(outputs) > 1:
        orders.append(("spread", "most changed first"))
    options = "".join(f'<option value="{value}">{name}</option>' for value, name in orders)
    return details(
        shown,
        '<div class="controls"><label>Only those with <input type="search" data-search></label> '
        f"<label>Order <select data-order>{options}</select></label></div>"
        f'<div class="scroll tall" role="region" tabindex="0" aria-label="{escape(shown)}">'
        "<table"
        f' class="sentences"><thead><tr>{head}</tr></thead><tbody>\n{"".join(rows)}</tbody></table></div>{MORE}',  # noqa: E501
    )


def _row(line: int, texts: Sequence[str], scores: Sequence[float]) -> str:
    mean, spread = sum(scores) / len(scores), max(scores) - min(scores)
    numbers = "".join(f'<td class="score">{score:.0f}</td>' for score in scores)
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
    return (
        f'<tr data-mean="{mean:.1f}" data-spread="{spread:.1f}"><th'
        f' scope="row">{line + 1}</th>{numbers}{cells}</tr>\n'
    )
