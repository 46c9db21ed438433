"""Runs on disks without links, locks or leave to write, and copies of runs that lost their
links."""

import builtins
import errno
import fcntl
import io
import os
import shutil
from pathlib import Path

import pytest
from conftest import recipe_in
from training_runs import assert_same_run, stop_after

from nmt.errors import NmtError
from nmt.folders import open_folder
from nmt.run_folder import RunFolder
from nmt.training.checkpoint import point, prune
from nmt.training.run import train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The recipe, a finished run of it, and the same run stopped after its first validation."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = recipe_in(folder)
    list(train(recipe, folder / "whole"))
    list(train(recipe, folder / "half", stop=stop_after(9)))
    return recipe, folder / "whole", folder / "half"


def refuse(number):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    return refused


def test_training_needs_no_links(tmp_path, runs, monkeypatch):
    recipe, whole, _ = runs
    monkeypatch.setattr(os, "symlink", refuse(errno.EPERM))
    list(train(recipe, tmp_path / "run", stop=stop_after(9)))
    list(train(recipe, tmp_path / "run"))
    assert_same_run(whole, tmp_path / "run")
    for name in ("best", "last"):
        text = (tmp_path / "run" / name).read_text()
        assert text == f"checkpoints/{RunFolder(whole).pointed(name).name}\n"
        expected = (
            tmp_path
            / "run"
            / "checkpoints"
            / RunFolder(whole).pointed(name).name
            / "averaged.safetensors"
        )
        assert open_folder(tmp_path / "run" / name).weights == expected
    assert open_folder(tmp_path / "run").weights.parent == RunFolder(tmp_path / "run").pointed(
        "best"
    )


def test_training_needs_no_locks(tmp_path, runs, monkeypatch):
    recipe, _, half = runs
    shutil.copytree(half, tmp_path / "run", symlinks=True)
    monkeypatch.setattr(fcntl, "flock", refuse(errno.EOPNOTSUPP))
    events = list(train(recipe, tmp_path / "run", stop=stop_after(1)))
    assert events[0].text.startswith(
        f"{tmp_path / 'run'}: this file system has no locks (Operation not supported); see to it"
        " that nothing"
    )
    assert not events[-1].finished


def test_a_finished_run_on_a_read_only_disk_is_done(runs, monkeypatch):
    recipe, whole, half = runs
    real = open

    def read_only(path, mode="r", *rest, **more):
        return refuse(errno.EROFS)() if set(mode) & set("wax+") else real(path, mode, *rest, **more)

    real_descriptor = os.open

    def read_only_descriptor(path, flags, *rest, **more):
        return (
            refuse(errno.EROFS)()
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            else real_descriptor(path, flags, *rest, **more)
        )

    monkeypatch.setattr(os, "open", read_only_descriptor)
    for name in ("replace", "symlink", "mkdir", "unlink", "rmdir", "truncate"):
        monkeypatch.setattr(os, name, refuse(errno.EROFS))
    monkeypatch.setattr(builtins, "open", read_only)
    monkeypatch.setattr(io, "open", read_only)
    *_, ended = train(recipe, whole)
    assert ended.finished
    with pytest.raises(NmtError, match=r"cannot write it \(Read-only file system\)"):
        list(train(recipe, half))


def copy_following_links(run: Path, copy: Path) -> None:
    shutil.copytree(run, copy)


def copy_leaving_links_out(run: Path, copy: Path) -> None:
    shutil.copytree(
        run,
        copy,
        ignore=lambda folder, names: [name for name in names if (Path(folder) / name).is_symlink()],
    )


@pytest.mark.parametrize("copying", [copy_following_links, copy_leaving_links_out])
def test_a_copy_without_links_translates_and_goes_on(tmp_path, runs, copying):
    recipe, whole, half = runs
    copying(half, tmp_path / "run")
    model = open_folder(half).weights.read_bytes()
    assert open_folder(tmp_path / "run").weights.read_bytes() == model
    if (tmp_path / "run" / "best").exists():
        assert open_folder(tmp_path / "run" / "best").weights.read_bytes() == model
    list(train(recipe, tmp_path / "run"))
    assert_same_run(whole, tmp_path / "run")
    assert (tmp_path / "run" / "best").is_symlink()


def test_a_copy_of_a_finished_run_keeps_its_best_when_old_checkpoints_go(tmp_path, runs):
    _, whole, _ = runs
    for name, copying in (("followed", copy_following_links), ("left out", copy_leaving_links_out)):
        copying(whole, tmp_path / name)
        best = RunFolder(tmp_path / name).pointed("best")
        assert best.name == RunFolder(whole).pointed("best").name
        prune(tmp_path / name, keep=1)
        assert best.exists()


def test_a_pointer_that_names_no_checkpoint_is_refused(tmp_path, runs):
    _, _, half = runs
    copy_leaving_links_out(half, tmp_path / "run")
    (tmp_path / "run" / "best").write_text("../../elsewhere")
    with pytest.raises(
        NmtError,
        match=(
            r"best: names no checkpoint, got '../../elsewhere'; delete it, the newest checkpoint is"
            r" used then"
        ),
    ):
        open_folder(tmp_path / "run")


def test_a_pointer_that_is_right_is_left_alone(tmp_path, runs):
    _, _, half = runs
    before = os.lstat(half / "last").st_ino
    point(half, "last", RunFolder(half).pointed("last"))
    assert os.lstat(half / "last").st_ino == before


def test_a_lock_that_is_a_link_is_not_followed(tmp_path, runs):
    recipe, _, half = runs
    copy_following_links(half, tmp_path / "run")
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "run" / ".lock").unlink()
    (tmp_path / "run" / ".lock").symlink_to(precious)
    with pytest.raises(
        NmtError, match=r"run/.lock: a link to .*precious; put what it leads to in its place"
    ):
        list(train(recipe, tmp_path / "run"))
    assert precious.read_text() == "kept"
