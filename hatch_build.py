"""What pip runs when it installs nmt: compile nmt/native where there is a compiler; without one
nmt computes with torch alone."""

import runpy
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface  # type: ignore[import-not-found, unused-ignore]


class CompiledEngine(BuildHookInterface):  # type: ignore[misc, unused-ignore]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        native = Path(self.root) / "nmt" / "native"
        why_not = runpy.run_path(str(native / "build.py"))["build"]()
        if why_not:
            print(
                f"nmt: without its compiled engine, translation and training are slower: {why_not}",
                file=sys.stderr,
            )
            return
        build_data["artifacts"].append("nmt/native/kernels.so")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
