"""The scores on the dev set that a run or a model folder tells of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt.errors import NmtError
from nmt.files import open_file, parse_json

ROW_BYTES = 1 << 16  # of one row of metrics.jsonl; training writes less than a kilobyte
METRICS_BYTES = 1 << 30  # of all of them


def checked_validation(found: object) -> dict[str, Any] | None:
    """What training records of a validation, as far as others use it: its scores, each with metric
    and value.

    Raises:
        ValueError: it is something else.
    """
    if found is None:
        return None
    scores = found.get("scores", []) if isinstance(found, dict) else None
    if (
        not isinstance(found, dict)
        or not isinstance(scores, list)
        or not all(_is_score(score) for score in scores)
    ):
        raise ValueError("a validation without scores")
    return found


def _is_score(score: object) -> bool:
    if not isinstance(score, dict) or not isinstance(score.get("value"), int | float):
        return False
    texts = isinstance(score.get("metric"), str) and isinstance(score.get("signature", ""), str)
    return texts and abs(score["value"]) < 10**6  # False for NaN


def best_validation(run: Path) -> dict[str, Any] | None:
    """The dev scores of a run's best checkpoint; None where there is no record of them.

    Raises:
        NmtError: what is recorded is not what training writes.
    """
    metrics = run / "metrics.jsonl"
    if not metrics.exists():
        return None
    best = None
    try:
        for row in _rows(metrics):
            if row.get("kind") == "validation" and row.get("best"):
                best = checked_validation(row)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NmtError(
            f"{metrics}: damaged ({reason}); delete it to go without the scores"
        ) from None
    return best


def _rows(metrics: Path) -> Iterator[dict[str, Any]]:
    """Rows that are whole: a run that is going on, or was killed, may have written half a line."""
    with open_file(metrics, METRICS_BYTES, metrics.parent) as file:
        while line := file.readline(ROW_BYTES):
            try:
                row = parse_json(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row
