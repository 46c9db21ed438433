"""The dev set in a run folder: the run can be moved, continued without network, and nobody changes its dev set meanwhile."""

import json
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from nmt.errors import NmtError

COPY = "dev.jsonl"

Parallel = tuple[list[str], list[str]]


class DevCopy(NamedTuple):
    """A dev set as the run has it."""

    origin: dict[str, str]  # what it is a copy of
    pairs: Parallel  # source texts, target texts


def read_copy(run: Path) -> DevCopy | None:
    """The copy; None where there is none.

    Raises:
        NmtError: it is not what was written.
    """
    path = run / COPY
    if not path.exists():
        return None
    head, _, body = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    try:
        origin = dict(json.loads(head))
        if origin.pop("sha256") != sha256(body.encode()).hexdigest():
            raise ValueError
        pairs = [json.loads(line) for line in body.split("\n")] if body else []
    except (ValueError, KeyError, TypeError):
        raise NmtError(f"{path}: damaged; delete it, then the dev set is read again from where it came") from None
    return DevCopy(origin, ([source for source, _ in pairs], [target for _, target in pairs]))


def copy_text(copy: DevCopy) -> str:
    """The text of the file: a line about it, then a line for each pair."""
    body = "\n".join(json.dumps(pair, ensure_ascii=False) for pair in zip(*copy.pairs, strict=True))
    return f"{json.dumps({**copy.origin, 'sha256': sha256(body.encode()).hexdigest()})}\n{body}"
