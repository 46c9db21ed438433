"""The runs behind the README's figures: list them, run one, compare it with the committed results.

python -m evaluation                     list the runs
python -m evaluation --results           list the committed results with commit, date and processor
python -m evaluation NAME --help         what a run measures, and its arguments
python -m evaluation NAME                run one; say what changed beyond noise since
evaluation/results/NAME.json
python -m evaluation NAME --save         the same, and write that file
"""

import argparse
import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

from evaluation.compare import compare, refuse_misfits, slowdowns
from evaluation.machine import ROOT, provenance, refuse_changes
from evaluation.results import RESULTS, committed, processor_of, table, to_text
from nmt.errors import NmtError

FOLDER = Path(__file__).parent


def find_runs(folder: Path = FOLDER) -> dict[str, str]:
    """Name -> first line of the docstring of every module or package here that defines `run`;
    none of them is imported."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            found[name] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="python -m evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", nargs="?", help="one of the runs (default: list them); its own arguments follow it"
    )
    parser.add_argument("--results", action="store_true", help="list the committed results instead")
    if arguments and not arguments[0].startswith("-"):
        return run_named(arguments[0], arguments[1:], parser)
    if parser.parse_args(arguments).results:
        print_columns(list(table()))
    else:
        print_columns(list(find_runs().items()))
    return 0


def print_columns(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        )


def run_named(name: str, argv: list[str], parser: argparse.ArgumentParser) -> int:
    """Reads the arguments of a run and runs it; 1 where it failed or became slower."""
    runs = find_runs()
    if name not in runs:
        parser.error(f"there is no run {name!r}; the runs are {', '.join(runs)}")
    module = importlib.import_module(f"evaluation.{name}")
    arguments = run_parser(name, module).parse_args(argv)
    try:
        return run_one(name, module, arguments)
    except NmtError as error:
        print(f"evaluation: error: {error}", file=sys.stderr)
        return 1


def run_parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """The arguments that every run has, and those that the module's `add_arguments` adds."""
    parser = argparse.ArgumentParser(
        prog=f"python -m evaluation {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if hasattr(module, "add_arguments"):
        module.add_arguments(parser)
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help=f"folder for what the run writes (default: runs/evaluation/{name})",
    )
    parser.add_argument(
        "--as",
        metavar="NAME",
        default=name,
        dest="name",
        help="the committed results are evaluation/results/NAME.json",
    )
    parser.add_argument(
        "--save",
        action="store_true",
        help="write the committed results; refused where no commit holds the code",
    )
    return parser


def run_one(run: str, module: ModuleType, arguments: argparse.Namespace) -> int:
    """Runs a module's `run`, prints the comparison, and writes OUT/results.json and, with
    --save, the committed results."""
    if arguments.save:
        refuse_changes()
    out = arguments.out or ROOT / "runs" / "evaluation" / arguments.name
    out.mkdir(parents=True, exist_ok=True)
    about = provenance()  # before, not after: the code may change while this runs
    found = module.run(out, arguments)
    refuse_misfits(run, found["measures"])
    path = RESULTS / f"{arguments.name}.json"
    before = committed(path, about["processor"])
    elsewhere = (
        processor_of(before) if before and processor_of(before) != about["processor"] else ""
    )
    print(*compare(before.get("measures", {}), found["measures"], elsewhere), sep="\n")
    bound = getattr(module, "SLOWDOWN", None)  # only such runs are kept for each processor
    results = {"run": arguments.name, **about, **found}
    for target in (out / "results.json", *([path] if arguments.save else [])):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(
            to_text(results, target, each_processor=bound is not None and target == path),
            encoding="utf-8",
        )
        print(f"wrote {target}", file=sys.stderr)
    slower = (
        []
        if bound is None or elsewhere
        else list(slowdowns(before.get("measures", {}), found["measures"], bound))
    )
    print(
        *(f"evaluation: slower than at {before['commit']}: {each}" for each in slower),
        sep="\n",
        end="\n" * bool(slower),
        file=sys.stderr,
    )
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
