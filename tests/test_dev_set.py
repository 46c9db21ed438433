"""A Hub data set's dev set is read once; the run folder keeps it."""

import shutil
from dataclasses import replace

import datasets
import pytest
from training_runs import assert_same_run, stop_after

from nmt.errors import NmtError
from nmt.recipe import DataConfig
from nmt.run_folder import RunFolder
from nmt.text.corpus import read_parallel
from nmt.text.dev_split import read_copy
from nmt.training import dev_set
from nmt.training.dev_set import Dev, keep_dev, read_dev
from nmt.training.run import train

DEV = ["een", "", "drie\u2028d"], ["one", "two\x85", ""]


def data(dev="hf://owner/name#validation", source="nl"):
    return DataConfig(train=("t",), dev=dev, source=source, target="en")


def reads(monkeypatch):
    """What is read from now on; each reading gives DEV."""
    read = []

    def read_parallel(specification, source, target, split):
        read.append((specification, source, target, split))
        return DEV

    monkeypatch.setattr(dev_set, "read_parallel", read_parallel)
    return read


def kept(run, pairs=DEV, config=None):
    """Keeps a dev set as one of a data set."""
    config = config or data()
    keep_dev(
        run,
        Dev(
            pairs,
            {"dev": config.dev, "source": config.source, "target": config.target},
            is_split=False,
        ),
    )


def checkpoint(run):
    """Lets a folder look like that of a run which goes on."""
    (run / "checkpoints" / "update-000001").mkdir(parents=True)


def test_the_copy_is_read_in_place_of_the_data_set(tmp_path, monkeypatch):
    read = reads(monkeypatch)
    dev = read_dev(data(), tmp_path)
    assert dev.pairs == DEV
    keep_dev(tmp_path, dev)
    assert read_dev(data(), tmp_path).pairs == DEV
    assert read == [("hf://owner/name#validation", "nl", "en", "dev")]


def test_a_copy_that_is_there_is_not_written_again(tmp_path):
    kept(tmp_path)
    written = RunFolder(tmp_path).dev.stat()
    kept(tmp_path)
    assert RunFolder(tmp_path).dev.stat() == written
    kept(tmp_path, (["a"], ["b"]))
    assert read_dev(data(), tmp_path).pairs == (["a"], ["b"])


def test_an_empty_dev_set_is_kept_too(tmp_path, monkeypatch):
    read = reads(monkeypatch)
    kept(tmp_path, ([], []))
    assert read_dev(data(), tmp_path).pairs == ([], [])
    assert not read


def test_the_copy_of_another_data_set_or_direction_is_not_read(tmp_path, monkeypatch):
    kept(tmp_path, (["x"], ["y"]))
    read = reads(monkeypatch)
    assert (
        read_dev(data("hf://owner/other"), tmp_path).pairs
        == read_dev(data(source="fy"), tmp_path).pairs
        == DEV
    )
    assert len(read) == 2


def test_text_files_are_read_again_and_copied_too(tmp_path, monkeypatch):
    read = reads(monkeypatch)
    for _ in range(2):
        keep_dev(tmp_path, read_dev(data("corpus/dev"), tmp_path))
    assert len(read) == 2
    assert read_copy(tmp_path).pairs == DEV


def test_a_dev_set_that_has_changed_is_refused_once_it_has_judged_checkpoints(
    tmp_path, monkeypatch
):
    now = (["een", "twee"], ["one", "TWO"])
    kept(tmp_path, (["een", "twee"], ["one", "two"]), data("dev"))
    monkeypatch.setattr(dev_set, "read_parallel", lambda *_: now)
    assert read_dev(data("dev"), tmp_path).pairs == now
    checkpoint(tmp_path)
    message = (
        r"the dev set has changed since this run began \(2 lines then, 2 now, the first difference"
        r" in line 2\): .*; put elsewhere/dev back"
    )
    with pytest.raises(NmtError, match=message):
        read_dev(data("elsewhere/dev"), tmp_path)
    now[1][1] = "two"
    assert read_dev(data("elsewhere/dev"), tmp_path).note == ""  # the content counts, not the name
    now[0].append("drie")
    now[1].append("three")
    with pytest.raises(NmtError, match=r"2 lines then, 3 now, the first difference in line 3"):
        read_dev(data("dev"), tmp_path)


def test_a_run_goes_on_with_its_copy_where_the_dev_set_is_gone(tmp_path):
    gone = data(str(tmp_path / "gone"))
    kept(tmp_path, DEV, gone)
    with pytest.raises(NmtError, match="found neither"):
        read_dev(gone, tmp_path)
    checkpoint(tmp_path)
    dev = read_dev(gone, tmp_path)
    assert dev.pairs == DEV
    assert dev.note.startswith("going on with the run's own copy of the dev set (")


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: text.replace("one", "two"),
        lambda text: "",
        lambda text: "3\n[]",
    ],
)
def test_a_damaged_copy_is_refused(tmp_path, damage):
    kept(tmp_path)
    path = RunFolder(tmp_path).dev
    path.write_text(damage(path.read_text()))
    with pytest.raises(
        NmtError,
        match=r"dev.jsonl: damaged; delete it, then the dev set is read again from where it came",
    ):
        read_dev(data(), tmp_path)


def test_a_run_goes_on_where_the_data_set_cannot_be_reached_any_more(tmp_path, tiny_recipe):
    pairs = read_parallel(tiny_recipe.data.dev, "nl", "en")
    rows = [{"nl": source, "en": target} for source, target in zip(*pairs, strict=True)]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    recipe = replace(tiny_recipe, data=replace(tiny_recipe.data, dev=f"hf://{tmp_path}/saved"))
    list(train(recipe, tmp_path / "whole"))
    list(train(recipe, tmp_path / "parted", stop_after(4)))
    shutil.rmtree(tmp_path / "saved")
    list(train(recipe, tmp_path / "parted"))
    assert_same_run(tmp_path / "whole", tmp_path / "parted")
