"""A Hub data set's dev set is read once; the run folder keeps it."""

import shutil
from dataclasses import replace

import datasets
import pytest
from training_runs import assert_same_run, stop_after

from nmt.config import DataConfig
from nmt.data.corpus import read_parallel
from nmt.errors import NmtError
from nmt.training import dev_set
from nmt.training.dev_set import COPY, keep_dev, read_dev
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


def test_the_copy_is_read_in_place_of_the_data_set(tmp_path, monkeypatch):
    read = reads(monkeypatch)
    assert read_dev(data(), tmp_path) == DEV
    keep_dev(data(), tmp_path, DEV)
    assert read_dev(data(), tmp_path) == DEV
    assert read == [("hf://owner/name#validation", "nl", "en", "dev")]


def test_a_copy_that_is_there_is_not_written_again(tmp_path):
    keep_dev(data(), tmp_path, DEV)
    written = (tmp_path / COPY).stat()
    keep_dev(data(), tmp_path, DEV)
    assert (tmp_path / COPY).stat() == written
    keep_dev(data(), tmp_path, (["a"], ["b"]))
    assert read_dev(data(), tmp_path) == (["a"], ["b"])


def test_an_empty_dev_set_is_kept_too(tmp_path, monkeypatch):
    read = reads(monkeypatch)
    keep_dev(data(), tmp_path, ([], []))
    assert read_dev(data(), tmp_path) == ([], [])
    assert not read


def test_the_copy_of_another_data_set_or_direction_is_not_read(tmp_path, monkeypatch):
    keep_dev(data(), tmp_path, (["x"], ["y"]))
    read = reads(monkeypatch)
    assert read_dev(data("hf://owner/other"), tmp_path) == read_dev(data(source="fy"), tmp_path) == DEV
    assert len(read) == 2


def test_text_files_are_not_copied(tmp_path, monkeypatch):
    reads(monkeypatch)
    keep_dev(data("corpus/dev"), tmp_path, DEV)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-20], lambda text: text.replace("one", "two"), lambda text: "", lambda text: "3\n[]"]
)
def test_a_damaged_copy_is_refused(tmp_path, damage):
    keep_dev(data(), tmp_path, DEV)
    path = tmp_path / COPY
    path.write_text(damage(path.read_text()))
    with pytest.raises(NmtError, match=r"dev.jsonl: damaged; delete it, then the dev set is read from hf://owner/name#validation again"):
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
