"""Compiles kernels.so beside its sources: `python nmt/native/build.py`, or what pip runs when it installs nmt.

Needs a C++17 compiler (CXX names another one than c++) on x86-64. Loads nothing of nmt, so that it runs before nmt is installed.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "kernels.so"
BF16 = ("dropout.cpp", "r_drop.cpp", "recurrence.cpp", "softmax.cpp")  # for training; left out where the assembler is of before 2019
COMPILERS = 4  # at the same time, of some 300 MB each
INSTRUCTIONS = ("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni")
TILES = ("-mamx-tile", "-mamx-int8")  # for tiles.cpp, which does without where the compiler is of before 2021
# Without contraction: whether a product and a sum become one rounding must not depend on how many rows a loop was compiled for.
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fPIC", *(f"-m{name}" for name in INSTRUCTIONS))


def sources_mark() -> int:
    """A number that the library carries, so that one of other sources is never called."""
    sources = sorted(path for path in FOLDER.iterdir() if path.suffix in (".h", ".cpp") or path.name == "build.py")
    return zlib.crc32(b"".join(path.read_bytes() for path in sources))


def build(output: Path = LIBRARY) -> str | None:
    """Writes the library, whole or not at all; returns why it could not be built, None if it was."""
    if platform.machine() not in ("x86_64", "AMD64") or sys.platform == "win32":
        return f"the compiled engine is for x86-64 Linux and macOS, this is {platform.machine()} {sys.platform}"
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    if shutil.which(compiler[0]) is None:
        return f"no C++ compiler {compiler[0]!r}; install one, or name it in CXX"
    command = [*compiler, *FLAGS, f"-DNMT_SOURCES={sources_mark()}u"]

    def compile_one(source: Path, to: str) -> str | None:
        plain = [*command, "-c", str(source), "-o", to]
        return (_run([*plain, *TILES]) and _run(plain)) if source.name == "tiles.cpp" else _run(plain)

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(COMPILERS) as pool:
        objects = {source: f"{folder}/{source.stem}.o" for source in sorted(FOLDER.glob("*.cpp"))}
        compiled = pool.map(compile_one, *zip(*objects.items(), strict=True))
        failed = {source: why_not for source, why_not in zip(objects, compiled, strict=True) if why_not}
        if any(source.name not in BF16 for source in failed):
            return next(iter(failed.values()))
        whole = [name for source, name in objects.items() if not failed or source.name not in BF16]
        partial = output.with_suffix(".partial")
        why_not = _run([*command, "-shared", *whole, "-o", str(partial)])
        if why_not is None:
            os.replace(partial, output)
        else:
            partial.unlink(missing_ok=True)
        return why_not


def _run(command: list[str]) -> str | None:
    """What a compiler says where it fails."""
    result = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return f"{command[0]} failed: {result.stderr.strip()[:1000]}" if result.returncode else None


if __name__ == "__main__":
    sys.exit(build())
