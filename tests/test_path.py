"""The path of one line of text through the house stays short."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_line_passes_at_most_15_files_and_35_hops_between_them(model: str) -> None:
    command = [sys.executable, "scripts/path", model, "de kat zit"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *listed, last = done.stdout.splitlines()
    found = re.fullmatch("([0-9]+) files, ([0-9]+) hops between files", last)
    assert found, last
    files, hops = map(int, found.groups())
    assert (files <= 15, hops <= 35) == (True, True), done.stdout
    # the counter sees what must run
    for file in ("commands/translate.py", "search/beam.py", "engines/packed/network.py"):
        assert file in listed
