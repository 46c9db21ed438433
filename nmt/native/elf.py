"""Whether a shared library is whole: to load one that was cut short ends the process (SIGBUS),
and nothing can be caught."""

import struct
from pathlib import Path

MAGIC = b"\x7fELF\x02\x01"  # 64 bits, the least byte first
HEADER = 64


def cut_short(path: Path) -> bool:
    """Whether a file of ELF ends before its section headers or one of its segments does. Of other
    files the loader itself can tell.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(HEADER)
        if not header.startswith(MAGIC[: len(header)]):
            return False
        if len(header) < HEADER:
            return True
        segments_at, sections_at, _, _, segment, segments, section, sections = struct.unpack_from(
            "<QQIHHHHH", header, 32
        )
        if max(segments_at + segment * segments, sections_at + section * sections) > size:
            return True
        file.seek(segments_at)
        table = file.read(segment * segments)
    ends = [
        sum(struct.unpack_from("<Q16xQ", table, number * segment + 8)) for number in range(segments)
    ]
    return max(ends, default=0) > size
