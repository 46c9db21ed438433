"""The page around the sections: one file that needs nothing else, neither network nor fonts."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files

from nmt.pages.markup import escape

HEADING = re.compile(r'<section id="([a-z]+)"[^>]*>\s*<h2[^>]*>([^<]+)</h2>')
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(
    title: str,
    sections: Sequence[str],
    notes: Sequence[str] = (),
    now: datetime | None = None,
) -> str:
    """The whole document; `notes` follow its date in the header."""
    style, script = (
        files("nmt.pages").joinpath(name).read_text(encoding="utf-8")
        for name in ("page.css", "page.js")
    )
    links = "".join(
        f'<li><a href="#{anchor}">{name}</a></li>'
        for part in sections
        for anchor, name in HEADING.findall(part)
    )
    time = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    line = escape(" · ".join((time, *notes)))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta'
        f' charset="utf-8">\n<title>{escape(title)}</title>\n<meta name="viewport"'
        ' content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light'
        f' dark">\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<link rel="icon"'
        f' href="data:,">\n<style>\n{style}</style>\n</head>\n<body class="show-differences'
        ' show-confidence">\n<a class="skip" href="#main">Skip to the'
        f" content</a>\n<header><h1>{escape(title)}</h1><p>{line}</p><nav"
        f' aria-label="Sections"><ul>{links}</ul></nav></header>\n<main'
        f' id="main">\n{"".join(sections)}</main>\n<script>\n{script}</script>\n</body>\n</html>\n'
    )
