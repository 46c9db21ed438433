"""How many workers a machine keeps busy."""

import os
from pathlib import Path


def usable_cores(system: Path = Path("/sys")) -> int:
    """Physical cores that this process may use: the hardware threads of a core share the units that translation keeps busy.

    A container's limit on processor time counts too. Where the system does not tell, every processor is a core.
    """
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    siblings = {_text(system / f"devices/system/cpu/cpu{number}/topology/thread_siblings_list") or str(number) for number in processors}
    quota, _, period = _text(system / "fs/cgroup/cpu.max").partition(" ")  # microseconds; "max" where there is no limit
    limit = -(-int(quota) // int(period)) if quota.isdecimal() and period.isdecimal() else len(siblings)
    return min(len(siblings), max(1, limit))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
