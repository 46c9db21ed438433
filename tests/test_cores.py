import os
from pathlib import Path

import pytest

from nmt.machine import usable_cores


@pytest.fixture
def four_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A system of two cores with two hardware threads each."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    for number, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        topology = tmp_path / f"devices/system/cpu/cpu{number}/topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{siblings}\n")
    (tmp_path / "fs/cgroup").mkdir(parents=True)
    return tmp_path


def test_hardware_threads_of_a_core_count_once(four_processors: Path) -> None:
    assert usable_cores(four_processors) == 2


def test_cores_that_are_not_ours_do_not_count(
    four_processors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2})
    assert usable_cores(four_processors) == 1


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("max 100000", 2), ("150000 100000", 2), ("100000 100000", 1), ("20000 100000", 1)],
)
def test_a_containers_limit_counts(limit: str, cores: int, four_processors: Path) -> None:
    (four_processors / "fs/cgroup/cpu.max").write_text(f"{limit}\n")
    assert usable_cores(four_processors) == cores


def test_where_nothing_is_told_every_processor_is_a_core(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 5})
    assert usable_cores(tmp_path) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cores(tmp_path) == 7
