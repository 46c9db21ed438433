"""What training shows: lines that fit, signatures once, and on a terminal a bar that begins
where the run does."""

import io
import re
import sys

import pytest

from nmt.commands.progress import shown
from nmt.scoring.bleu import Score
from nmt.training.events import Advanced, Ended, Event, Note, Report, Started, Validated
from nmt.training.state import Window
from nmt.training.validation import Validation

LARGE = Window(
    updates=50, clipped=50, pieces=10, smoothed=100.0, cross_entropy=109.99, norm_sum=50 * 99.99
)
SCORES = [
    Score("BLEU", 45.67, "nrefs:1|case:mixed|version:2.6.0"),
    Score("chrF2", 60.12, "nrefs:1|nc:6|version:2.6.0"),
]


def report(update: int) -> Report:
    return Report(update, 100_000, 14, LARGE, 0.00123, 123_456.0, 36_000.0)


def validated(update: int, is_best: bool) -> Validated:
    return Validated(update, 3, Validation(2.3456, SCORES), is_best)


def shown_on(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, *events: Event, select: str = "bleu"
) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with shown(select) as show:
        for event in events:
            show(event)
    return stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_tells_signatures_once_and_the_score_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = Ended(200, True, 100, 45.67, 3723.0)
    text = shown_on(
        io.StringIO(),
        monkeypatch,
        Note("reading"),
        Started("begun", 0, 200),
        validated(100, True),
        validated(200, False),
        ended,
    )
    assert text.splitlines() == [
        "nmt: reading",
        "nmt: begun",
        "nmt: BLEU is nrefs:1|case:mixed|version:2.6.0",
        "nmt: chrF2 is nrefs:1|nc:6|version:2.6.0",
        (
            "nmt: validation at update 100, epoch 3: loss 2.346, BLEU 45.7, chrF2 60.1, the best"
            " so far"
        ),
        "nmt: validation at update 200, epoch 3: loss 2.346, BLEU 45.7, chrF2 60.1",
        "nmt: finished at update 200 after 1:02:03, best at update 100: BLEU 45.7",
    ]


@pytest.mark.parametrize(
    ("event", "select", "expected"),
    [
        (Ended(7, False, 0, None, 61.0), "bleu", "stopped at update 7 after 0:01:01"),
        (
            Ended(7, True, 5, -1.5, 0.0),
            "loss",
            "finished at update 7 after 0:00:00, best at update 5: loss 1.500",
        ),
    ],
)
def test_the_end_says_what_there_is(
    event: Ended, select: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown_on(io.StringIO(), monkeypatch, event, select=select) == f"nmt: {expected}\n"


def test_a_line_of_a_log_fits_a_hundred_columns_and_drops_the_least_of_its_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = Window(updates=50, clipped=5, pieces=10, cross_entropy=23.456, norm_sum=50 * 1.234)
    small = report(50)._replace(
        updates=640, epoch=1, window=window, seconds_left=60.0, pieces_per_second=9876.0
    )
    full, crowded = shown_on(io.StringIO(), monkeypatch, small, report(100_000)).splitlines()
    figures = "9,876 pieces/s gradient 1.23 clipped 10%"  # for the rate no column is left
    assert full == f"nmt: update 50/640 epoch 1 loss 2.346 left 0:01:00 {figures}"
    assert (
        crowded == "nmt: update 100,000/100,000 epoch 14 loss 10.999 left 10:00:00 123,456 pieces/s"
    )
    assert max(len(full), len(crowded)) <= 100


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
def test_a_bar_fits_the_terminal_and_begins_where_the_run_does(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda stream: (columns, 30))
    events = [
        Note("reading"),
        Started("continuing", 160, 640),
        Advanced(161),
        report(161)._replace(updates=640),
        validated(161, True),
    ]
    text = shown_on(Terminal(), monkeypatch, *events)
    bars = [part for part in re.split("[\r\n]", text) if "%|" in part]
    assert "| 160/640 [" in bars[0]
    assert "| 161/640 [" in bars[-1]
    assert "epoch 14" in bars[-1]
    assert ("pieces/s" in bars[-1]) == (columns >= 80)
    assert ("clipped" in bars[-1]) == (columns >= 140)
    assert all(len(bar) <= columns for bar in bars)
    assert text.startswith("nmt: reading\n")
    assert not re.search(r"%\|[^\r\n]*nmt:", text), "a message stands in the bar"
    assert "0 updates" not in text
