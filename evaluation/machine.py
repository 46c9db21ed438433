"""The machine that a figure was measured on, the processor told apart from others of the same
name, and the commit."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from nmt import __version__
from nmt.errors import NmtError

ROOT = Path(__file__).parent.parent
MEASURED = ("nmt", "evaluation", "pyproject.toml")  # what a figure depends on
RESULTS = (  # may differ from the commit: several runs are saved one after another
    "evaluation/results"
)
SETS = {
    "AVX2": "avx2",
    "AVX512-VNNI": "avx512_vnni",
    "AVX512-BF16": "avx512_bf16",
    "AMX": "amx_int8",
}  # the ones that nmt computes with


class Processor(NamedTuple):
    """A processor as /proc/cpuinfo tells it. Its name alone does not say which: a virtual Zen 3
    and a Zen 4 are both 'AMD EPYC'."""

    name: str
    family: str = ""
    model: str = ""
    stepping: str = ""
    flags: frozenset[str] = frozenset()

    def describe(self) -> str:
        """Such as 'AMD EPYC (family 25, model 1, stepping 1: AVX2, no AVX512)'; the name alone
        where the system tells no more."""
        numbers = [
            f"{what} {value}"
            for what, value in (
                ("family", self.family),
                ("model", self.model),
                ("stepping", self.stepping),
            )
            if value
        ]
        if not numbers:
            return self.name
        sets = [name for name, flag in SETS.items() if flag in self.flags]
        if "avx512f" not in self.flags:
            sets.append("no AVX512")
        return f"{self.name} ({', '.join(numbers)}: {', '.join(sets)})"


def read_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
    """The first processor of the file, or what Python knows where there is none."""
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.exists() else ""
    first = text.partition("\n\n")[0]
    found = dict(re.findall(r"^([\w ]+?)\s*:[ \t]*(.*)$", first, re.MULTILINE))
    if "model name" not in found:
        return Processor(platform.processor() or "unknown processor")
    flags = frozenset(found.get("flags", "").split())
    return Processor(
        found["model name"].strip(),
        found.get("cpu family", ""),
        found.get("model", ""),
        found.get("stepping", ""),
        flags,
    )


def commit() -> str:
    """The commit in use; ends in '-dirty' where nmt or an evaluation differs from it."""
    found = _git("rev-parse", "--short", "HEAD")
    return found + "-dirty" * bool(found and changes()) or "unknown"


def changes() -> str:
    """What `git status` says of files that figures depend on and no commit holds; empty where
    there are none."""
    return _git("status", "--porcelain", "--", *MEASURED, f":(exclude){RESULTS}")


def refuse_changes() -> None:
    """Raises: NmtError where figures would be saved that no commit can repeat."""
    if changed := changes():
        names = ", ".join(line.split()[-1] for line in changed.splitlines())
        raise NmtError(
            f"no commit holds what would be measured: {names} changed; commit first, or leave out"
            " --save"
        )


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True
        ).stdout.strip()
    except FileNotFoundError:
        return ""


def provenance() -> dict[str, Any]:
    """Where, when and with what the numbers came about."""
    import torch

    return {
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "nmt": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "processor": read_processor().describe(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
