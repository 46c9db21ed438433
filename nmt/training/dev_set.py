"""The dev set of a run. A Hub data set's is kept in the run folder: no network is needed to go on, and nobody changes it meanwhile."""

import json
from hashlib import sha256
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
    if data.dev.startswith(HUB) and path.exists():
        head, _, body = path.read_text(encoding="utf-8", errors="replace").partition("\n")
        if head == _head(data, body):
            pairs = [json.loads(line) for line in body.split("\n")] if body else []
            return [source for source, _ in pairs], [target for _, target in pairs]
        if sha256(body.encode()).hexdigest() not in head:
            raise NmtError(f"{path}: damaged; delete it, then the dev set is read from {data.dev} again")
    return read_parallel(data.dev, data.source, data.target, "dev")  # there is no copy, or it is another data set's


def keep_dev(data: DataConfig, run: Path, dev: Parallel) -> None:
    """Copies the dev set of a Hub data set into the run folder, if it is not there.

    Raises:
        NmtError: it cannot be written.
    """
    if not data.dev.startswith(HUB):
        return
    path, body = run / COPY, "\n".join(json.dumps(pair, ensure_ascii=False) for pair in zip(*dev, strict=True))
    text = f"{_head(data, body)}\n{body}"
    if not path.exists() or path.read_bytes() != text.encode():
        write_atomically(path, text)


def _head(data: DataConfig, body: str) -> str:
    return json.dumps({"dev": data.dev, "source": data.source, "target": data.target, "sha256": sha256(body.encode()).hexdigest()})
