"""Compiles kernels.so beside its sources: `python nmt/native/build.py`, or what pip runs when it
installs nmt.

Needs a C++17 compiler (CXX names another one than c++) on x86-64. Loads nothing of nmt, so that it
runs before nmt is installed.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "kernels.so"
COMPILERS = 4  # at the same time, of some 300 MB each
# Without contraction: whether a product and a sum become one rounding must not depend on how many
# rows a loop was compiled for.
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fPIC")
AVX2 = ("avx2", "fma", "f16c")
# The instruction sets that the engine is compiled for, each in a namespace of its name. Of code
# that several have (the standard library's
# templates), the linker keeps the first copy: so the set that every processor has comes first.
SETS = {
    "avx2": AVX2,
    "avxvnni": (*AVX2, "avxvnni"),
    "avx512": (*AVX2, "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni"),
}
ENGINE = ("choice.cpp", "engine.cpp", "front.cpp", "greedy.cpp")
TRAINING = (
    "dropout.cpp",
    "r_drop.cpp",
    "recurrence.cpp",
    "softmax.cpp",
)  # with AVX512-BF16, which assemblers of before 2019 do not know
PLAIN = ("candidates.cpp", "columns.cpp")  # for any x86-64
TILES = (
    "-mamx-tile",
    "-mamx-int8",
)  # for tiles.cpp, which does without where the compiler is of before 2021


class Part(NamedTuple):
    """What the compiler is called for once."""

    source: Path
    flags: tuple[str, ...]
    object: str
    set: str = ""  # the instruction set; empty: none in particular


def sources_mark() -> int:
    """A number that the library carries, so that one of other sources is never called."""
    sources = sorted(
        path
        for path in FOLDER.iterdir()
        if path.suffix in (".h", ".cpp") or path.name == "build.py"
    )
    return zlib.crc32(b"".join(path.read_bytes() for path in sources))


def build(output: Path = LIBRARY) -> str | None:
    """Writes the library, whole or not at all; returns why it could not be built, None if it
    was."""
    if platform.machine() not in ("x86_64", "AMD64") or sys.platform == "win32":
        return (
            f"the compiled engine is for x86-64 Linux and macOS, this is {platform.machine()}"
            f" {sys.platform}"
        )
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    if shutil.which(compiler[0]) is None:
        return f"no C++ compiler {compiler[0]!r}; install one, or name it in CXX"
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(COMPILERS) as pool:
        folder = Path(name)
        (folder / "layout.cpp").write_text(layout_source(), encoding="utf-8")
        command = [*compiler, *FLAGS, f"-I{FOLDER}"]
        parts = _parts(folder)
        results = zip(parts, pool.map(lambda part: _compile(command, part), parts), strict=True)
        failed = {part: why_not for part, why_not in results if why_not}
        training_fails = any(part.source.name in TRAINING for part in failed)
        new_set_fails = any(
            part.set == "avxvnni" for part in failed
        )  # which compilers of before 2020 do not know
        needed = [
            why_not
            for part, why_not in failed.items()
            if part.source.name not in TRAINING and part.set != "avxvnni"
        ]
        if needed:
            return needed[0]
        dispatch = Part(
            FOLDER / "dispatch.cpp",
            (f"-DNMT_SOURCES={sources_mark()}u", *(() if new_set_fails else ("-DNMT_AVXVNNI",))),
            f"{name}/0.o",
        )
        why_not = _compile(command, dispatch)
        if why_not:
            return why_not
        kept = [
            part
            for part in parts
            if not (training_fails and part.source.name in TRAINING)
            and not (new_set_fails and part.set == "avxvnni")
        ]
        partial = output.with_suffix(".partial")
        why_not = _run(
            [
                *command,
                "-shared",
                dispatch.object,
                *(part.object for part in kept),
                "-o",
                str(partial),
            ]
        )
        if why_not is None:
            os.replace(partial, output)
        else:
            partial.unlink(missing_ok=True)
        return why_not


def _parts(folder: Path) -> list[Part]:
    """Everything but dispatch.cpp, in the order in which it is linked."""
    plain = [Part(FOLDER / name, (), f"{folder}/{name}.o") for name in PLAIN]
    plain.append(Part(folder / "layout.cpp", (), f"{folder}/layout.o"))
    sets = []
    for set_name, instructions in SETS.items():
        flags = (*(f"-m{name}" for name in instructions), f"-DNMT_SET={set_name}")
        sources = (*ENGINE, *TRAINING) if set_name == "avx512" else ENGINE
        sets += [
            Part(FOLDER / name, flags, f"{folder}/{set_name}-{name}.o", set_name)
            for name in sources
        ]
    return [*plain, *sets, Part(FOLDER / "tiles.cpp", TILES, f"{folder}/tiles.o")]


def layout_source() -> str:
    """C++ that tells where the compiler puts the fields of the structures of arrays.h, and how
    wide they are."""
    text = re.sub("//.*", "", (FOLDER / "arrays.h").read_text(encoding="utf-8"))
    rows = []
    for name, body in re.findall(r"^struct (\w+) \{$(.*?)^\};$", text, re.MULTILINE | re.DOTALL):
        rows.append(f'{{"{name}", "", 0, sizeof(nmt::{name})}}')
        rows += [
            f'{{"{name}", "{field}", offsetof(nmt::{name}, {field}), sizeof(nmt::{name}::{field})}}'
            for field in re.findall(r"(\w+);", body)
        ]
    fields = (
        "struct Field {\n    const char* structure;\n    const char* name;\n    int64_t offset,"
        " size;\n};"
    )
    table = (
        "extern const Field nmt_layout[];\nconst Field nmt_layout[] = {"
        + ", ".join([*rows, "{nullptr, nullptr, 0, 0}"])
        + "};"
    )
    return f'#include <cstddef>\n#include "arrays.h"\nextern "C" {{\n{fields}\n{table}\n}}\n'


def _compile(command: list[str], part: Part) -> str | None:
    plain = ["-c", str(part.source), "-o", part.object]
    why_not = _run([*command, *part.flags, *plain])
    return _run([*command, *plain]) if why_not and part.source.name == "tiles.cpp" else why_not


def _run(command: list[str]) -> str | None:
    """What a compiler says where it fails."""
    result = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return f"{command[0]} failed: {result.stderr.strip()[:1000]}" if result.returncode else None


if __name__ == "__main__":
    sys.exit(build())
