"""The native code under the address and undefined-behaviour sanitizers: its tests and a fuzzed
translation.

    python tests/sanitizers.py [--seeds 40]

is what continuous integration runs after the tests. Any finding ends it with the sanitizer's report
and status 1. Where the compiler has no sanitizers, or the processor cannot run the compiled engine,
it says so and ends with status 0.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nmt import native
from nmt.native import build

TESTS = Path(__file__).parent
NATIVE_TESTS = (
    "test_native.py",
    "test_native_search.py",
    "test_search_kernels.py",
    "test_compiled.py",
    "test_dropout.py",
    "test_r_drop.py",
    "test_objective.py",
)
# They come last on the command line and so win over the build's own -O3, with which the
# instrumented code takes minutes to compile.
FLAGS = (
    "-O1",
    "-g1",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
SEEDS = "40"
FOUND = 99  # the status of a process in which they found something
PYTEST = (
    "-p",
    "no:cacheprovider",
    "--capture=sys",
)  # with files captured, what the sanitizer says would be lost
# Leaks: Python and torch keep memory until the end. Mismatches: torch's own libraries are not built
# with the sanitizer.
OPTIONS = {
    "ASAN_OPTIONS": f"detect_leaks=0:alloc_dealloc_mismatch=0:exitcode={FOUND}",
    "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:exitcode={FOUND}",
}


def compiler() -> list[str]:
    return shlex.split(os.environ.get("CXX", "c++"))


def runtime(name: str = "libasan.so") -> Path | None:
    """A library of the compiler, by default the sanitizer's, which has to be loaded before
    Python's own; None where this compiler has none (or is Clang)."""
    try:
        found = subprocess.run(
            [*compiler(), f"-print-file-name={name}"], capture_output=True, text=True
        )
    except OSError:
        return None
    path = Path(found.stdout.strip())
    return path if path.is_absolute() and path.exists() else None


def unavailable_reason() -> str | None:
    """Why nothing can be built with sanitizers here; None: it can."""
    if not sys.platform.startswith("linux"):
        return f"the sanitizers are loaded as Linux does it, this is {sys.platform}"
    return (
        None
        if runtime()
        else f"{shlex.join(compiler())} has no libasan.so; GCC with its sanitizers is needed"
    )


def write_compiler(folder: Path, unused: Sequence[str] = ()) -> Path:
    """A compiler that adds the sanitizers to all but the engine's copies for these instruction
    sets: those are only there to be linked."""
    path, plain = folder / "sanitizing-compiler", shlex.join(compiler())
    cases = "".join(f'    *" -DNMT_SET={name} "*) exec {plain} "$@" -O0 ;;\n' for name in unused)
    path.write_text(
        f'#!/bin/sh\ncase " $* " in\n{cases}esac\nexec {plain} "$@" {shlex.join(FLAGS)}\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def build_library(folder: Path) -> Path:
    """Raises: SystemExit where the sources do not compile."""
    in_use = "avx512" if native.set_in_use() == "amx" else native.set_in_use()
    os.environ["CXX"] = str(write_compiler(folder, [name for name in build.SETS if name != in_use]))
    if reason := build.build(folder / "kernels.so"):
        raise SystemExit(f"sanitizers: {reason}")
    return folder / "kernels.so"


def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """This Python on `command` with the sanitizer loaded; status FOUND where it found something."""
    # As it starts, the sanitizer looks for the functions that throw: libstdc++ must be there.
    libraries = [path for path in (runtime(), runtime("libstdc++.so")) if path]
    environment = {
        **os.environ,
        **OPTIONS,
        "LD_PRELOAD": ":".join(map(str, libraries)),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(TESTS.parent),
    }
    return subprocess.run(
        [sys.executable, *command],
        env=environment,
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        errors="replace",
    )


def run_tests(library: Path, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    """pytest on `arguments`, with this library in place of the one that was installed."""
    return run([__file__, "--inside", str(library), *arguments])


def inside(library: str, arguments: list[str]) -> int:
    """What runs with the sanitizer loaded."""
    import pytest

    native.LIBRARY = Path(library)
    if isinstance(reason := native.library(), str):
        print(f"the library with sanitizers cannot be used: {reason}")
        return 1
    return pytest.main([*PYTEST, *arguments])


def main(seeds: str = SEEDS) -> int:
    reason = unavailable_reason() or native.library()
    if isinstance(reason, str):
        print(f"sanitizers: not run: {reason}")
        return 0
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        library = build_library(Path(folder))
        print(
            f"sanitizers: built for {native.set_in_use()} in {time.monotonic() - start:.0f} s",
            flush=True,
        )
        os.environ["NMT_FUZZ_SEEDS"] = seeds
        parts = ([str(TESTS / name) for name in NATIVE_TESTS], [str(TESTS / "fuzz_native.py")])
        ended = list(pool.map(lambda arguments: run_tests(library, arguments), parts))
    for each in ended:
        lines = (each.stdout + each.stderr).strip().splitlines()
        print(*(lines if each.returncode else lines[-1:]), sep="\n")
    print(f"sanitizers: {time.monotonic() - start:.0f} s in all")
    return 1 if any(each.returncode for each in ended) else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(sys.argv[2], sys.argv[3:]))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds", default=SEEDS, help=f"of the fuzzed translation, so many (default: {SEEDS})"
    )
    sys.exit(main(parser.parse_args().seeds))
