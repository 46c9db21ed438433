"""scripts/setup with a stand-in for Python that writes down how pip is called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAND_IN = """#!/bin/sh
case "$*" in
    *"import torch"*) exit 1 ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *--dry-run*) printf '%s' '{"name": "'"$WOULD_INSTALL"'"}' ;;
    *"-m pip"*) echo "$*" >>called ;;
esac
"""


def setup(folder: Path, would_install: str, **variables: str) -> tuple[str, list[str]]:
    """What it says, and the arguments of each call of pip; the machine has no NVIDIA GPU."""
    for name in ("pyproject.toml", "constraints.txt", "hatch_build.py"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(
        ROOT / "nmt/native",
        folder / "nmt/native",
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/setup", folder / "scripts/setup")
    python = folder / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    tools = folder / "tools"
    tools.mkdir()
    for tool in ("bash", "sh", "cat", "cksum", "cp", "dirname", "grep", "mkdir"):
        found = shutil.which(tool)
        assert found
        (tools / tool).symlink_to(found)
    environment = {
        "PATH": str(tools),
        "PYTHON": str(python),
        "WOULD_INSTALL": would_install,
        "HOME": os.environ.get("HOME", "/"),
        **variables,
    }
    done = subprocess.run(
        ["bash", str(folder / "scripts/setup")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr, (folder / "called").read_text().splitlines()


@pytest.mark.parametrize(("would_install", "told"), [("nvidia-cublas", True), ("torch", False)])
def test_a_machine_without_a_gpu_is_set_up_whatever_build_of_torch_there_is(
    would_install: str, told: bool, tmp_path: Path
) -> None:
    said, calls = setup(tmp_path, would_install)
    assert ("with gigabytes of CUDA, though this machine has no NVIDIA GPU" in said) == told
    assert [call for call in calls if "--editable .[dev]" in call]
    assert (tmp_path / ".venv/nmt-setup.stamp").exists()


def test_an_index_for_torch_is_used(tmp_path: Path) -> None:
    said, calls = setup(tmp_path, "nvidia-cublas", NMT_TORCH_INDEX="file:///builds")
    assert "CUDA" not in said
    assert "--index-url file:///builds torch==" in calls[0]
