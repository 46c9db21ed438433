"""The corpus in pieces, on disk: written once, memory-mapped in training, so that its size does not
matter.

A store is a folder: pairs.arrow (one row a pair), source_lengths.npy and target_lengths.npy
(pieces, EOS not counted), store.json.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow

from nmt.errors import NmtError
from nmt.files import move, writing
from nmt.run_folder import STORE_CARD
from nmt.text.augmentation import marked_pair
from nmt.text.clean import BLANK, Audit
from nmt.text.corpus import Pair
from nmt.text.subwords import SubwordPair

if TYPE_CHECKING:
    from nmt.recipe import DataConfig

Lengths = npt.NDArray[np.integer]
ROWS = 10_000  # pairs encoded and written at a time
IDS = pyarrow.list_(pyarrow.int32())
TEXT = pyarrow.string()
LENGTH = "<i4"
SCHEMA = pyarrow.schema(
    {"source": IDS, "target": IDS, "source_text": TEXT, "target_text": TEXT, "where": TEXT}
)


class Store:
    """An open store; rows are numbered in the order of the corpus."""

    def __init__(self, folder: Path):
        """Raises NmtError if the folder holds no whole store."""
        try:
            about = json.loads((folder / STORE_CARD).read_text(encoding="utf-8"))
            self.fingerprint = str(about["fingerprint"])  # what `build_store` was given
            self.summary = tuple(str(line) for line in about["summary"])  # of the audit
            self.source_lengths: npt.NDArray[np.integer] = np.load(
                folder / "source_lengths.npy", mmap_mode="r"
            )
            self.target_lengths: npt.NDArray[np.integer] = np.load(
                folder / "target_lengths.npy", mmap_mode="r"
            )
            self._rows = datasets.Dataset.from_file(str(folder / "pairs.arrow")).with_format(
                "arrow"
            )
            rows = {
                about["pairs"],
                len(self._rows),
                len(self.source_lengths),
                len(self.target_lengths),
            }
            if len(rows) > 1:
                raise ValueError(f"parts of {sorted(rows)} rows")
        except (
            OSError,
            EOFError,
            ValueError,
            KeyError,
            TypeError,
            pyarrow.ArrowException,
        ) as error:
            raise NmtError(
                f"{folder}: not a whole store of pairs ({str(error).splitlines()[0]}); delete it,"
                " it is made again"
            ) from None
        self._ids = self._rows.select_columns(["source", "target"])

    def __len__(self) -> int:
        return len(self._rows)

    def ids(
        self, indices: npt.NDArray[np.integer]
    ) -> tuple[list[npt.NDArray[np.int32]], list[npt.NDArray[np.int32]]]:
        """(source ids, target ids) of these rows, in this order."""
        table = self._ids[indices]
        return _split(table["source"]), _split(table["target"])

    def texts(self, indices: npt.NDArray[np.integer]) -> tuple[list[str], list[str]]:
        """(source texts, target texts) of these rows, in this order."""
        table = self._rows[indices]
        return table["source_text"].to_pylist(), table["target_text"].to_pylist()

    def where(self, index: int) -> str:
        """Where the user's files have this row."""
        return cast(str, self._rows[index]["where"][0].as_py())


def open_store(folder: Path) -> Store:
    """The store in this folder. Raises NmtError if there is none, or only part of one."""
    return Store(folder)


def build_store(
    folder: Path,
    pairs: Iterable[Pair],
    subwords: SubwordPair,
    data: "DataConfig",
    audit: Audit,
    fingerprint: str = "",
) -> Store:
    """Encode the pairs into a new store, in bounded memory; it appears in `folder` only when it is
    whole, and replaces what was there.

    Pairs that are too long or too unequal in pieces are left out, counted in `audit`.

    Raises:
        NmtError: no pair is left, or the store cannot be written.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    with writing(folder):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        count = _write_rows(partial, encoded_rows(pairs, subwords, data, audit))
        if not count:
            shutil.rmtree(partial)
            raise NmtError(
                f"no pair is left to learn from ({'; '.join(audit.summary())}); check the corpus"
                " and data.max_length, data.max_ratio"
            )
        about = {"fingerprint": fingerprint, "pairs": count, "summary": audit.summary()}
        (partial / STORE_CARD).write_text(
            json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        if folder.exists():
            shutil.rmtree(folder)
        move(partial, folder)
    return Store(folder)


def _write_rows(folder: Path, batches: Iterable[list["Row"]]) -> int:
    """Writes pairs.arrow and the lengths of both sides as the rows come; returns how many there
    were."""
    count = 0
    with (
        pyarrow.OSFile(str(folder / "pairs.arrow"), "wb") as file,
        pyarrow.ipc.new_stream(file, SCHEMA) as writer,
        open(folder / "source_lengths.npy", "wb") as source_lengths,
        open(folder / "target_lengths.npy", "wb") as target_lengths,
    ):
        lengths_of = {0: source_lengths, 1: target_lengths}  # column -> its file
        for lengths in lengths_of.values():
            _write_header(lengths, 0)
        for rows in batches:
            writer.write_batch(
                pyarrow.record_batch(
                    [[row[column] for row in rows] for column in range(len(SCHEMA))], schema=SCHEMA
                )
            )
            for column, lengths in lengths_of.items():
                lengths.write(np.array([len(row[column]) for row in rows], LENGTH).tobytes())
            count += len(rows)
        for lengths in lengths_of.values():
            lengths.seek(0)
            _write_header(lengths, count)
    return count


def _write_header(file: BinaryIO, count: int) -> None:
    """The beginning of an .npy file of so many lengths; numpy pads it, so that it is as long for
    any count."""
    np.lib.format.write_array_header_1_0(
        file, {"descr": LENGTH, "fortran_order": False, "shape": (count,)}
    )


Row = tuple[list[int], list[int], str, str, str]


def encoded_rows(
    pairs: Iterable[Pair], subwords: SubwordPair, data: "DataConfig", audit: Audit
) -> Iterator[list[Row]]:
    """Rows of a store, many at a time; pairs that are too long or too unequal in pieces are left
    out, counted in `audit`."""
    stream = iter(pairs)
    while chunk := list(islice(stream, ROWS)):
        texts = [(pair.source, pair.target) for pair in chunk]
        if subwords.placeholders:
            texts = [marked_pair(*each) for each in texts]
        sources = subwords.source.encode([source for source, _ in texts])
        targets = subwords.target.encode([target for _, target in texts])
        rows = []
        for pair, source, target in zip(chunk, sources, targets, strict=True):
            reason = _unfit(len(source), len(target), data)
            if reason:
                audit.leave_out(reason, pair.where)
            else:
                rows.append((source, target, *pair))
        if rows:
            yield rows


def _unfit(source_length: int, target_length: int, data: "DataConfig") -> str:
    shorter, longer = sorted((source_length, target_length))
    if not shorter:
        return BLANK
    if longer > data.max_length:
        return f"longer than {data.max_length} pieces (data.max_length)"
    return (
        f"one side over {data.max_ratio:g} times as long (data.max_ratio)"
        if longer > data.max_ratio * shorter
        else ""
    )


def _split(column: pyarrow.ChunkedArray) -> list[npt.NDArray[np.int32]]:
    rows = column.combine_chunks()
    offsets = rows.offsets.to_numpy()
    values = rows.values.to_numpy()
    return [values[start:end] for start, end in pairwise(offsets)]
