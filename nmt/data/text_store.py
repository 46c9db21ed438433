"""One-sided text in pieces, on disk: every line followed by the end of line, one after the other.

A text store is a folder: pieces.bin (int32), starts.bin (int64, where each line starts, and the
end of the last), places.bin (int32 pairs: the number of the file and of the line) and store.json.
It is memory-mapped, so that its size does not matter.
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nmt.data.batches import Integers
from nmt.errors import NmtError
from nmt.files import move, read_json, writing
from nmt.run_folder import STORE_CARD
from nmt.text.subwords import Subwords
from nmt.vocabulary import EOS

LINES = 10_000  # encoded and written at a time
PIECE, START = np.dtype("<i4"), np.dtype("<i8")
FILES: dict[str, np.dtype[Any]] = {
    "pieces.bin": PIECE,
    "starts.bin": START,
    "places.bin": PIECE,
}


class TextLine(NamedTuple):
    """A line of a file of the user's."""

    text: str
    file: int  # its number among the files
    line: int  # from 1


class TextStore:
    """An open store; lines are numbered in the order of the text."""

    def __init__(self, folder: Path) -> None:
        """Raises NmtError if the folder holds no whole store."""
        try:
            about = read_json(folder / STORE_CARD, within=folder)
            self.fingerprint = str(about["fingerprint"])  # what `build_text_store` was given
            self.summary = tuple(str(line) for line in about["summary"])
            self.names = [str(name) for name in about["files"]]
            self.pieces, self.starts, places = (
                np.memmap(folder / name, dtype, "r") for name, dtype in FILES.items()
            )
            self.places = places.reshape(-1, 2)
            found = (len(self.pieces), len(self.starts) - 1, len(self.places))
            if found != (about["pieces"], about["lines"], about["lines"]):
                raise ValueError(f"parts of {found} pieces and lines")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NmtError(
                f"{folder}: incomplete training text ({error}); delete the folder and it will be"
                " rebuilt"
            ) from None

    def __len__(self) -> int:
        """Lines."""
        return len(self.places)

    @property
    def lengths(self) -> Integers:
        """Pieces of each line, the end of line not counted."""
        return np.asarray(np.diff(self.starts) - 1)

    def lines(self, rows: Integers) -> list[npt.NDArray[np.int32]]:
        """The pieces of these lines, without the end of line."""
        return [self.pieces[self.starts[row] : self.starts[row + 1] - 1] for row in rows]

    def where(self, row: int) -> str:
        """Where the user's files have this line."""
        file, line = self.places[row]
        return f"{self.names[file]}:{line}"

    def row_at(self, position: int) -> int:
        """The line that a position of the whole text is in."""
        return int(np.searchsorted(self.starts, position, side="right")) - 1


def build_text_store(
    folder: Path,
    lines: Iterable[TextLine],
    names: Sequence[str],
    subwords: Subwords,
    max_length: int | None,
    fingerprint: str,
) -> TextStore:
    """Encodes the lines into a new store, in bounded memory; it appears in `folder` only when it is
    whole, and replaces what was there.

    With a `max_length` each line is a text of its own: blank lines, and lines of more pieces, are
    left out and counted in the summary. Without one all are kept: the text is one.

    Raises:
        NmtError: no line is left, or the store cannot be written.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    with writing(folder):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        counts = _write(partial, iter(lines), subwords, max_length)
        if not counts.pieces:
            shutil.rmtree(partial)
            raise NmtError(
                f"{', '.join(names)}: no text is left to learn from; check data.train and"
                " data.max_length"
            )
        about = {
            "fingerprint": fingerprint,
            "pieces": counts.pieces,
            "lines": counts.lines,
            "files": list(names),
            "summary": counts.summary(max_length),
        }
        (partial / STORE_CARD).write_text(
            json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        if folder.exists():
            shutil.rmtree(folder)
        move(partial, folder)
    return TextStore(folder)


class _Counts(NamedTuple):
    lines: int = 0
    pieces: int = 0
    blank: int = 0
    long: int = 0

    def summary(self, max_length: int | None) -> list[str]:
        """Lines for people."""
        found = [f"{self.lines:,} lines of text, {self.pieces:,} pieces, ends of line included"]
        if self.blank:
            found.append(f"{self.blank:,} blank lines left out")
        if self.long:
            found.append(
                f"{self.long:,} lines longer than {max_length} pieces (data.max_length) left out"
            )
        return found


def _write(
    folder: Path, lines: Iterable[TextLine], subwords: Subwords, max_length: int | None
) -> _Counts:
    stream, end, kept, blank, long = iter(lines), 0, 0, 0, 0
    with (
        open(folder / "pieces.bin", "wb") as pieces,
        open(folder / "starts.bin", "wb") as starts,
        open(folder / "places.bin", "wb") as places,
    ):
        starts.write(np.zeros(1, START).tobytes())
        while chunk := list(islice(stream, LINES)):
            for line, ids in zip(
                chunk, subwords.encode([each.text for each in chunk]), strict=True
            ):
                if max_length is not None and not 0 < len(ids) <= max_length:
                    blank, long = blank + (not ids), long + bool(ids)
                    continue
                pieces.write(np.array([*ids, EOS], PIECE).tobytes())
                end, kept = end + len(ids) + 1, kept + 1
                starts.write(np.array([end], START).tobytes())
                places.write(np.array([line.file, line.line], PIECE).tobytes())
    return _Counts(kept, end, blank, long)
