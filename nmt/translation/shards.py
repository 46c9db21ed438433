"""Parts of an input for many machines: each process takes one, and their outputs in order are
the output of the whole."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nmt.text.lines import CHUNK_LINES, open_bytes, split_lines


class Shard(NamedTuple):
    """One of several parts of an input."""

    number: int  # from 1
    parts: int


def count_lines(path: Path) -> int:
    """The lines of a file, plain or .gz. Raises NmtError where it cannot be read to its end."""
    with open_bytes(path) as stream:
        return sum(1 for _ in split_lines(stream, str(path)))


def shard_bounds(lines: int, shard: Shard) -> tuple[int, int]:
    """The lines of a shard: from the first, counted from 0, to before the second.

    Cuts are between chunks where there is one for each shard, so that lines are translated together
    exactly as in a run over the whole: that matters for bf16 and int8, where neighbours can change
    a rounding. A shorter input is cut between lines.
    """
    unit = CHUNK_LINES if lines >= shard.parts * CHUNK_LINES else 1
    units = -(-lines // unit)
    start, stop = (
        min(lines, units * number // shard.parts * unit)
        for number in (shard.number - 1, shard.number)
    )
    return start, stop


def shard_path(output: Path, shard: Shard) -> Path:
    """OUTPUT.shard-03-of-16: names sort in the order of the lines."""
    width = len(str(shard.parts))
    return output.with_name(f"{output.name}.shard-{shard.number:0{width}}-of-{shard.parts}")


def torchrun_shard(environment: Mapping[str, str] = os.environ) -> Shard | None:
    """The shard of one of several processes that torchrun started; None where it did not."""
    values = [environment.get(name, "") for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")]
    if not all(value.isdecimal() for value in values) or int(values[1]) < 2:
        return None
    return Shard(int(values[0]) + 1, int(values[1]))
