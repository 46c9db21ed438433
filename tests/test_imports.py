"""The house has a direction: which part may import which, what stays unloaded, what is never
used."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "nmt").rglob("*.py"))
HEAVY = ("torch", "numpy", "sentencepiece", "datasets", "pyarrow", "sacrebleu")

# What each part may import beside itself; `commands` may import anything, and nobody imports
# `commands`.
ALLOWED = {
    "errors": set[str](),
    "files": {"errors"},
    "limits": {"errors"},
    "vocabulary": set[str](),
    "defaults": {"recipe"},
    "machine": {"errors"},
    "worker_processes": {"errors"},
    "recipe_values": {"errors", "files", "limits"},
    "recipe": {"errors", "limits", "files", "machine", "recipe_values"},
    "run_folder": {"errors", "files"},
    "text": {
        "defaults",
        "errors",
        "files",
        "limits",
        "machine",
        "recipe",
        "run_folder",
        "vocabulary",
    },
    "data": {"errors", "files", "limits", "recipe", "run_folder", "text", "vocabulary"},
    "native": {"errors"},
    "model": {"data", "errors", "files", "limits", "native", "recipe", "text", "vocabulary"},
    "search": {"errors", "limits", "vocabulary"},
    "scoring": {"errors"},
    "folders": {
        "run_folder",
        "engines",
        "errors",
        "files",
        "limits",
        "model",
        "recipe",
        "text",
        "vocabulary",
    },
    "engines": {
        "data",
        "machine",
        "run_folder",
        "errors",
        "files",
        "folders",
        "limits",
        "model",
        "native",
        "recipe",
        "search",
        "text",
        "vocabulary",
    },
    "translation": {
        "data",
        "run_folder",
        "engines",
        "errors",
        "files",
        "folders",
        "limits",
        "machine",
        "model",
        "recipe",
        "scoring",
        "search",
        "text",
        "worker_processes",
        "vocabulary",
    },
    "language_model": {
        "data",
        "run_folder",
        "engines",
        "errors",
        "files",
        "folders",
        "limits",
        "machine",
        "model",
        "recipe",
        "search",
        "text",
        "translation",
        "worker_processes",
        "vocabulary",
    },
    "training": {
        "data",
        "defaults",
        "run_folder",
        "engines",
        "errors",
        "files",
        "folders",
        "limits",
        "machine",
        "model",
        "native",
        "recipe",
        "scoring",
        "search",
        "text",
        "translation",
        "worker_processes",
        "vocabulary",
    },
    "pages": set[str](),
    "report": {
        "data",
        "run_folder",
        "engines",
        "errors",
        "files",
        "folders",
        "pages",
        "recipe",
        "scoring",
        "search",
        "text",
        "translation",
        "vocabulary",
    },
}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "nmt").parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in the file, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def imported_on_load(tree: ast.Module) -> Iterator[str]:
    """What is imported when the module is: not inside functions, not for type checkers only."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    if part in ("__init__", "__main__", "commands"):
        return
    parts = {
        name.split(".")[1]
        for name in imported(ast.parse(path.read_text()))
        if name.startswith("nmt.")
    }
    assert parts <= ALLOWED[part] | {part}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short_and_safe(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 430
    tree = ast.parse(text)
    assert not {name.split(".")[0] for name in imported(tree)} & {
        "pickle",
        "cPickle",
        "dill",
        "shelve",
        "marshal",
        "joblib",
    }
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"eval", "exec", "compile", "torch.load", "torch.save"}
    assert "allow_pickle" not in text


@pytest.mark.parametrize(
    "path", [path for path in FILES if part_of(path) == "commands"], ids=lambda path: path.name
)
def test_commands_load_heavy_modules_only_when_they_run(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported_on_load(ast.parse(path.read_text()))} & set(
        HEAVY
    )


def loaded_after(code: str) -> set[str]:
    """The names of HEAVY that are loaded after running `code` in a new interpreter."""
    probe = f"import sys\n{code}\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(result.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["translate"],
        ["train", "--no-such-option"],
        ["evaluate", "--n-best", "x"],
    ],
)
def test_help_and_argument_errors_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"from nmt.commands.main import main\ntry:\n    main({arguments})\nexcept SystemExit:\n   "
        " print()"
    )
    assert loaded_after(code) == set()


def test_reading_a_recipe_loads_nothing_heavy() -> None:
    assert loaded_after("import nmt.recipe") == set()


def test_translation_loads_nothing_that_only_training_needs() -> None:
    assert not loaded_after("import nmt.translation.translator") & {
        "datasets",
        "pyarrow",
        "sacrebleu",
    }
