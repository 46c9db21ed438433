"""The same pairs in each format that a corpus can have."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow
import pyarrow.parquet
import pytest

TEXTS = [("een hond", "a dog"), ("twee\u2028katten", "two\x85cats"), ("", "blank"), ('"aanhaling', "😀 {}"), ("vijf", "five")]


def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tests write what they read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def write(name: str, lines: list[str]) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


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
    return [{"id": number, "translation": {"nl": source, "en": target}} for number, (source, target) in enumerate(TEXTS)]


def flat() -> list[dict[str, object]]:
    return [{"en": target, "nl": source, "score": 0.5} for source, target in TEXTS]


FORMATS: dict[str, Callable[[], object]] = {
    "plain": lambda: write_prefix("plain"),
    "packed": lambda: write_prefix("packed", ".gz"),
    "a.tsv": lambda: write("a.tsv", [f"{source}\t{target}" for source, target in TEXTS]),
    "named.tsv.gz": lambda: write("named.tsv.gz", ["id\ten\tnl", *(f"1\t{target}\t{source}" for source, target in TEXTS)]),
    "a.jsonl": lambda: write("a.jsonl", [json.dumps(row) for row in nested()]),
    "flat.jsonl.gz": lambda: write("flat.jsonl.gz", [*(json.dumps(row, ensure_ascii=False) for row in flat()), ""]),
    "a.parquet": lambda: parquet(nested()),
    "./a.parquet": lambda: parquet(flat()),
    "hf://saved": lambda: datasets.Dataset.from_list(nested()).save_to_disk("saved"),
    "hf://splits#train": lambda: datasets.DatasetDict({"train": datasets.Dataset.from_list(flat())}).save_to_disk("splits"),
    "hf://files": lambda: write_files(nested()),
    "hf://files#train": lambda: write_files(flat()),
}
