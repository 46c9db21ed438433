"""The runs behind the README's figures: list them, run one, compare it with the committed results.

python -m evaluation                     list the runs
python -m evaluation NAME                run one; say what changed beyond noise since evaluation/results/NAME.json
python -m evaluation NAME --save         the same, and write that file
"""

import argparse
import ast
import importlib
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evaluation.compare import compare, refuse_misfits
from nmt import __version__
from nmt.errors import NmtError

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"


def find_runs(folder: Path = FOLDER) -> dict[str, str]:
    """Name -> first line of the docstring of every module here that defines `run`; none of them is imported."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            name = ".".join(path.relative_to(folder).with_suffix("").parts)
            found[name] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def provenance() -> dict[str, Any]:
    """Where and with what the numbers came about."""
    import torch

    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=FOLDER, capture_output=True, text=True)
    return {
        "commit": commit.stdout.strip() or "unknown",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "nmt": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {processor()}",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


def processor(path: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, where the system tells it."""
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", nargs="?", help="one of the runs (default: list them)")
    parser.add_argument("--out", type=Path, help="folder for what the run writes (default: runs/evaluation/NAME)")
    parser.add_argument("--save", action="store_true", help="write the results to evaluation/results/")
    arguments = parser.parse_args(argv)
    runs = find_runs()
    if arguments.name is None:
        width = max(map(len, runs), default=0)
        print(*(f"{name:{width}}  {about}" for name, about in runs.items()), sep="\n")
        return 0
    if arguments.name not in runs:
        parser.error(f"there is no run {arguments.name!r}; the runs are {', '.join(runs)}")
    try:
        return run_one(arguments.name, arguments.out or FOLDER.parent / "runs" / "evaluation" / arguments.name, arguments.save)
    except NmtError as error:
        print(f"evaluation: error: {error}", file=sys.stderr)
        return 1


def run_one(name: str, out: Path, save: bool) -> int:
    """Runs a module's `run`, prints the comparison, and writes OUT/results.json and, with `save`, the committed results."""
    out.mkdir(parents=True, exist_ok=True)
    measures = importlib.import_module(f"evaluation.{name}").run(out)
    refuse_misfits(name, measures)
    committed = RESULTS / f"{name}.json"
    before = json.loads(committed.read_text(encoding="utf-8"))["measures"] if committed.exists() else {}
    print(*compare(before, measures), sep="\n")
    text = json.dumps({"run": name, **provenance(), "measures": measures}, indent=1, ensure_ascii=False) + "\n"
    for path in (out / "results.json", *([committed] if save else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
