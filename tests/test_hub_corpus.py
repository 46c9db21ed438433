"""Data sets of the `datasets` library: from a folder, from a stream, from a cache."""

import json
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
from corpus_files import FORMATS, TEXTS, empty_folder, flat, parquet, write

from nmt.errors import NmtError
from nmt.text import records
from nmt.text.corpus import read_pairs

in_empty_folder = pytest.fixture(autouse=True)(empty_folder)


def test_a_data_set_without_the_languages_is_refused() -> None:
    datasets.Dataset.from_dict({"nl": ["een"], "eng": ["one"]}).save_to_disk("saved")
    parquet([{"nl": "een", "eng": "one"}])
    for name in ("hf://saved", "a.parquet"):
        with pytest.raises(
            NmtError,
            match=(
                rf"^{name}: no column 'translation' and no columns 'nl' and 'en'; found 'nl', 'eng'"
            ),
        ):
            list(read_pairs(name, "nl", "en"))


def test_a_slice_of_a_split_is_read_although_it_cannot_be_streamed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    Path("files").mkdir()
    write("files/train.jsonl", [json.dumps(record) for record in flat()])
    read = [pair[:2] for pair in read_pairs("hf://files#train[1:3]", "nl", "en")]
    assert read == TEXTS[1:3]


def test_a_data_set_without_the_split_is_refused() -> None:
    FORMATS["hf://splits#train"]()
    with pytest.raises(NmtError, match=r"^hf://splits#dev: no split 'dev'; known are train"):
        list(read_pairs("hf://splits#dev", "nl", "en"))


def test_a_data_set_that_cannot_be_loaded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, split: str, streaming: bool) -> None:
        assert (arguments, split, streaming) == (("owner/name", "de-en"), "dev", True)
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(
        NmtError,
        match=(
            r"^hf://owner/name:de-en: cannot load the data set \(no route\); check its name, split"
            r" and access"
        ),
    ):
        list(read_pairs("hf://owner/name:de-en", "nl", "en", split="dev"))


def test_a_data_set_that_is_streamed_leaves_no_copy() -> None:
    FORMATS["hf://files"]()
    assert len(list(read_pairs("hf://files", "nl", "en"))) == 5
    assert {path.suffix for path in Path("cache").rglob("*")} <= {".lock"}


def test_a_data_set_in_the_cache_is_read_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    FORMATS["hf://files"]()
    datasets.load_dataset("files")
    Path("cache/files").rename("cache/owner___files")  # as if it had been the Hub's owner/files
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert [
        (pair.source, pair.target) for pair in read_pairs("hf://owner/files", "nl", "en")
    ] == TEXTS


@pytest.mark.parametrize(
    ("message", "reason"),
    [("connection lost\nat row 3", "connection lost"), ("", "ConnectionError")],
)
def test_a_stream_that_breaks_off_is_refused_after_what_it_gave(
    monkeypatch: pytest.MonkeyPatch, message: str, reason: str
) -> None:
    def rows() -> Iterator[dict[str, object]]:
        yield from flat()[:3]
        raise ConnectionError(message)

    monkeypatch.setattr(records, "ROWS", 1)
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda *arguments, **rest: datasets.IterableDataset.from_generator(rows),
    )
    given = read_pairs("hf://owner/name", "nl", "en")
    assert [next(given)[:2] for _ in range(3)] == TEXTS[:3]
    with pytest.raises(
        NmtError,
        match=(
            rf"^hf://owner/name: cannot be read to its end \({reason}\); run the same command again"
        ),
    ):
        next(given)
