"""Readers: every format gives the same pairs, every line keeps its place, nothing is shifted or dropped without a word."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nmt
from nmt.data import records
from nmt.data.corpus import Pair, fingerprint, read_lines, read_pairs, read_parallel
from nmt.data.lines import decode_lines
from nmt.errors import NmtError

TEXTS = [("een hond", "a dog"), ("twee\u2028katten", "two\x85cats"), ("", "blank"), ('"aanhaling', "😀 {}"), ("vijf", "five")]
LINES = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r")), min_size=1, max_size=8)


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("specification", FORMATS)
def test_every_format_gives_the_same_pairs(specification: str) -> None:
    FORMATS[specification]()
    assert [(pair.source, pair.target) for pair in read_pairs(specification, "nl", "en")] == TEXTS
    assert [(pair.target, pair.source) for pair in read_pairs(specification, "en", "nl")] == TEXTS or specification == "a.tsv"


@pytest.mark.parametrize(
    ("specification", "where"),
    [
        ("plain", "plain.nl:5"),
        ("packed", "packed.nl.gz:5"),
        ("named.tsv.gz", "named.tsv.gz:6"),
        ("a.jsonl", "a.jsonl:5"),
        ("a.parquet", "a.parquet:5"),
        ("hf://saved", "hf://saved#train:5"),
        ("hf://splits#train", "hf://splits#train:5"),
        ("hf://files", "hf://files#train:5"),
    ],
)
def test_a_pair_knows_its_place(specification: str, where: str) -> None:
    FORMATS[specification]()
    assert list(read_pairs(specification, "nl", "en"))[-1] == Pair("vijf", "five", where)


@settings(deadline=None)
@given(sources=LINES, ending=st.sampled_from(["\n", "\r\n"]), packed=st.booleans(), last=st.booleans())
def test_lines_keep_their_number_and_text(sources: list[str], ending: str, packed: bool, last: bool) -> None:
    content = (ending.join(sources) + (ending if last or not sources[-1] else "")).encode()
    with TemporaryDirectory() as folder:
        path = Path(folder) / ("a.nl.gz" if packed else "a.nl")
        path.write_bytes(gzip.compress(content, 1) if packed else content)
        (Path(folder) / "a.en").write_text("x\n" * len(sources))
        expected = [sources[0].removeprefix("\ufeff"), *sources[1:]]
        assert list(read_lines(path)) == expected
        assert [pair.source for pair in read_pairs(f"{folder}/a", "nl", "en")] == expected


@settings(deadline=None)
@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_back_from_a_corpus(content: bytes) -> None:
    expected = content.removesuffix(b"\n").split(b"\n") if content else []
    with TemporaryDirectory() as folder:
        Path(folder, "a.nl").write_bytes(b"first\n" + content)
        Path(folder, "a.en").write_text("x\n" * (1 + len(expected)))
        texts = [pair.source.encode(errors="surrogateescape") for pair in read_pairs(f"{folder}/a", "nl", "en")]
    assert texts == [b"first", *(line.removesuffix(b"\r") for line in expected)]


@settings(deadline=None)
@given(lengths=st.tuples(st.integers(0, 5), st.integers(0, 5)))
def test_files_of_different_length_are_refused_at_the_first_line_without_a_partner(lengths: tuple[int, int]) -> None:
    with TemporaryDirectory() as folder:
        for language, length in zip(("nl", "en"), lengths, strict=True):
            Path(folder, f"a.{language}").write_text("x\n" * length)
        shorter, longer = sorted(lengths)
        if shorter == longer:
            expected = r"/a: no pairs in it; check the file" if not longer else ""
        else:
            names = ("nl", "en") if lengths[0] > lengths[1] else ("en", "nl")
            expected = rf"/a\.{names[0]}:{shorter + 1}: no partner, .*/a\.{names[1]} ends at line {shorter}; line n of one must translate"
        if expected:
            with pytest.raises(NmtError, match=expected):
                list(read_pairs(f"{folder}/a", "nl", "en"))
        else:
            assert len(list(read_pairs(f"{folder}/a", "nl", "en"))) == longer


def test_reading_plain_text_loads_no_large_library() -> None:
    code = "import sys, nmt.data.clean; print(*{'torch', 'numpy', 'datasets', 'pyarrow', 'sentencepiece'} & set(sys.modules))"
    root = Path(nmt.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout.strip() == ""


def test_pairs_stream() -> None:
    write("a.nl", ["een"] * 10)
    write("a.en", ["one"])
    assert next(read_pairs("a", "nl", "en")).target == "one"


def test_plain_files_come_before_packed_ones_and_dots_in_a_prefix_are_no_suffix() -> None:
    write_prefix("v1.2")
    write("v1.2.en.gz", ["other"])
    assert len(list(read_pairs("v1.2", "nl", "en"))) == len(TEXTS)


@pytest.mark.parametrize("content", [b"good\nbad \xff\n", b"good\r\nbad \xff"])
def test_strict_reading_names_the_line_that_is_not_utf8(content: bytes) -> None:
    Path("a.nl").write_bytes(content)
    with pytest.raises(NmtError, match=r"^a.nl:2: not valid UTF-8, got byte 0xff at position 5; convert the file to UTF-8"):
        list(read_lines(Path("a.nl")))


def test_only_one_carriage_return_belongs_to_the_line_end() -> None:
    assert list(decode_lines([b"a\r\r\n", b"b\rc\n", b"\r\n"], "x")) == ["a\r", "b\rc", ""]


def test_a_stream_is_named_in_its_errors() -> None:
    with pytest.raises(NmtError, match=r"^standard input:1: not valid UTF-8"):
        list(decode_lines([b"\xc3\n"], "standard input"))


def test_a_damaged_gzip_file_is_refused() -> None:
    Path("a.gz").write_bytes(gzip.compress(str(list(range(1000))).encode())[:-30])
    Path("b.gz").write_bytes(b"not gzip")
    for name in ("a.gz", "b.gz"):
        with pytest.raises(NmtError, match=rf"^{name}: cannot be read to its end \(.*\); is the file damaged\?"):
            list(read_lines(Path(name)))


def test_missing_files_are_named() -> None:
    write("a.nl", ["een"])
    with pytest.raises(
        NmtError, match=r"^a: found neither a.en nor a.en.gz; give a prefix, a .tsv, .jsonl or .parquet file, hf://NAME, or a"
    ):
        list(read_pairs("a", "nl", "en"))
    with pytest.raises(NmtError, match=r"^b.tsv: no such file; check the path"):
        list(read_pairs("b.tsv", "nl", "en"))
    with pytest.raises(NmtError, match=r"^b.nl: cannot be opened \(No such file or directory\); check the path"):
        list(read_lines(Path("b.nl")))


@pytest.mark.parametrize("name", ["a.tsv", "a.jsonl"])
def test_an_empty_file_is_refused(name: str) -> None:
    write(name, [])
    with pytest.raises(NmtError, match=rf"^{name}: no pairs in it; check the file"):
        list(read_pairs(name, "nl", "en"))


@pytest.mark.parametrize(
    ("lines", "expected"), [(["a\tb", "a"], "2: expected 2 columns, got 1"), (["nl\ten\tid", "a\tb"], "2: expected 3 columns, got 2")]
)
def test_a_table_with_a_short_line_is_refused(lines: list[str], expected: str) -> None:
    write("a.tsv", lines)
    with pytest.raises(NmtError, match=rf"^a.tsv:{expected}; name the columns in a first line, with 'nl' and 'en' among them"):
        list(read_pairs("a.tsv", "nl", "en"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", r"not JSON \(.*\); write one object a line"),
        ("[" * 100_000, r"not JSON \(.*\); write one object a line"),
        ("[1]", r"expected an object with 'nl' and 'en', got '\[1\]'"),
        ('{"nl": "een", "eng": "one"}', r"no key 'en'; found 'nl', 'eng'"),
        ('{"translation": {}}', r"no key 'nl'; found none"),
        ('{"nl": "een", "en": 1}', r"'en' must be a string, got 1"),
    ],
)
def test_a_malformed_record_is_refused(line: str, expected: str) -> None:
    write("a.jsonl", ['{"nl": "een", "en": "one"}', line])
    with pytest.raises(NmtError, match=rf"^a.jsonl:2: {expected}"):
        list(read_pairs("a.jsonl", "nl", "en"))


def test_a_data_set_without_the_languages_is_refused() -> None:
    datasets.Dataset.from_dict({"nl": ["een"], "eng": ["one"]}).save_to_disk("saved")
    parquet([{"nl": "een", "eng": "one"}])
    for name in ("hf://saved", "a.parquet"):
        with pytest.raises(NmtError, match=rf"^{name}: no column 'translation' and no columns 'nl' and 'en'; found 'nl', 'eng'"):
            list(read_pairs(name, "nl", "en"))


def test_null_is_a_blank_side() -> None:
    write("a.jsonl", ['{"nl": "een", "en": null}'])
    assert list(read_pairs("a.jsonl", "nl", "en")) == [Pair("een", "", "a.jsonl:1")]


def test_a_damaged_parquet_file_is_refused() -> None:
    write("a.parquet", ["not parquet"])
    with pytest.raises(NmtError, match=r"^a.parquet: not a parquet file of text \(.*\); is it damaged\?"):
        list(read_pairs("a.parquet", "nl", "en"))


def test_a_slice_of_a_split_is_read_although_it_cannot_be_streamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
    with pytest.raises(NmtError, match=r"^hf://owner/name:de-en: cannot load the data set \(no route\); check its name, split and access"):
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
    assert [(pair.source, pair.target) for pair in read_pairs("hf://owner/files", "nl", "en")] == TEXTS


@pytest.mark.parametrize(("message", "reason"), [("connection lost\nat row 3", "connection lost"), ("", "ConnectionError")])
def test_a_stream_that_breaks_off_is_refused_after_what_it_gave(monkeypatch: pytest.MonkeyPatch, message: str, reason: str) -> None:
    def rows() -> Iterator[dict[str, object]]:
        yield from flat()[:3]
        raise ConnectionError(message)

    monkeypatch.setattr(records, "ROWS", 1)
    monkeypatch.setattr(datasets, "load_dataset", lambda *arguments, **rest: datasets.IterableDataset.from_generator(rows))
    given = read_pairs("hf://owner/name", "nl", "en")
    assert [next(given)[:2] for _ in range(3)] == TEXTS[:3]
    with pytest.raises(NmtError, match=rf"^hf://owner/name: cannot be read to its end \({reason}\); run the same command again"):
        next(given)


def test_parallel_text_for_evaluation_keeps_every_line() -> None:
    write_prefix("a")
    assert read_parallel("a", "nl", "en") == ([source for source, _ in TEXTS], [target for _, target in TEXTS])


@pytest.mark.parametrize(
    ("text", "expected"), [(r"a\ud83d", "not valid UTF-8, got"), (r"a\nb", r"a line break within a sentence, got 'a\\nb'")]
)
def test_parallel_text_for_evaluation_is_strict(text: str, expected: str) -> None:
    write("a.jsonl", [f'{{"nl": "{text}", "en": "x"}}'])
    with pytest.raises(NmtError, match=rf"^a.jsonl:1: {expected}"):
        read_parallel("a.jsonl", "nl", "en")


def test_a_fingerprint_is_that_of_the_text() -> None:
    write_prefix("a")
    write_prefix("b")
    first = fingerprint("a", "nl", "en")
    assert fingerprint("b", "nl", "en") == first != fingerprint("a", "en", "nl")
    write("a.en", ["other"])
    assert fingerprint("a", "nl", "en") != first
    assert fingerprint("hf://x", "nl", "en") != fingerprint("hf://y", "nl", "en")


def card(**changes: str) -> None:
    Path("corpus").mkdir(exist_ok=True)
    keys = {"name": '"c"', "languages": '["nl", "en"]', "licence": '"x"', "origin": '"y"', "splits": '{train = ["a", "b"], dev = "a"}'}
    Path("corpus/corpus.toml").write_text("".join(f"{key} = {value}\n" for key, value in (keys | changes).items() if value))


def test_a_corpus_folder_names_the_files_of_its_splits() -> None:
    card()
    write_prefix("corpus/a")
    write_prefix("corpus/b", ".gz")
    assert [pair.target for pair in read_pairs("corpus", "nl", "en")] == [target for _, target in TEXTS] * 2
    assert (
        list(read_pairs("corpus", "nl", "en", split="dev"))
        == list(read_pairs("corpus#dev", "nl", "en"))
        == list(read_pairs("corpus/a", "nl", "en"))
    )
    assert fingerprint("corpus", "nl", "en") != fingerprint("corpus#dev", "nl", "en")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "{"}, "corpus.toml: not TOML"),
        ({"obtian": '"x"'}, "corpus.toml: unknown key 'obtian'; known are name, languages, licence, origin, obtain, splits"),
        ({"name": ""}, "corpus.toml: name must be a str, got None"),
        ({"languages": "[]"}, r"corpus.toml: languages must be a string or a list of strings, got \[\]"),
        ({"splits": "{train = 3}"}, "corpus.toml: splits.train must be a string or a list of strings, got 3"),
        ({"languages": '["fy", "en"]'}, "corpus.toml: no language 'nl'; c has fy, en"),
        ({"splits": '{test = "a"}'}, "corpus.toml: no split 'train'; known are test"),
        ({"obtain": '"ask them"'}, "a: this part of c is not here; ask them"),
        ({}, "a: found neither corpus/a.nl nor corpus/a.nl.gz"),
    ],
)
def test_a_wrong_card_is_refused(changes: dict[str, str], expected: str) -> None:
    card(**changes)
    with pytest.raises(NmtError, match=rf"^corpus/{expected}"):
        list(read_pairs("corpus", "nl", "en"))


def test_a_folder_without_a_card_is_refused() -> None:
    Path("corpus").mkdir()
    with pytest.raises(NmtError, match=r"^corpus: a folder without corpus.toml; give the prefix of its files, such as corpus/train"):
        list(read_pairs("corpus", "nl", "en"))
