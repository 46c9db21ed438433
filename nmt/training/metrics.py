"""The curves of a run: metrics.jsonl in its folder."""

import json
import os
from pathlib import Path
from typing import Any

from nmt.files import sync, writing


class Metrics:
    """metrics.jsonl: one JSON object a report or validation, in the order of the updates."""

    def __init__(self, run: Path, size: int) -> None:
        """Cuts the file to its first `size` bytes: rows of updates that will be made again are
        dropped.

        Raises:
            NmtError: it cannot be written.
        """
        self.path = run / "metrics.jsonl"
        with writing(self.path):
            self.path.touch()
            self.lost = max(
                0, size - self.path.stat().st_size
            )  # bytes that somebody else took away
            if self.lost:  # whole rows stay; cutting to `size` would fill the file up with zeros
                size = self.path.read_bytes().rfind(b"\n") + 1
            os.truncate(self.path, size)

    def write(self, row: dict[str, Any]) -> int:
        """Appends a row, all of it or nothing; returns the file's size.

        Raises:
            NmtError: the disk is full.
        """
        with writing(self.path), open(self.path, "ab", buffering=0) as file:
            start, left = file.tell(), json.dumps(row).encode() + b"\n"
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:
                file.truncate(start)
                raise
            return file.tell()

    def sync(self) -> None:
        """The rows are on the disk before a checkpoint counts on them."""
        sync(self.path)
