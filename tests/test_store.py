"""The store gives back the corpus in pieces, appears whole or not at all, and counts what it
leaves out."""

import json
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nmt.data import store as module
from nmt.data.store import Store, build_store, open_store
from nmt.errors import NmtError
from nmt.recipe import DataConfig, SubwordsConfig
from nmt.text.clean import BLANK, Audit
from nmt.text.corpus import Pair
from nmt.text.subwords import SubwordPair, train_subwords

DATA = DataConfig(train=("a",), dev="a", source="nl", target="en")
PAIRS = [
    Pair(
        f"hond {number} " * (1 + number % 7), f"dog {number} " * (1 + number % 5), f"a.nl:{number}"
    )
    for number in range(1, 101)
]
CHARACTERS = train_subwords(
    (text for pair in PAIRS for text in pair[:2]),
    SubwordsConfig(variety=0.0, kind="char"),
    400,
    seed=1,
)
SUBWORDS = SubwordPair(CHARACTERS, CHARACTERS)  # "hond" is 5 pieces: the space mark and 4 letters


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(module, "ROWS", 7)  # several batches of rows, the last one smaller
    return build_store(tmp_path / "store", PAIRS, SUBWORDS, DATA, Audit(read=len(PAIRS)), "print")


def test_rows_come_back_in_the_order_asked_for(store: Store) -> None:
    indices = np.array([99, 0, 41, 42, 0])
    sources, targets = store.ids(indices)
    wanted = [PAIRS[index] for index in indices]
    assert [ids.tolist() for ids in sources] == CHARACTERS.encode([pair.source for pair in wanted])
    assert [ids.tolist() for ids in targets] == CHARACTERS.encode([pair.target for pair in wanted])
    assert store.texts(indices) == (
        [pair.source for pair in wanted],
        [pair.target for pair in wanted],
    )
    assert [store.where(int(index)) for index in indices] == [pair.where for pair in wanted]


def test_lengths_are_those_of_the_ids(store: Store) -> None:
    sources, targets = store.ids(np.arange(len(store)))
    assert store.source_lengths.tolist() == [len(ids) for ids in sources]
    assert store.target_lengths.tolist() == [len(ids) for ids in targets]
    assert store.source_lengths.dtype == store.target_lengths.dtype == np.int32


def test_lengths_are_on_disk_as_numpy_writes_them(store: Store, tmp_path: Path) -> None:
    for side in ("source", "target"):
        np.save(tmp_path / "whole.npy", np.array(getattr(store, f"{side}_lengths")))
        assert (tmp_path / "store" / f"{side}_lengths.npy").read_bytes() == (
            tmp_path / "whole.npy"
        ).read_bytes()


def test_memory_does_not_grow_while_a_store_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 500)
    held = []

    def pairs() -> Iterator[Pair]:
        for number in range(50_000):
            if number in (5_000, 45_000):
                held.append(tracemalloc.get_traced_memory()[0])
            yield Pair("hond", "dog", f"a.nl:{number:09}")

    tracemalloc.start()
    build_store(tmp_path / "store", pairs(), SUBWORDS, DATA, Audit())
    tracemalloc.stop()
    assert (
        held[1] - held[0] < 160_000
    )  # half of what 8 bytes for the length of each of 40,000 pairs would be; other things took 41 KB once  # noqa: E501


def test_no_rows_are_no_rows(store: Store) -> None:
    nothing = np.array([], np.int64)
    assert store.ids(nothing) == ([], [])
    assert store.texts(nothing) == ([], [])


def test_written_equals_opened(store: Store, tmp_path: Path) -> None:
    again = open_store(tmp_path / "store")
    assert len(again) == len(store) == len(PAIRS)
    assert again.fingerprint == "print"
    assert again.summary == ("100 of 100 pairs kept",)
    assert again.texts(np.arange(100)) == store.texts(np.arange(100))


def test_a_new_store_replaces_the_old_one(store: Store, tmp_path: Path) -> None:
    new = build_store(tmp_path / "store", PAIRS[:3], SUBWORDS, DATA, Audit())
    assert len(new) == len(open_store(tmp_path / "store")) == 3
    assert len(store.texts(np.arange(100))[0]) == 100  # who has the old one open can still read it


def test_a_store_cut_off_does_not_appear(tmp_path: Path) -> None:
    def pairs() -> Iterator[Pair]:
        yield from PAIRS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_store(tmp_path / "store", pairs(), SUBWORDS, DATA, Audit())
    assert not (tmp_path / "store").exists()
    assert len(build_store(tmp_path / "store", PAIRS, SUBWORDS, DATA, Audit())) == 100
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


KILLED = """
import os, signal, sys
from pathlib import Path
from nmt.data import store
from nmt.text.clean import Audit
from nmt.text.corpus import Pair
from test_store import DATA, PAIRS, SUBWORDS

def pairs():
    yield from PAIRS[:50]
    os.kill(os.getpid(), signal.SIGKILL)

store.ROWS = 7
store.build_store(Path(sys.argv[1]), pairs(), SUBWORDS, DATA, Audit())
"""


def test_a_build_that_is_killed_half_way_is_begun_again(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)], cwd=Path(__file__).parent, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "killed.partial" / "pairs.arrow").stat().st_size > 0
    with pytest.raises(NmtError, match=r"killed: not a whole store of pairs"):
        open_store(folder)
    with pytest.raises(NmtError, match=r"killed.partial: not a whole store of pairs"):
        open_store(tmp_path / "killed.partial")
    build_store(folder, PAIRS, SUBWORDS, DATA, Audit(read=len(PAIRS)), "print")
    for file in (tmp_path / "store").iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes()
    assert not (tmp_path / "killed.partial").exists()


def test_pairs_too_long_or_too_unequal_are_counted(tmp_path: Path) -> None:
    data = DataConfig(train=("a",), dev="a", source="nl", target="en", max_length=10, max_ratio=2)
    texts = [
        ("hond", "hond"),
        ("hond hond", "hondhond"),
        ("hond hond h", "hond hond"),
        ("hon hon", "hon"),
        ("hond hon", "hon"),
        ("\u2581", "hon"),
    ]
    audit = Audit(read=len(texts))
    store = build_store(
        tmp_path / "store",
        [Pair(*text, f"a:{n}") for n, text in enumerate(texts, 1)],
        SUBWORDS,
        data,
        audit,
    )
    # pieces: 5/5, 10/9, 12/10 too long, 8/4 just within the ratio, 9/4 above it, 0/4 blank (a lone
    # space mark is a space)
    assert [store.where(index) for index in range(len(store))] == ["a:1", "a:2", "a:4"]
    assert audit.left_out == {
        "longer than 10 pieces (data.max_length)": 1,
        "one side over 2 times as long (data.max_ratio)": 1,
        BLANK: 1,
    }
    assert store.summary == tuple(audit.summary())


def test_no_pair_left_is_refused(tmp_path: Path) -> None:
    audit = Audit(read=1)
    with pytest.raises(
        NmtError,
        match=(
            r"no pair is left to learn from \(0 of 1 pairs kept; 1 left out, longer than 200 .*\);"
            r" check the corpus and"
        ),
    ):
        build_store(tmp_path / "store", [Pair("x" * 300, "x" * 300, "a:1")], SUBWORDS, DATA, audit)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["store.json", "pairs.arrow", "source_lengths.npy", "target_lengths.npy"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_part_of_a_store_is_refused(store: Store, tmp_path: Path, name: str, damage: str) -> None:
    path = tmp_path / "store" / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(
        NmtError, match=r"store: not a whole store of pairs \(.*\); delete it, it is made again"
    ):
        open_store(tmp_path / "store")


@pytest.mark.parametrize(
    "content", ["[]", "{}", json.dumps({"pairs": 99, "fingerprint": "x", "summary": []})]
)
def test_a_store_that_contradicts_itself_is_refused(
    store: Store, tmp_path: Path, content: str
) -> None:
    (tmp_path / "store" / "store.json").write_text(content)
    with pytest.raises(NmtError, match=r"store: not a whole store of pairs"):
        open_store(tmp_path / "store")
