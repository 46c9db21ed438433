"""The line contract: N lines in are N lines out, whatever their bytes."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.errors import NmtError
from nmt.text.lines import Line, LineWriter, chunks, clean_lines, dump_json, json_lines, open_writer

LINE_BYTES = st.binary(max_size=30).filter(lambda content: b"\n" not in content)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda child: st.lists(child, max_size=2),
)


def cleaned(content: bytes) -> tuple[list[str], list[str]]:
    warnings: list[str] = []
    return [
        line.text for line in clean_lines(io.BytesIO(content), "in.txt", warnings.append)
    ], warnings


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\n", ["a"]),
        ("a\u2028b\u2029c\u0085d\n".encode(), ["a\u2028b\u2029c\u0085d"]),
        (b"a\tb \n", ["a\tb "]),
    ],
)
def test_only_line_feeds_separate_lines(content: bytes, lines: list[str]) -> None:
    assert cleaned(content) == (lines, [])


@pytest.mark.parametrize(
    ("content", "line", "warning"),
    [
        (b"caf\xe9", "caf\ufffd", "in.txt:2: invalid UTF-8; the bytes became U+FFFD"),
        (b"a\0b", "a b", "in.txt:2: control character U+0000; all of them became spaces"),
        (
            b"a\rb\x0b\x0c\x1c",
            "a b   ",
            "in.txt:2: control character U+000D; all of them became spaces",
        ),
        (b"a\x7fb", "a b", "in.txt:2: control character U+007F; all of them became spaces"),
    ],
)
def test_what_is_no_text_is_replaced_and_reported(content: bytes, line: str, warning: str) -> None:
    assert cleaned(b"x\n" + content + b"\ny\n") == (["x", line, "y"], [warning])


@given(st.lists(LINE_BYTES, max_size=8))
def test_any_bytes_keep_their_line(lines: list[bytes]) -> None:
    texts, warnings = cleaned(b"".join(line + b"\n" for line in lines))
    assert len(texts) == len(lines)
    assert not any(
        (character < " " or character == "\x7f") and character != "\t"
        for text in texts
        for character in text
    )
    assert {warning.split(":")[1] for warning in warnings} <= {
        str(number) for number in range(1, len(lines) + 1)
    }
    for text in texts:
        text.encode()


@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs"))), max_size=8))
def test_clean_text_passes_unchanged(lines: list[str]) -> None:
    texts, warnings = cleaned("".join(f"{line}\n" for line in ["", *lines]).encode())
    assert (texts, warnings) == (["", *lines], [])


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)))), st.integers(1, 4))
def test_written_lines_are_counted_lines(lines: list[str], size: int) -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    for start in range(0, len(lines), size):
        writer.write(lines[start : start + size])
    assert stream.getvalue().count(b"\n") == len(lines) == writer.count
    assert len(stream.getvalue()) == writer.size


@given(
    st.text(st.characters()),
    st.dictionaries(
        st.text(st.characters()).filter(lambda key: key not in ("text", "prefix")),
        JSON_VALUES,
        max_size=3,
    ),
)
def test_json_objects_keep_their_other_keys(text: str, others: dict[str, object]) -> None:
    content = (json.dumps({"text": text, **others}) + "\n\n").encode()
    line, blank = json_lines(io.BytesIO(content), "in.jsonl", lambda message: None)
    assert blank == Line("")
    assert line.fields == {"text": text, **others}
    written = dump_json(line.fields)
    assert "\n" not in written
    assert json.loads(written.encode()) == line.fields
    line.text.encode()


def test_a_json_object_may_force_a_prefix() -> None:
    warnings: list[str] = []
    content = b'{"text": "a", "prefix": "b\\tc\\u0000"}\n{"text": "a"}\n'
    assert [
        line.prefix for line in json_lines(io.BytesIO(content), "in.jsonl", warnings.append)
    ] == ["b\tc ", ""]
    assert warnings == ["in.jsonl:1: control character U+0000; all of them became spaces"]


def test_json_text_is_cleaned_as_plain_text_is() -> None:
    warnings: list[str] = []
    content = b'{"text": "a\\fb\\r\\nc"}\n{"text": "c\\ud800"}\n'
    assert [line.text for line in json_lines(io.BytesIO(content), "in.jsonl", warnings.append)] == [
        "a b\nc",
        "c\ufffd",
    ]
    assert warnings == [
        "in.jsonl:1: control character U+000C; all of them became spaces",
        "in.jsonl:2: half a surrogate pair; it became U+FFFD",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'{"text": "a"}\nplain\n',
            r"^in.jsonl:2: not JSON \(.*\); use --format text for plain text$",
        ),
        (b"[" * 100_000, r"^in.jsonl:1: not JSON"),
        (
            b'["text"]\n',
            r"""^in.jsonl:1: not a JSON object with a string "text", got \["text"\]$""",
        ),
        (
            b'{"text": "a", "prefix": ["b"]}\n',
            r"""^in.jsonl:1: "prefix" must be a string, got \["b"\]; leave it out""",
        ),
        (
            b'{"text": 3}\n',
            r"""^in.jsonl:1: not a JSON object with a string "text", got \{"text": 3\}$""",
        ),
    ],
)
def test_lines_that_are_no_json_objects_are_named(content: bytes, message: str) -> None:
    with pytest.raises(NmtError, match=message):
        list(json_lines(io.BytesIO(content), "in.jsonl", lambda warning: None))


def test_chunks_keep_the_order() -> None:
    lines = list(clean_lines(io.BytesIO(b"a\nb\nc\n"), "in.txt", lambda warning: None))
    assert [[line.text for line in chunk] for chunk in chunks(lines, 2)] == [["a", "b"], ["c"]]


def test_chunks_read_no_further_than_they_must() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"a\n"

    assert len(next(chunks(clean_lines(endless(), "in.txt", lambda warning: None), 3))) == 3


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with open_writer(tmp_path / "out.txt") as writer:
        writer.write(["a", "b"])
        assert not (tmp_path / "out.txt").exists()
    assert (tmp_path / "out.txt").read_bytes() == b"a\nb\n"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_an_interrupted_file_keeps_whole_lines_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("old")

    def interrupted() -> None:
        with open_writer(tmp_path / "out.txt") as writer:
            writer.write(["a", "b"])
            writer._stream.write(b"half a li")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "out.txt").read_text() == "old"
    assert (tmp_path / "out.txt.partial").read_bytes() == b"a\nb\n"


def test_a_failure_before_the_first_line_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NmtError, match="early"), open_writer(tmp_path / "out.txt"):
        raise NmtError("early")
    assert os.listdir(tmp_path) == []


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    with open_writer(tmp_path / "link") as writer:
        writer.write(["a"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "a\n"
    (tmp_path / "null").symlink_to(os.devnull)
    with open_writer(tmp_path / "null") as writer:
        writer.write(["a"])
    assert Path(os.devnull).is_char_device()


def test_dev_stdout_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("kept\n", encoding="utf-8")
    code = (
        "from pathlib import Path; from nmt.text.lines import open_writer\nwith"
        " open_writer(Path('/dev/stdout')) as out: out.write(['new'])"
    )
    with log.open("a") as stream:
        subprocess.run([sys.executable, "-c", code], stdout=stream, check=True)
    assert log.read_text(encoding="utf-8") == "kept\nnew\n"
