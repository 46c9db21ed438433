"""Scores of several systems on several test sets as one table: text, Markdown or JSON, always with the signatures."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from nmt.scoring.bleu import Score

FORMATS = ("text", "markdown", "json")
SIGNIFICANT = 0.05


class Result(NamedTuple):
    """One score in the table."""

    test: str  # the test set
    system: str
    group: str  # of a breakdown; "" for the whole test set
    lines: int
    score: Score
    p_value: float | None = None  # against the first system


def render(results: Sequence[Result], form: str, note: str = "") -> str:
    """The results as text, Markdown or JSON; `note` says how the p-values came about."""
    if form == "json":
        return _json(results, note)
    metrics = list(dict.fromkeys(result.score.metric for result in results))
    rows, keys = [], list(dict.fromkeys((result.test, result.system, result.group, result.lines) for result in results))
    for key in keys:
        cells = {each.score.metric: _cell(each) for each in results if (each.test, each.system, each.group, each.lines) == key}
        rows.append([*map(str, key), *(cells.get(metric, "") for metric in metrics)])
    header = ["test set", "system", "part", "lines", *metrics]
    keep = [True, True, any(key[2] for key in keys), True, *[True] * len(metrics)]
    table = [[cell for cell, kept in zip(row, keep, strict=True) if kept] for row in (header, *rows)]
    signatures = list(dict.fromkeys(f"{each.score.metric} {each.score.signature}" for each in results))
    if form == "markdown":
        return "\n".join([*_markdown(table), "", *(f"- `{signature}`" for signature in signatures), *([f"- {note}"] if note else [])])
    return "\n".join([*_text(table), *signatures, *([note] if note else [])])


def _cell(result: Result) -> str:
    score = result.score
    interval = "" if score.interval is None else f" ({score.mean:.1f} ± {score.interval:.1f})"
    star = "*" if result.p_value is not None and result.p_value < SIGNIFICANT else ""
    return f"{score.value:.1f}{interval}" + ("" if result.p_value is None else f" (p = {result.p_value:.4f}){star}")


def _text(table: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def _markdown(table: list[list[str]]) -> list[str]:
    rows = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in table]
    return [rows[0], "|" + "---|" * len(table[0]), *rows[1:]]


def _json(results: Sequence[Result], note: str) -> str:
    rows = []
    for test, system, group, lines, score, p_value in results:
        row = {"test": test, "system": system, "part": group, "lines": lines, **score._asdict(), "p_value": p_value}
        rows.append({key: value for key, value in row.items() if value not in (None, "")})
    return json.dumps({"scores": rows, **({"note": note} if note else {})}, indent=1, ensure_ascii=False)
