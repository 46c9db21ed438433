"""The harness of tests/sanitizers.py: a planted fault ends it, in the build's own flags and on
torch's memory."""

import subprocess
from pathlib import Path

import pytest
import sanitizers

from nmt.native import build

needs_sanitizers = pytest.mark.skipif(
    sanitizers.unavailable_reason() is not None, reason=f"{sanitizers.unavailable_reason()}"
)
FAULTY = """
extern "C" float read(const float* values, long index) { return values[index]; }
extern "C" int add(int a, int b) { return a + b; }
"""
CALLS = """
import ctypes, torch
def test_fault():
    library, values = ctypes.CDLL({library!r}), torch.zeros(4)
    for index in (3, 4):
        library.read(ctypes.c_void_p(values.data_ptr()), ctypes.c_long(index))
        print("read", index, flush=True)
"""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with the faults, compiled with the engine's flags."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "faulty.cpp").write_text(FAULTY)
    command = [
        str(sanitizers.write_compiler(folder)),
        *build.FLAGS,
        "-shared",
        str(folder / "faulty.cpp"),
        "-o",
        str(folder / "faulty.so"),
    ]
    subprocess.run(command, check=True)
    return folder / "faulty.so"


@needs_sanitizers
def test_a_read_behind_a_tensor_ends_the_tests_and_is_named(faulty: Path, tmp_path: Path) -> None:
    (tmp_path / "test_fault.py").write_text(CALLS.format(library=str(faulty)))
    ended = sanitizers.run(
        ["-m", "pytest", *sanitizers.PYTEST, "--capture=no", "--noconftest", str(tmp_path)]
    )
    assert ended.returncode == sanitizers.FOUND
    assert "read 3\n" in ended.stdout
    assert "read 4\n" not in ended.stdout
    assert "AddressSanitizer: heap-buffer-overflow" in ended.stderr


@needs_sanitizers
def test_an_overflow_ends_the_run_and_is_named(faulty: Path) -> None:
    ended = sanitizers.run(
        [
            "-c",
            (
                f"import ctypes; add = ctypes.CDLL({str(faulty)!r}).add; print(add(2**31 - 1, -1),"
                " flush=True); add(2**31 - 1, 1)"
            ),
        ]
    )
    assert ended.returncode == sanitizers.FOUND
    assert ended.stdout == f"{2**31 - 2}\n"
    assert "runtime error: signed integer overflow: 2147483647 + 1" in ended.stderr


def test_a_compiler_without_sanitizers_is_a_reason_not_to_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sanitizers.sys, "platform", "linux")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert sanitizers.main() == 0
    assert (
        capsys.readouterr().out
        == "sanitizers: not run: no-such-compiler has no libasan.so; GCC with its sanitizers is"
        " needed\n"
    )


@needs_sanitizers
def test_sources_that_do_not_compile_end_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CXX", "c++")
    monkeypatch.setattr(build, "build", lambda output: "no")
    with pytest.raises(SystemExit, match="sanitizers: no"):
        sanitizers.build_library(tmp_path)


def test_the_tests_that_run_under_sanitizers_exist() -> None:
    assert [
        name for name in sanitizers.NATIVE_TESTS if not (sanitizers.TESTS / name).is_file()
    ] == []
