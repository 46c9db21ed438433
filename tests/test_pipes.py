"""A pipe that is kept open is answered, each line once, whatever pieces it comes in."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import untrained_translator
from hypothesis import given
from hypothesis import strategies as st

from nmt.commands.translate import is_pipe
from nmt.engines.packed.layers import Kernels
from nmt.engines.packed.network import PackedNetwork
from nmt.engines.plain import PlainNetwork
from nmt.text.lines import CHUNK_LINES, Line
from nmt.translation.job import numbered_chunks
from nmt.translation.pipes import PipeLines

ROOT = Path(__file__).parent.parent


def written(*contents: bytes) -> PipeLines:
    """A pipe into which all this has been written, and that is closed."""
    ours, theirs = os.pipe()
    for content in contents:
        os.write(theirs, content)
    os.close(theirs)
    return PipeLines(ours)


@given(st.lists(st.sampled_from([b"a", b"\n", b"bc\n", b"\n\nd", b"\r\n"]), max_size=12))
def test_the_lines_of_a_pipe_are_those_of_a_file(contents: list[bytes]) -> None:
    pipe = written(*contents)
    assert list(pipe) == io.BytesIO(b"".join(contents)).readlines()
    os.close(pipe.descriptor)


def test_a_line_that_comes_in_pieces_is_one_line() -> None:
    ours, theirs = os.pipe()
    pipe = PipeLines(ours)
    os.write(theirs, b"a")
    assert not pipe.is_ready()
    os.write(theirs, b"b\nc")
    assert pipe.is_ready()
    assert next(pipe) == b"ab\n"
    assert not pipe.is_ready()
    os.close(theirs)
    assert pipe.is_ready()  # with the end
    assert list(pipe) == [b"c"]
    os.close(ours)


def test_chunks_end_where_the_input_pauses() -> None:
    ready = iter([True, False, True, True, True, True, True, False])
    lines = [Line(text) for text in "abcdefg"]
    found = [
        (first, "".join(line.text for line in chunk), paused)
        for first, chunk, paused in numbered_chunks(lines, 3, 7, lambda: next(ready))
    ]
    assert found == [(7, "ab", True), (9, "cde", False), (12, "fg", False)]


def test_regular_files_are_no_pipes(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"a\n")
    with (tmp_path / "in").open("rb") as stream:
        assert not is_pipe(stream)
    assert not is_pipe(io.BytesIO(b"a\n"))


def test_chunks_keep_their_size_where_neighbours_change_a_rounding() -> None:
    model = untrained_translator().network.models[0]
    found = [
        PackedNetwork(model, Kernels(precision=precision)).independent
        for precision in ("fp32", "bf16", "int8")
    ]
    assert found == [True, False, False]
    assert [PlainNetwork(model, name).independent for name in ("fp32", "bf16")] == [True, False]


@pytest.fixture
def talking(model: str, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        model,
        "--precision",
        "fp32",
        "--device",
        "cpu",
        *request.param,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        guard = threading.Timer(120, process.kill)
        guard.start()
        yield process
        guard.cancel()
        process.kill()


FORMS = [
    ["--workers", "2"],
    ["--interactive", "--format", "jsonl"],
    ["--interactive", "--n-best", "2", "--beam", "2"],
]


@pytest.mark.parametrize("talking", FORMS, indirect=True, ids=" ".join)
def test_each_line_that_is_written_into_an_open_pipe_is_answered(
    talking: subprocess.Popen[bytes], request: pytest.FixtureRequest
) -> None:
    options = request.node.callspec.params["talking"]
    assert talking.stdin
    assert talking.stdout
    for number, text in enumerate(["de kat", "", "de hond"]):
        line = json.dumps({"text": text}) if "jsonl" in options else text
        talking.stdin.write(line.encode() + b"\n")
        talking.stdin.flush()
        answer = talking.stdout.readline()
        assert answer.endswith(b"\n")
        if "--n-best" in options:
            assert answer.startswith(b"%d ||| " % number)
            if text:
                talking.stdout.readline()
        elif "jsonl" in options:
            assert (json.loads(answer)["translation"] == "") == (text == "")
        else:
            assert (answer == b"\n") == (text == "")
    assert talking.communicate(timeout=60) == (b"", b"")
    assert talking.returncode == 0


@pytest.mark.slow
def test_a_pipe_in_chunks_gives_what_a_file_gives(model: str, tmp_path: Path) -> None:
    lines = [f"de kat {'op ' * (number % 4)}\n" for number in range(CHUNK_LINES + 500)]
    (tmp_path / "in").write_text("".join(lines))
    command = [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        model,
        "--precision",
        "fp32",
        "--device",
        "cpu",
        "--beam",
        "1",
        "--workers",
        "2",
    ]
    whole = subprocess.run(
        [*command, "-i", str(tmp_path / "in")], capture_output=True, check=True, cwd=ROOT
    )
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("".join(lines[:3]).encode())
        process.stdin.flush()
        first = [process.stdout.readline() for _ in range(3)]
        rest, _ = process.communicate("".join(lines[3:]).encode(), timeout=120)
    assert b"".join(first) + rest == whole.stdout
    assert process.returncode == 0
