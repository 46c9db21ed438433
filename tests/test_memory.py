"""`python -m evaluation memory`: a corpus of any size without repetition, and growth by pair."""

import shutil
from itertools import islice
from pathlib import Path

import pytest

from evaluation import memory
from evaluation.compare import refuse_misfits
from nmt.errors import NmtError
from nmt.text.corpus import read_pairs


def test_a_made_up_pair_is_a_pair_of_the_corpus_and_the_one_n_places_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    three = list(islice(read_pairs(memory.BUNDLED, "nl", "en"), 3))
    monkeypatch.setattr(memory, "read_pairs", lambda *_: iter(three))
    found = list(islice(memory.made_up_pairs(), 6))
    places = [(0, 1), (1, 2), (2, 0), (0, 2), (1, 0), (2, 1)]
    assert found == [
        (f"{three[a].source} {three[b].source}", f"{three[a].target} {three[b].target}")
        for a, b in places
    ]


def test_a_written_corpus_has_the_size_asked_for(tmp_path: Path) -> None:
    memory.write_corpus(tmp_path, 1234)
    assert len(list(read_pairs(str(tmp_path / "train"), "nl", "en"))) == 1234


def test_growth_is_the_difference_of_the_peaks_by_pair() -> None:
    peaks = {
        1000: dict.fromkeys(memory.PHASES, (5e6, 1.0)),
        3000: dict.fromkeys(memory.PHASES, (5e6 + 16_000, 2.0)),
    }
    found = memory.measures_of(peaks)
    refuse_misfits("memory", found)
    assert found["store: growth from 1,000 to 3,000 pairs"]["value"] == 8
    assert found["1,000 pairs, store: memory"]["value"] == 5
    assert len(found) == 2 * 3 * 2 + 3


def test_memory_is_what_a_process_has_for_itself(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("VmRSS:\t  300 kB\nRssAnon:\t  100 kB\nRssFile:\t  200 kB\n")
    assert memory.own_memory(status) == 102_400
    assert memory.own_memory(tmp_path / "ended") == 0


def test_a_training_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.executable", shutil.which("false")
    )  # in place of Python: it ends with status 1
    with pytest.raises(NmtError, match=r"run: training ended with status 1:"):
        memory.watched(tmp_path)
