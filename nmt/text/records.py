"""Formats that hold both sides of a pair in one record -> (source, target, where)."""

import csv
import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.errors import NmtError
from nmt.text.lines import lenient_lines

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset
    from pyarrow import Table

HEADERS = (("source", "target"), ("src", "tgt"), ("src", "trg"))  # beside the languages
ROWS = 1000  # records of a data set read at a time

# datasets and pyarrow are imported where they are used: reading plain text must not wait for them.


def read_table(path: Path, source: str, target: str) -> Iterator[tuple[str, str, str]]:
    """Tab-separated values without quoting: a header line that names both languages, or exactly
    two columns, source and target."""
    advice = (
        f"name the columns in a first line, with {source!r} and {target!r} among them, and write no"
        " tabs within a sentence"
    )
    return _table(
        path,
        source,
        target,
        ((number, line.split("\t")) for number, line in enumerate(lenient_lines(path), 1)),
        advice,
    )


def read_csv(path: Path, source: str, target: str) -> Iterator[tuple[str, str, str]]:
    """Values separated by commas, or semicolons if the first line has more of them, in the
    quotes of RFC 4180; columns as `read_table`."""
    advice = (
        f"name the columns in a first line, with {source!r} and {target!r} among them, and put a"
        " sentence with a comma in quotes"
    )
    return _table(path, source, target, _csv_rows(path), advice)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    lines = lenient_lines(path)
    first = next(lines, "")
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(
        (f"{line}\n" for line in chain([first], lines)), delimiter=delimiter, strict=True
    )
    begun = 1
    try:
        for row in reader:
            if row:  # a blank line is no record
                yield begun, row
            begun = reader.line_num + 1
    except csv.Error as error:
        raise NmtError(
            f"{path}:{begun}: not CSV ({error}); put a sentence with commas, quotes or line breaks"
            " in quotes"
        ) from None


def _table(
    path: Path, source: str, target: str, rows: Iterator[tuple[int, list[str]]], advice: str
) -> Iterator[tuple[str, str, str]]:
    columns, width = (0, 1), 2
    for position, (number, cells) in enumerate(rows):
        if position == 0 and (named := _named_columns(cells, source, target)):
            columns, width = named, len(cells)
            continue
        if len(cells) != width:
            raise NmtError(f"{path}:{number}: expected {width} columns, got {len(cells)}; {advice}")
        yield cells[columns[0]], cells[columns[1]], f"{path}:{number}"


def _named_columns(cells: list[str], source: str, target: str) -> tuple[int, int] | None:
    """The columns of both sides, where this first line is a header: the languages, or the words
    that people write there."""
    names = [cell.strip().strip('"').casefold() for cell in cells]
    for first, second in ((source.casefold(), target.casefold()), *HEADERS):
        if first in names and second in names:
            return names.index(first), names.index(second)
    return None


def read_json_lines(path: Path, source: str, target: str) -> Iterator[tuple[str, str, str]]:
    """One object a line, `{"translation": {"nl": ..., "en": ...}}` or `{"nl": ..., "en": ...}`;
    blank lines are no records."""
    for number, line in enumerate(lenient_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = json.loads(line)
        except (
            ValueError,
            RecursionError,
        ) as error:  # ValueError also of a number of thousands of digits
            raise NmtError(f"{where}: not JSON ({error}); write one object a line") from None
        yield *_texts(record, source, target, where), where


def read_parquet(path: Path, source: str, target: str) -> Iterator[tuple[str, str, str]]:
    """The same records as rows of a parquet file, read a batch at a time."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            wanted = _columns(file.schema_arrow.names, source, target, str(path))
            rows = (row for batch in file.iter_batches(columns=wanted) for row in batch.to_pylist())
            for number, row in enumerate(rows, 1):
                where = f"{path}:{number}"
                yield *_texts(row, source, target, where), where
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise NmtError(
            f"{path}: not a parquet file of text ({str(error).splitlines()[0]}); is it damaged?"
        ) from None


def read_hub(
    specification: str, source: str, target: str, split: str
) -> Iterator[tuple[str, str, str]]:
    """hf://NAME, hf://NAME:CONFIG or hf:///FOLDER, each with #SPLIT or without; read as a
    stream, of which the disk keeps no copy."""
    address, _, named_split = specification.removeprefix("hf://").partition("#")
    data = _load_hub(specification, address, named_split or split)
    if data.column_names:  # a stream may not know its columns before it is read
        data = data.select_columns(_columns(data.column_names, source, target, specification))
    tables = (
        table.select(_columns(table.column_names, source, target, specification))
        for table in _tables(specification, data)
    )
    for number, record in enumerate(
        (record for table in tables for record in table.to_pylist()), 1
    ):
        where = f"{specification}:{number}" if named_split else f"{specification}#{split}:{number}"
        yield *_texts(record, source, target, where), where


def _tables(specification: str, data: "Dataset | IterableDataset") -> "Iterator[Table]":
    try:
        yield from data.with_format("arrow").iter(ROWS)
    except Exception as error:  # the library and the network raise anything
        advice = "run the same command again" if isinstance(error, OSError) else "check its files"
        raise NmtError(
            f"{specification}: cannot be read to its end ({_reason(error)}); {advice}"
        ) from None


def _load_hub(specification: str, address: str, split: str) -> "Dataset | IterableDataset":
    import datasets

    streaming = (
        "[" not in split
    )  # a slice such as train[:1000] cannot be streamed: it is downloaded
    try:
        if not Path(address).is_dir():
            name, _, config = address.partition(":")
            return datasets.load_dataset(name, config or None, split=split, streaming=streaming)
        if not any(
            (Path(address) / name).exists() for name in ("dataset_dict.json", "dataset_info.json")
        ):
            return datasets.load_dataset(address, split=split, streaming=streaming)
        saved = datasets.load_from_disk(address)
    except Exception as error:  # the library and the network raise anything
        raise NmtError(
            f"{specification}: cannot load the data set ({_reason(error)}); check its name, split"
            " and access"
        ) from None
    if not isinstance(saved, datasets.DatasetDict):
        return saved
    if split not in saved:
        raise NmtError(f"{specification}: no split {split!r}; known are {', '.join(saved)}")
    return saved[split]


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _columns(names: list[str], source: str, target: str, where: str) -> list[str]:
    """The columns that hold the text: others, such as pictures, are not read."""
    for wanted in (["translation"], [source, target]):
        if set(wanted) <= set(names):
            return wanted
    raise NmtError(
        f"{where}: no column 'translation' and no columns {source!r} and {target!r}; found"
        f" {', '.join(map(repr, names)) or 'none'}"
    )


def _texts(record: Any, source: str, target: str, where: str) -> tuple[str, str]:
    """The two sides; null is a blank side."""
    if isinstance(record, Mapping) and isinstance(record.get("translation"), Mapping):
        record = record["translation"]
    if not isinstance(record, Mapping):
        raise NmtError(
            f"{where}: expected an object with {source!r} and {target!r}, got {str(record)[:60]!r}"
        )
    for language in (source, target):
        if language not in record:
            raise NmtError(
                f"{where}: no key {language!r}; found {', '.join(map(repr, record)) or 'none'}"
            )
        if not isinstance(record[language], str | None):
            raise NmtError(
                f"{where}: {language!r} must be a string, got {repr(record[language])[:60]}"
            )
    return record[source] or "", record[target] or ""
