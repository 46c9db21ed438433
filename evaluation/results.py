"""Files of results: the committed ones in evaluation/results, and how a new one takes an old
one's place."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evaluation.machine import ROOT
from nmt.errors import NmtError

RESULTS = ROOT / "evaluation" / "results"
UNRECORDED = "which model was not recorded"


def read_results(path: Path) -> dict[str, Any]:
    """Raises: NmtError where the file cannot be read."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NmtError(
            f"{path}: cannot read these results ({error}); get them again from the repository"
        ) from None
    return found


def processor_of(results: Mapping[str, Any]) -> str:
    """The processor's description; before it was recorded, results told its name alone, behind
    the machine's."""
    if "processor" in results:
        return str(results["processor"])
    return f"{str(results.get('machine', 'unknown processor')).rpartition(', ')[2]} ({UNRECORDED})"


def committed(path: Path, processor: str) -> dict[str, Any]:
    """The results to compare with: those of this processor where the file keeps several, else
    the only ones; empty where there are none."""
    if not path.exists():
        return {}
    found = read_results(path)
    kept: dict[str, dict[str, Any]] | None = found.get("processors")
    if kept is None:
        return found
    return kept.get(processor) or next(iter(kept.values()), {})


def to_text(results: Mapping[str, Any], path: Path, each_processor: bool) -> str:
    """What is written to `path`: one result, or with `each_processor` this one beside those of
    other processors that the file has."""
    if each_processor:
        before = read_results(path)["processors"] if path.exists() else {}
        results = {"run": results["run"], "processors": {**before, results["processor"]: results}}
    return json.dumps(results, indent=1, ensure_ascii=False) + "\n"


def table(folder: Path = RESULTS) -> Iterator[tuple[str, str, str, str]]:
    """(file, commit, date, processor) of every committed result."""
    for path in sorted(folder.glob("*.json")):
        found = read_results(path)
        for each in found.get("processors", {"": found}).values():
            yield (
                path.name,
                str(each["commit"]),
                str(each.get("date", "no date")),
                processor_of(each),
            )
