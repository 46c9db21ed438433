#!/usr/bin/env python3
"""Translate a file on the machines of a Ray cluster, which must see the same files under the same
paths:

    .venv/bin/python scripts/translate-ray.py SHARDS MODEL IN OUT [options of nmt translate]

Each shard is a task of one processor core. Shards that exist already are not made again, and a task
that is killed starts again, up to three times. When all shards exist, they are joined. Name a
--precision: machines of different kinds choose different ones.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from nmt.translation.shards import Shard, shard_path


def translate(
    shard: Shard, model: Path, source: Path, output: Path, options: tuple[str, ...]
) -> Path:
    part = shard_path(output, shard)
    if not part.exists():
        command = [
            sys.executable,
            "-m",
            "nmt",
            "translate",
            str(model),
            "-i",
            str(source),
            "-o",
            str(part),
        ]
        ended = subprocess.run(
            [*command, "--shard", f"{shard.number}/{shard.parts}", "--workers", "1", *options],
            stderr=subprocess.PIPE,
            text=True,
        )
        said = (ended.stderr.strip().splitlines() or [""])[-1].removeprefix("nmt: error: ")
        if (
            ended.returncode < 0
        ):  # killed, by the system's lack of memory for instance: worth another try
            raise ChildProcessError(
                f"shard {shard.number} of {shard.parts}: killed by signal {-ended.returncode}"
            )
        if ended.returncode:
            raise ValueError(f"shard {shard.number} of {shard.parts}: {said}")
        if ended.stderr:
            print(ended.stderr, end="", file=sys.stderr)
    return part


def main(parts: str, model: str, source: str, output: str, *options: str) -> None:
    try:
        import ray
    except ImportError:
        sys.exit("translate-ray: Ray is not installed; pip install ray, on every machine")
    ray.init()
    task = ray.remote(num_cpus=1, max_retries=3, retry_exceptions=[ChildProcessError])(translate)
    paths = [Path(path).resolve() for path in (model, source, output)]
    try:
        made = ray.get(
            [
                task.remote(Shard(number, int(parts)), *paths, options)
                for number in range(1, int(parts) + 1)
            ]
        )
    except ray.exceptions.RayTaskError as error:
        sys.exit(
            f"translate-ray: {error.cause}; shards that are complete stay, the same command makes"
            " the others"
        )
    joined = paths[2].with_name(f"{paths[2].name}.partial")
    with joined.open("wb") as stream:
        for part in made:
            with part.open("rb") as content:
                shutil.copyfileobj(content, stream)
    os.replace(joined, paths[2])


if __name__ == "__main__":
    if len(sys.argv) < 5 or not sys.argv[1].isdecimal() or int(sys.argv[1]) < 1:
        print(
            "usage: translate-ray.py SHARDS MODEL IN OUT [options of nmt translate]",
            file=sys.stderr,
        )
        sys.exit(2)
    main(*sys.argv[1:])
