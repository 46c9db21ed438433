"""HTML as strings: everything that comes from text goes through `escape`."""

import json
from collections.abc import Iterable, Sequence
from html import escape as escape_html
from typing import Any


def escape(text: object) -> str:
    """Text that is safe between tags and in quoted attributes."""
    return escape_html(str(text), quote=True)


def data(value: Any) -> str:
    """JSON that is safe in a quoted attribute."""
    return escape(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "", numbers: bool = True
) -> str:
    """A table whose first column names its rows; `numbers` sets the others flush right. Cells
    are Markup or are escaped."""
    kind = ' class="numbers"' if numbers else ""
    head = "".join(f'<th scope="col">{cell(each)}</th>' for each in header)
    body = "".join(
        f'<tr><th scope="row">{cell(row[0])}</th>'
        + "".join(f"<td>{cell(each)}</td>" for each in row[1:])
        + "</tr>\n"
        for row in rows
    )
    title = f'<p class="caption">{escape(caption)}</p>\n' if caption else ""
    label = escape(caption or header[0])
    return (
        f'{title}<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table{kind}'
        f' aria-label="{label}">'
        f"<thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>{MORE}\n"
    )


# page.js shows it behind what is too wide
MORE = '<p class="more" aria-hidden="true">scroll sideways to see all →</p>'


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def cell(value: object) -> str:
    return value if isinstance(value, Markup) else escape(value)


def section(anchor: str, title: str, *parts: str) -> str:
    heading = f'<h2 id="{anchor}-title">{escape(title)}</h2>'
    return (
        f'<section id="{anchor}"'
        f' aria-labelledby="{anchor}-title">\n{heading}\n{"".join(parts)}</section>\n'
    )


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{escape(text)}</p>\n' if kind else f"<p>{escape(text)}</p>\n"


def items(texts: Sequence[str], kind: str = "") -> str:
    """A list of plain sentences; nothing without any."""
    marked = f' class="{kind}"' if kind else ""
    return (
        f"<ul>{''.join(f'<li{marked}>{escape(text)}</li>' for text in texts)}</ul>\n"
        if texts
        else ""
    )


def details(summary: str, content: str, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{cell(summary)}</summary>\n{content}</details>\n"  # noqa: E501
