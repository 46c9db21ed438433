"""Readers: every format gives the same pairs, every line keeps its place, nothing is shifted or
dropped without a word."""

import gzip
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from corpus_files import FORMATS, TEXTS, empty_folder, tmx, unit, write, write_prefix
from hypothesis import given, settings
from hypothesis import strategies as st

import nmt
from nmt.errors import NmtError
from nmt.text.corpus import Pair, fingerprint, read_lines, read_pairs, read_parallel
from nmt.text.lines import decode_lines

LINES = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r")),
    min_size=1,
    max_size=8,
)
in_empty_folder = pytest.fixture(autouse=True)(empty_folder)


@pytest.mark.parametrize("specification", FORMATS)
def test_every_format_gives_the_same_pairs(specification: str) -> None:
    FORMATS[specification]()
    assert [(pair.source, pair.target) for pair in read_pairs(specification, "nl", "en")] == TEXTS
    assert [
        (pair.target, pair.source) for pair in read_pairs(specification, "en", "nl")
    ] == TEXTS or specification in (
        "a.tsv",
        "words.tsv",
    )


@pytest.mark.parametrize(
    ("specification", "where"),
    [
        ("plain", "plain.nl:5"),
        ("packed", "packed.nl.gz:5"),
        ("named.tsv.gz", "named.tsv.gz:6"),
        ("a.csv", "a.csv:6"),
        ("a.tmx", "a.tmx:8"),
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
@given(
    sources=LINES, ending=st.sampled_from(["\n", "\r\n"]), packed=st.booleans(), last=st.booleans()
)
def test_lines_keep_their_number_and_text(
    sources: list[str], ending: str, packed: bool, last: bool
) -> None:
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
        texts = [
            pair.source.encode(errors="surrogateescape")
            for pair in read_pairs(f"{folder}/a", "nl", "en")
        ]
    assert texts == [b"first", *(line.removesuffix(b"\r") for line in expected)]


@settings(deadline=None)
@given(lengths=st.tuples(st.integers(0, 5), st.integers(0, 5)))
def test_files_of_different_length_are_refused_at_the_first_line_without_a_partner(
    lengths: tuple[int, int],
) -> None:
    with TemporaryDirectory() as folder:
        for language, length in zip(("nl", "en"), lengths, strict=True):
            Path(folder, f"a.{language}").write_text("x\n" * length)
        shorter, longer = sorted(lengths)
        if shorter == longer:
            expected = r"/a: no pairs in it; check the file" if not longer else ""
        else:
            names = ("nl", "en") if lengths[0] > lengths[1] else ("en", "nl")
            expected = (
                rf"/a\.{names[0]}:{shorter + 1}: no partner, .*/a\.{names[1]} ends at line"
                rf" {shorter}; line n of one must translate"
            )
        if expected:
            with pytest.raises(NmtError, match=expected):
                list(read_pairs(f"{folder}/a", "nl", "en"))
        else:
            assert len(list(read_pairs(f"{folder}/a", "nl", "en"))) == longer


def test_reading_plain_text_loads_no_large_library() -> None:
    code = (
        "import sys, nmt.text.clean; print(*{'torch', 'numpy', 'datasets', 'pyarrow',"
        " 'sentencepiece'} & set(sys.modules))"
    )
    root = Path(nmt.__file__).parent.parent
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()
        == ""
    )


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
    with pytest.raises(
        NmtError,
        match=r"^a.nl:2: not valid UTF-8, got byte 0xff at position 5; convert the file to UTF-8",
    ):
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
        with pytest.raises(
            NmtError, match=rf"^{name}: cannot be read to its end \(.*\); is the file damaged\?"
        ):
            list(read_lines(Path(name)))


def test_missing_files_are_named() -> None:
    write("a.nl", ["een"])
    with pytest.raises(
        NmtError,
        match=(
            r"^a: found neither a.en nor a.en.gz; give a prefix, a .tsv, .csv, .jsonl, .tmx or"
            r" .parquet file, hf://NAME"
        ),
    ):
        list(read_pairs("a", "nl", "en"))
    with pytest.raises(NmtError, match=r"^b.tsv: no such file; check the path"):
        list(read_pairs("b.tsv", "nl", "en"))
    with pytest.raises(
        NmtError, match=r"^b.nl: cannot be opened \(No such file or directory\); check the path"
    ):
        list(read_lines(Path("b.nl")))


@pytest.mark.parametrize("name", ["a.tsv", "a.jsonl"])
def test_an_empty_file_is_refused(name: str) -> None:
    write(name, [])
    with pytest.raises(NmtError, match=rf"^{name}: no pairs in it; check the file"):
        list(read_pairs(name, "nl", "en"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["a\tb", "a"], "2: expected 2 columns, got 1"),
        (["nl\ten\tid", "a\tb"], "2: expected 3 columns, got 2"),
    ],
)
def test_a_table_with_a_short_line_is_refused(lines: list[str], expected: str) -> None:
    write("a.tsv", lines)
    with pytest.raises(
        NmtError,
        match=(
            rf"^a.tsv:{expected}; name the columns in a first line, with 'nl' and 'en' among them"
        ),
    ):
        list(read_pairs("a.tsv", "nl", "en"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", r"not JSON \(.*\); write one object a line"),
        ("[" * 100_000, r"not JSON \(.*\); write one object a line"),
        ('{"nl": ' + "1" * 6000 + "}", r"not JSON \(.*\); write one object a line"),
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


def test_null_is_a_blank_side() -> None:
    write("a.jsonl", ['{"nl": "een", "en": null}'])
    assert list(read_pairs("a.jsonl", "nl", "en")) == [Pair("een", "", "a.jsonl:1")]


def test_a_damaged_parquet_file_is_refused() -> None:
    write("a.parquet", ["not parquet"])
    with pytest.raises(
        NmtError, match=r"^a.parquet: not a parquet file of text \(.*\); is it damaged\?"
    ):
        list(read_pairs("a.parquet", "nl", "en"))


def test_parallel_text_for_evaluation_keeps_every_line() -> None:
    write_prefix("a")
    assert read_parallel("a", "nl", "en") == (
        [source for source, _ in TEXTS],
        [target for _, target in TEXTS],
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"a\ud83d", "not valid UTF-8, got"),
        (r"a\nb", r"a line break within a sentence, got 'a\\nb'"),
    ],
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


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "één\n".encode("utf-16"),
            (
                r"looks like UTF-16: it begins with the byte order mark ff fe; .*iconv -f UTF-16 -t"
                r" UTF-8 a.nl > NEW"
            ),
        ),
        (
            "een\n".encode("utf-16-le"),
            (
                r"looks like UTF-16LE: 4 of its first 8 bytes are zero; .*iconv -f UTF-16LE -t"
                r" UTF-8 a.nl > NEW"
            ),
        ),
        (
            "een\n".encode("utf-16-be"),
            r"looks like UTF-16BE: 4 of its first 8 bytes are zero; .*iconv -f UTF-16BE",
        ),
        (
            "een\n".encode("utf-32"),
            r"looks like UTF-32: it begins with the byte order mark ff fe 00 00",
        ),
        (
            b"een\rtwee\rdrie\r",
            r"its lines end with carriage returns alone; convert it: tr '\\r' '\\n' < a.nl > NEW",
        ),
        (b"\x28\xb5\x2f\xfd\0", r"a zstd archive, not plain text; unpack it first: zstd -d a.nl"),
        (
            b"PK\x03\x04",
            r"a zip archive \(or an office document\), not plain text; unpack it first: unzip a.nl",
        ),
        (
            gzip.compress(b"een\n", mtime=0),
            r"packed with gzip, not plain text; give it a name that ends in .gz",
        ),
    ],
)
def test_what_is_no_utf8_text_is_named_with_its_cure(content: bytes, expected: str) -> None:
    Path("a.nl").write_bytes(content)
    write("a.en", ["one"])
    for read in (lambda: list(read_lines(Path("a.nl"))), lambda: list(read_pairs("a", "nl", "en"))):
        with pytest.raises(NmtError, match=rf"^a.nl: {expected}"):
            read()


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nmt.text.lines.LONGEST_LINE", 1 << 10)
    write("a.gz", ["x" * 1023, "y" * 2048])  # with its line feed the first one fits
    lines = read_lines(Path("a.gz"))
    assert next(lines) == "x" * 1023
    with pytest.raises(NmtError, match=r"^a.gz:2: the line is too long; a line may have \d+ MiB"):
        next(lines)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.nl.zst", "a.nl.zst is there: unpack or rename it"),
        ("a", "a is a file of another format: give"),
    ],
)
def test_a_file_that_is_not_read_is_named(name: str, advice: str) -> None:
    write(name, ["x"])
    with pytest.raises(NmtError, match=rf"^a: found neither a.nl nor a.nl.gz; {advice}"):
        list(read_pairs("a", "nl", "en"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['"een,one'], r"1: not CSV \(unexpected end of data\); put a sentence with commas"),
        (
            ["een,one", "een, twee,one"],
            r"2: expected 2 columns, got 3; name the columns in a first line.* in quotes",
        ),
        (["een,one", '"twee" x,two'], r"2: not CSV \(',' expected after '\"'\)"),
        (["x" * (1 << 18) + ",y"], r"1: not CSV \(field larger than field limit"),
    ],
)
def test_malformed_csv_is_refused(lines: list[str], expected: str) -> None:
    write("a.csv", lines)
    with pytest.raises(NmtError, match=rf"^a.csv:{expected}"):
        list(read_pairs("a.csv", "nl", "en"))


def test_a_csv_record_over_two_lines_is_one_pair_of_the_line_where_it_begins() -> None:
    write("a.csv", ["nl,en", "een,one", '"twee', 'drie",two', "vier,four"])
    assert [pair.where for pair in read_pairs("a.csv", "nl", "en")] == [
        "a.csv:2",
        "a.csv:3",
        "a.csv:5",
    ]


def test_the_codes_of_a_segments_format_are_no_text_and_a_missing_side_is_blank() -> None:
    marked = '<tuv xml:lang="nl"><seg>een <bpt i="1">{\\b </bpt><hi>vette</hi>\n  hond</seg></tuv>'
    write("a.tmx", tmx([marked, unit("twee", "two")]))
    assert [(pair.source, pair.target) for pair in read_pairs("a.tmx", "nl", "en")] == [
        ("een vette hond", ""),
        ("twee", "two"),
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (tmx([unit("een", "one")])[:-1], r"5: not XML \(no element found\); is the file damaged\?"),
        (
            tmx(["&lol;"], '<!DOCTYPE tmx [<!ENTITY lol "lol">]>'),
            r"2: the file defines an entity, 'lol', which nmt does not read",
        ),
    ],
)
def test_a_damaged_or_dangerous_translation_memory_is_refused(
    lines: list[str], expected: str
) -> None:
    write("a.tmx", lines)
    with pytest.raises(NmtError, match=rf"^a.tmx:{expected}"):
        list(read_pairs("a.tmx", "nl", "en"))


def test_a_segment_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.text.tmx.LONGEST_LINE", 10)
    write("a.tmx", tmx([unit("een", "eleven letters")]))
    with pytest.raises(NmtError, match=r"^a.tmx:4: a segment of more than 10 characters"):
        list(read_pairs("a.tmx", "nl", "en"))


def test_a_packed_file_that_is_cut_off_is_named() -> None:
    for name in ("a.xz", "a.bz2"):
        write(name, [str(number) for number in range(5000)])
        Path(name).write_bytes(Path(name).read_bytes()[:-30])
        with pytest.raises(
            NmtError, match=rf"^{name}: cannot be read to its end \(.*\); is the file damaged\?"
        ):
            list(read_lines(Path(name)))


def test_two_files_of_any_name_are_a_corpus_and_have_the_hash_of_the_same_text_as_a_prefix() -> (
    None
):
    write_prefix("plain")
    for language, name in (("nl", "left.txt"), ("en", "right")):
        Path(name).write_bytes(Path(f"plain.{language}").read_bytes())
    pairs = [pair[:2] for pair in read_pairs("left.txt|right", "nl", "en")]
    assert pairs == [pair[:2] for pair in read_pairs("plain", "nl", "en")] == TEXTS
    assert next(read_pairs("left.txt|right", "nl", "en")).where == "left.txt:1"
    assert fingerprint("left.txt|right", "nl", "en") == fingerprint("./plain", "nl", "en")


@pytest.mark.parametrize(
    ("name", "missing"),
    [("plain.nl|none", "none"), ("none|plain.en", "none"), ("plain.nl|plain.en|x", "plain.nl")],
)
def test_two_files_of_which_one_is_missing_are_named(name: str, missing: str) -> None:
    write_prefix("plain")
    with pytest.raises(
        NmtError,
        match=(
            rf"{missing} is no file; name two, the source's and the target's, as in text.nl.text.en"
        ),
    ):
        next(read_pairs(name, "nl", "en"))
