"""The same pairs in each format that a corpus can have."""

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import datasets
import pyarrow
import pyarrow.parquet
import pytest

TEXTS = [
    ("een hond", "a dog"),
    ("twee\u2028katten", "two\x85cats"),
    ("", "blank"),
    ('"aanhaling', "😀 {}"),
    ("vijf", "five"),
]


def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tests write what they read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def write(name: str, lines: list[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    pack = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}.get(
        Path(name).suffix, bytes
    )
    Path(name).write_bytes(pack(content))


def write_csv(name: str, rows: list[tuple[str, ...]], delimiter: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    write(name, [text.getvalue().removesuffix("\n")])


def tmx(units: list[str], head: str = "") -> list[str]:
    """The lines of a translation memory of these units."""
    return [
        '<?xml version="1.0"?>',
        head,
        '<tmx version="1.4"><header/><body>',
        *(f"<tu>{unit}</tu>" for unit in units),
        "</body></tmx>",
    ]


def unit(source: str, target: str) -> str:
    return (
        f'<tuv xml:lang="en-GB"><seg>{escape(target)}</seg></tuv><tuv'
        f' xml:lang="NL"><seg>{escape(source)}</seg></tuv>'
    )


def write_prefix(prefix: str, ending: str = "") -> None:
    write(f"{prefix}.nl{ending}", [source for source, _ in TEXTS])
    write(f"{prefix}.en{ending}", [target for _, target in TEXTS])


def parquet(rows: list[dict[str, object]]) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), "a.parquet", row_group_size=2)


def write_files(rows: list[dict[str, object]]) -> None:
    """A data set of two files, as a Hub data set has them."""
    Path("files").mkdir()
    for number, part in enumerate((rows[:2], rows[2:])):
        write(f"files/train-{number}.jsonl", [json.dumps(row, ensure_ascii=False) for row in part])


def nested() -> list[dict[str, object]]:
    return [
        {"id": number, "translation": {"nl": source, "en": target}}
        for number, (source, target) in enumerate(TEXTS)
    ]


def flat() -> list[dict[str, object]]:
    return [{"en": target, "nl": source, "score": 0.5} for source, target in TEXTS]


FORMATS: dict[str, Callable[[], object]] = {
    "plain": lambda: write_prefix("plain"),
    "packed": lambda: write_prefix("packed", ".gz"),
    "dense": lambda: write_prefix("dense", ".xz"),
    "denser": lambda: write_prefix("denser", ".bz2"),
    "half.nl.gz": lambda: write_prefix("half", ".gz"),
    "words.tsv": lambda: write(
        "words.tsv", ["Target\tsource", *(f"{target}\t{source}" for source, target in TEXTS)]
    ),
    "a.csv": lambda: write_csv(
        "a.csv", [("id", "nl", "en"), *(("1, 2", *pair) for pair in TEXTS)], ","
    ),
    "a.csv.xz": lambda: write_csv(
        "a.csv.xz", [("en", "nl"), *((target, source) for source, target in TEXTS)], ";"
    ),
    "a.tmx": lambda: write("a.tmx", tmx([unit(*pair) for pair in TEXTS])),
    "wide.tmx": (
        lambda: Path("wide.tmx").write_bytes(
            "".join(tmx([unit(*pair) for pair in TEXTS])).encode("utf-16")
        )
    ),
    "a.tsv": lambda: write("a.tsv", [f"{source}\t{target}" for source, target in TEXTS]),
    "named.tsv.gz": lambda: write(
        "named.tsv.gz", ["id\ten\tnl", *(f"1\t{target}\t{source}" for source, target in TEXTS)]
    ),
    "a.jsonl": lambda: write("a.jsonl", [json.dumps(row) for row in nested()]),
    "flat.jsonl.gz": lambda: write(
        "flat.jsonl.gz", [*(json.dumps(row, ensure_ascii=False) for row in flat()), ""]
    ),
    "a.parquet": lambda: parquet(nested()),
    "./a.parquet": lambda: parquet(flat()),
    "hf://saved": lambda: datasets.Dataset.from_list(nested()).save_to_disk("saved"),
    "hf://splits#train": (
        lambda: datasets.DatasetDict({"train": datasets.Dataset.from_list(flat())}).save_to_disk(
            "splits"
        )
    ),
    "hf://files": lambda: write_files(nested()),
    "hf://files#train": lambda: write_files(flat()),
}
