"""Shards are parts of the whole: put together they are what one run over everything gives."""

import gzip
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import untrained_run
from hypothesis import given
from hypothesis import strategies as st

from nmt.commands.main import main
from nmt.errors import NmtError
from nmt.text.lines import CHUNK_LINES
from nmt.translation.shards import Shard, count_lines, shard_bounds, shard_path, torchrun_shard

ROOT = Path(__file__).parent.parent
CONTENT = (
    b"\xef\xbb\xbfde kat\n\nde hond \xff\na\rb\n"
    + "🙂 mat\u2028\n".encode()
    + b"de hond " * 60
    + b"\nslaapt"
)  # 7 lines


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return untrained_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").write_bytes(CONTENT)
    return tmp_path / "in"


@given(st.integers(0, 50 * CHUNK_LINES), st.integers(1, 40))
def test_shards_partition_the_lines(lines: int, parts: int) -> None:
    bounds = [shard_bounds(lines, Shard(number, parts)) for number in range(1, parts + 1)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == lines
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    sizes = [stop - start for start, stop in bounds]
    assert min(sizes) >= 0
    assert max(sizes) - min(sizes) < 2 * CHUNK_LINES


@given(st.integers(1, 40), st.integers(0, 10 * CHUNK_LINES))
def test_shards_of_long_inputs_are_whole_chunks(parts: int, more: int) -> None:
    for number in range(1, parts + 1):
        assert shard_bounds(parts * CHUNK_LINES + more, Shard(number, parts))[0] % CHUNK_LINES == 0


@given(st.integers(1, 40), st.data())
def test_shards_of_short_inputs_differ_by_a_line_at_most(parts: int, data: st.DataObject) -> None:
    lines = data.draw(st.integers(0, parts * CHUNK_LINES - 1))
    sizes = [
        stop - start
        for start, stop in (
            shard_bounds(lines, Shard(number, parts)) for number in range(1, parts + 1)
        )
    ]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 1200))
def test_the_names_of_shards_sort_as_their_lines_do(parts: int) -> None:
    names = [shard_path(Path("out"), Shard(number, parts)).name for number in range(1, parts + 1)]
    assert names == sorted(names)


def test_the_name_of_a_shard_is_the_documented_one() -> None:
    assert shard_path(Path("here/text.en"), Shard(3, 16)) == Path("here/text.en.shard-03-of-16")


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"\0", b"\xff", b"\xc3\xa9"])).map(b"".join))
def test_a_last_line_without_its_end_counts(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("count") / "in.gz"
    path.write_bytes(gzip.compress(content))
    assert count_lines(path) == content.count(b"\n") + bool(content) - content.endswith(b"\n")


def test_a_damaged_file_is_not_cut(tmp_path: Path) -> None:
    (tmp_path / "in.gz").write_bytes(gzip.compress(b"a\n" * 1000)[:20])
    with pytest.raises(NmtError, match=r"in\.gz: cannot be read to its end"):
        count_lines(tmp_path / "in.gz")


def translate(model: str, source: Path, output: Path, *arguments: str) -> bytes:
    options = ["--precision", "fp32", "--device", "cpu", "--workers", "1"]
    assert (
        main(["translate", model, "-i", str(source), "-o", str(output), *options, *arguments]) == 0
    )
    return output.read_bytes()


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 11])
def test_the_outputs_of_shards_are_the_output_of_the_whole(
    parts: int, model: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = translate(model, source, tmp_path / "whole")
    said = capsys.readouterr().err
    assert "in:3: invalid UTF-8" in said
    assert "in:6: longer than any line" in said
    pieces = [
        translate(model, source, tmp_path / "part", "--shard", f"{number}/{parts}")
        for number in range(1, parts + 1)
    ]
    assert b"".join(pieces) == whole
    assert sorted(capsys.readouterr().err.splitlines()) == sorted(said.splitlines())
    assert sum(piece == b"" for piece in pieces) == max(0, parts - 7)


def test_the_numbers_of_an_n_best_list_are_those_of_the_whole(
    model: str, source: Path, tmp_path: Path
) -> None:
    second = translate(model, source, tmp_path / "second", "--shard", "2/2", "--n-best", "2")
    assert [line.split(b" ||| ")[0] for line in second.split(b"\n")] == [
        b"3",
        b"3",
        b"4",
        b"4",
        b"5",
        b"5",
        b"6",
        b"6",
        b"",
    ]


def test_a_compressed_file_has_the_same_shards(model: str, source: Path, tmp_path: Path) -> None:
    packed = tmp_path / "in.gz"
    packed.write_bytes(gzip.compress(CONTENT))
    for shard in ("1/2", "2/2"):
        plain = translate(model, source, tmp_path / "plain", "--shard", shard)
        assert translate(model, packed, tmp_path / "packed", "--shard", shard) == plain


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        main(["translate", *arguments])
    assert exit_info.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "shard", ["0/4", "5/4", "x", "1", "1/0", "-1/2", "1/2/3", "1.0/2", "", "1/2\n"]
)
def test_what_is_no_shard_is_refused(shard: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "must be i/n, from 1/n to n/n, got " in refusal(
        capsys, "m", "-i", "in", f"--shard={shard}"
    )


def test_a_shard_of_what_cannot_be_read_twice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--shard needs -i FILE" in refusal(capsys, "m", "--shard", "1/2")
    os.mkfifo(tmp_path / "pipe")
    assert "a file that can be read twice, got" in refusal(
        capsys, "m", "--shard", "1/2", "-i", str(tmp_path / "pipe")
    )


RANKS = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}


def test_torchrun_is_told_by_its_variables() -> None:
    assert torchrun_shard(RANKS) == Shard(1, 2)
    assert torchrun_shard(RANKS | {"RANK": "11", "WORLD_SIZE": "12"}) == Shard(12, 12)
    for other in (
        {},
        RANKS | {"WORLD_SIZE": "1"},
        RANKS | {"RANK": "x"},
        {"RANK": "0", "WORLD_SIZE": "2"},
    ):
        assert torchrun_shard(other) is None


def test_torchrun_needs_files_and_shards_by_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in RANKS.items():
        monkeypatch.setenv(name, value)
    assert "under torchrun -i FILE and -o FILE are needed" in refusal(capsys, "m", "-i", "in")
    assert "under torchrun -i FILE and -o FILE are needed" in refusal(capsys, "m", "-o", "out")
    assert "leave out --shard" in refusal(capsys, "m", "-i", "in", "-o", "out", "--shard", "1/2")


def joined(folder: Path, name: str) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob(f"{name}.shard-*")))


def test_processes_of_torchrun_write_the_shards_of_the_whole(
    model: str, source: Path, tmp_path: Path
) -> None:
    whole = translate(model, source, tmp_path / "whole")
    command = [
        sys.executable,
        "-m",
        "nmt",
        "translate",
        model,
        "-i",
        str(source),
        "-o",
        str(tmp_path / "out"),
    ]
    ranks = [os.environ | RANKS | {"RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")]
    running = [
        subprocess.Popen([*command, "--precision", "fp32", "--device", "cpu"], env=rank, cwd=ROOT)
        for rank in ranks
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert sorted(path.name for path in tmp_path.glob("out*")) == [
        "out.shard-1-of-2",
        "out.shard-2-of-2",
    ]
    assert joined(tmp_path, "out") == whole


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine that seems to have two GPUs; the ones that were chosen."""
    chosen: list[int] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", chosen.append)
    return chosen


def test_each_process_of_torchrun_has_its_gpu(
    a_gpu: list[int], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (RANKS | {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}).items():
        monkeypatch.setenv(name, value)
    assert main(["translate", "no-model", "-i", str(source), "-o", str(tmp_path / "out")]) == 1
    assert a_gpu == [1]


def slurm(arguments: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        ["bash", ROOT / "scripts/translate-slurm", *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )


def test_the_tasks_of_a_slurm_array_write_the_shards_of_the_whole(
    model: str, source: Path, tmp_path: Path
) -> None:
    whole = translate(model, source, tmp_path / "whole")
    arguments = [
        model,
        str(source),
        str(tmp_path / "out"),
        "--precision",
        "fp32",
        "--device",
        "cpu",
    ]
    array = {
        "SLURM_ARRAY_TASK_COUNT": "2",
        "SLURM_ARRAY_TASK_MIN": "1",
        "SLURM_ARRAY_TASK_MAX": "2",
    }
    for task in ("1", "2"):
        assert slurm(arguments, SLURM_ARRAY_TASK_ID=task, **array).returncode == 0
    assert joined(tmp_path, "out") == whole
    again = slurm(arguments, SLURM_ARRAY_TASK_ID="2", **array | {"PYTHON": "false"})
    assert (again.returncode, again.stderr) == (
        0,
        f"translate-slurm: {tmp_path}/out.shard-2-of-2 exists already\n",
    )


def test_a_slurm_array_that_is_no_whole_is_refused(tmp_path: Path) -> None:
    usage = slurm(["model", "in"])
    assert (usage.returncode, usage.stderr[:13]) == (2, "usage: sbatch")
    array = {
        "SLURM_ARRAY_TASK_COUNT": "2",
        "SLURM_ARRAY_TASK_MIN": "3",
        "SLURM_ARRAY_TASK_MAX": "7",
    }
    some = slurm(["model", "in", str(tmp_path / "out")], SLURM_ARRAY_TASK_ID="3", **array)
    assert (some.returncode, "the array must be 1-N" in some.stderr) == (2, True)
