"""Scores of several systems on several test sets as one table: text, Markdown or JSON, always
with the signatures."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from nmt.scoring.bleu import Score

FORMATS = ("text", "markdown", "json")
SIGNIFICANT = 0.05
FEW = 5  # differing lines, below which a paired test says nothing


class Result(NamedTuple):
    """One score in the table."""

    test: str  # the test set
    system: str
    group: str  # of a breakdown; "" for the whole test set
    lines: int
    score: Score
    p_value: float | None = None  # against the first system, as sacreBLEU gives it
    difference: float | None = None  # from the first system's score
    differing: int | None = None  # lines that are not the first system's


def compared(result: Result) -> str:
    """What the paired test says in a table: p with a star where it is significant, or that there is
    nothing to test; "" without a test.

    Where the scores are the same, and where fewer than FEW lines differ, there is no star, whatever
    sacreBLEU's p is: it counts the trials whose difference exceeds the one found, and such tests
    have hardly another outcome. (Swapping k lines has 2^k: p < 0.05 takes six.)
    """
    if result.p_value is None:
        return ""
    if result.differing == 0:
        return "same output as the first system"
    if result.difference == 0:
        return "same score as the first system"
    if result.differing is not None and result.differing < FEW:
        return (
            f"p = {result.p_value:.4f}, {result.differing}"
            f" line{'s differ' if result.differing > 1 else ' differs'}"
        )
    return f"p = {result.p_value:.4f}" + ("*" if result.p_value < SIGNIFICANT else "")


def count_tests(results: Sequence[Result]) -> int:
    """Paired tests whose p is told: those of systems that do not score as the first one does."""
    return sum("p = " in compared(result) for result in results)


def render(
    results: Sequence[Result], form: str, note: str = "", remarks: Sequence[str] = ()
) -> str:
    """The results as text, Markdown or JSON; `note` says how the p-values came about, `remarks`
    what else is to be known."""
    if form == "json":
        return _json(results, note, remarks)
    metrics = list(dict.fromkeys(result.score.metric for result in results))
    rows, keys = (
        [],
        list(
            dict.fromkeys(
                (result.test, result.system, result.group, result.lines) for result in results
            )
        ),
    )
    for key in keys:
        cells = {
            each.score.metric: _cell(each)
            for each in results
            if (each.test, each.system, each.group, each.lines) == key
        }
        rows.append([*map(str, key), *(cells.get(metric, "") for metric in metrics)])
    header = ["test set", "system", "part", "lines", *metrics]
    keep = [True, True, any(key[2] for key in keys), True, *[True] * len(metrics)]
    table = [
        [cell for cell, kept in zip(row, keep, strict=True) if kept] for row in (header, *rows)
    ]
    signatures = list(
        dict.fromkeys(f"{each.score.metric} {each.score.signature}" for each in results)
    )
    notes = [*([note] if note else []), *remarks]
    if form == "markdown":
        return "\n".join(
            [
                *_markdown(table),
                "",
                *(f"- `{signature}`" for signature in signatures),
                *(f"- {each}" for each in notes),
            ]
        )
    return "\n".join([*_text(table), *signatures, *notes])


def _cell(result: Result) -> str:
    score = result.score
    interval = "" if score.interval is None else f" ({score.mean:.1f} ± {score.interval:.1f})"
    p_value = compared(result)
    starred = p_value.endswith("*")
    return f"{score.value:.1f}{interval}" + (
        f" ({p_value.removesuffix('*')}){'*' * starred}" if p_value else ""
    )


def _text(table: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _markdown(table: list[list[str]]) -> list[str]:
    rows = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in table]
    return [rows[0], "|" + "---|" * len(table[0]), *rows[1:]]


def _json(results: Sequence[Result], note: str, remarks: Sequence[str]) -> str:
    rows = []
    for result in results:
        untested = "" if "p = " in (told := compared(result)) else told
        row = {
            "test": result.test, "system": result.system, "part": result.group, "lines": result.lines, **result.score._asdict(),  # noqa: E501
            "p_value": result.p_value, "difference": result.difference, "differing_lines": result.differing,  # noqa: E501
            "remark": f"{untested}: p_value is what sacreBLEU gives for a difference of zero" if untested else "",  # noqa: E501
        }  # fmt: skip
        rows.append({key: value for key, value in row.items() if value not in (None, "")})
    notes = {key: value for key, value in (("note", note), ("remarks", list(remarks))) if value}
    return json.dumps({"scores": rows, **notes}, indent=1, ensure_ascii=False)
