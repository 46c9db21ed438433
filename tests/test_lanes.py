"""One result on all instruction sets: the engine's arithmetic with AVX2 and, emulated by SIMDe,
with AVX-512, bit for bit.

It needs a C++ compiler and SIMDe's headers (Debian: libsimde-dev), but no processor with AVX-512.
"""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from native_networks import needs_library

from nmt.native import LIBRARY, build

FLAGS = (
    "-std=c++17",
    "-O1",
    "-ffp-contract=off",
    *(f"-m{name}" for name in build.AVX2),
    f"-I{build.FOLDER}",
)
EMULATED = ("-DNMT_EMULATED", "-DNMT_SET=avx512", "-DSIMDE_ENABLE_NATIVE_ALIASES")
needs_simde = pytest.mark.skipif(
    not (
        platform.machine() == "x86_64"
        and shutil.which("c++")
        and Path("/usr/include/simde").is_dir()
    ),
    reason="no C++ compiler, no headers of SIMDe or no x86-64 processor",
)
needs_objdump = pytest.mark.skipif(shutil.which("objdump") is None, reason="no objdump")


def results(folder: Path, name: str, *flags: str) -> list[str]:
    program = folder / name
    sources = [str(Path(__file__).with_name("lanes.cpp")), str(build.FOLDER / "tiles.cpp")]
    subprocess.run(["c++", *FLAGS, *flags, *sources, "-o", str(program)], check=True)
    return subprocess.run(
        [str(program)], check=True, capture_output=True, text=True
    ).stdout.splitlines()


@needs_library
@needs_simde
def test_avx2_and_avx512_compute_the_same_bits(tmp_path: Path) -> None:
    ours, emulated = (
        results(tmp_path, "avx2", "-DNMT_SET=avx2"),
        results(tmp_path, "avx512", *EMULATED),
    )
    assert len(ours) > 1000
    assert {line.split()[0] for line in ours} >= {
        "exp",
        "sigmoid_tanh",
        "linear",
        "attention",
        "best",
    }
    assert ours == emulated


def disassembled() -> dict[str, list[str]]:
    """The instructions of each function of the library, by its whole name."""
    listing = subprocess.run(
        ["objdump", "-d", "-C", "--no-show-raw-insn", LIBRARY],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    functions: dict[str, list[str]] = {}
    for part in listing.split("\n\n"):
        if match := re.match(r"[0-9a-f]+ <(.*)>:\n", part):
            functions[match[1]] = part.splitlines()[1:]
    return functions


@needs_library
@needs_objdump
def test_the_inner_loops_keep_their_sums_in_registers() -> None:
    """GCC once kept them in memory, and every batch took twice as long."""
    checked = set()
    for name, lines in disassembled().items():
        if not (match := re.search(r"(\w+)::multiply_panel<(\d)>", name)):
            continue
        products = [
            number for number, line in enumerate(lines) if "vpdpbusd" in line or "vpmaddwd" in line
        ]
        assert not [
            line
            for line in lines[products[0] : products[-1]]
            if re.search(r"%[xyz]mm\d+,.*\(%r[sb]p", line)
        ], name
        checked.add((match[1], int(match[2])))
    most = {"avx2": 2, "avxvnni": 3, "avx512": 6}
    assert checked >= {
        (name, rows) for name in ("avx2", "avx512") for rows in range(1, most[name] + 1)
    }


@needs_library
@needs_objdump
def test_only_functions_of_avx512_use_its_registers() -> None:
    """Code that several sets share, the standard library's, must be that of the set that every
    processor has."""
    wide = [name for name, lines in disassembled().items() if any("%zmm" in line for line in lines)]
    assert wide
    assert [name for name in wide if "avx512::" not in name and "nmt_" not in name] == []
