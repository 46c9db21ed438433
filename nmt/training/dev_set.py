"""The dev set of a run. A Hub data set's is kept in the run folder: no network is needed to go on, and nobody changes it meanwhile."""

import json
from pathlib import Path

from nmt.config import DataConfig
from nmt.data.corpus import HUB, read_parallel
from nmt.errors import NmtError
from nmt.writing import write_atomically

COPY = "dev.jsonl"

Parallel = tuple[list[str], list[str]]


def read_dev(data: DataConfig, run: Path) -> Parallel:
    """(source texts, target texts): of a Hub data set the copy in the run folder, where that is one of it.

    Raises:
        NmtError: the corpus cannot be read, or the copy is damaged.
    """
    path = run / COPY
    if not data.dev.startswith(HUB) or not path.exists():
        return read_parallel(data.dev, data.source, data.target, "dev")
    try:
        head, *pairs = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")]
        if head == {**_head(data), "pairs": len(pairs)}:
            return [source for source, _ in pairs], [target for _, target in pairs]
        is_whole = isinstance(head, dict) and head.get("pairs") == len(pairs)
    except (ValueError, TypeError):
        is_whole = False
    if not is_whole:
        raise NmtError(f"{path}: damaged; delete it, then the dev set is read from {data.dev} again")
    return read_parallel(data.dev, data.source, data.target, "dev")  # the folder was begun with another one


def keep_dev(data: DataConfig, run: Path, dev: Parallel) -> None:
    """Copies the dev set of a Hub data set into the run folder.

    Raises:
        NmtError: it cannot be written.
    """
    if data.dev.startswith(HUB):
        lines = [{**_head(data), "pairs": len(dev[0])}, *zip(*dev, strict=True)]
        write_atomically(run / COPY, "\n".join(json.dumps(line, ensure_ascii=False) for line in lines))


def _head(data: DataConfig) -> dict[str, str]:
    return {"dev": data.dev, "source": data.source, "target": data.target}
