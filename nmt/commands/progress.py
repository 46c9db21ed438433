"""How a training run shows on stderr: lines in a log, and on a terminal a bar under the lines."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from nmt.commands.arguments import log

if TYPE_CHECKING:
    from nmt.scoring.bleu import Score
    from nmt.training.events import Ended, Event, Report, Validated

LOG_COLUMNS = 100  # of a line in a log
BAR_COLUMNS = 43  # of a bar of some signs with its numbers and times, beside the figures
BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]{postfix}"
DECIMALS = {"perplexity": 2, "bits per character": 3}  # of scores that are told with more than one
METRICS = {"bleu": "BLEU", "chrf": "chrF2", "loss": "loss"}  # training.select -> the score's name


@contextmanager
def shown(select: str) -> Iterator[Callable[["Event"], None]]:
    """Shows events; `select` is what the best checkpoint is best in.

    The bar begins with the updates, at those that have been made: how many there are is not known
    before.
    """
    from tqdm import tqdm

    from nmt.training.events import Advanced, Report, Started

    signatures: list[str] = []  # that have been told
    bar: tqdm[None] | None = None

    def show(event: "Event") -> None:
        nonlocal bar
        if isinstance(event, Started) and sys.stderr.isatty():
            bar = bar or tqdm(
                initial=event.update,
                total=event.updates,
                bar_format=BAR,
                dynamic_ncols=True,
                leave=False,
            )
        if isinstance(event, Advanced):
            if bar is not None:
                bar.update(event.update - bar.n)  # back after a divergence
            return
        if bar is not None and isinstance(event, Report):
            bar.set_postfix_str(_figures(event, (bar.ncols or LOG_COLUMNS) - BAR_COLUMNS))
            return
        for line in _lines(event, select, signatures):
            if bar is None:
                log(line)
            else:
                bar.write(f"nmt: {line}", file=sys.stderr)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


def _lines(event: "Event", select: str, signatures: list[str]) -> Iterator[str]:
    """What people read about an event; a signature is told once."""
    from nmt.training.events import Ended, Note, Report, Started, Validated

    if isinstance(event, Note | Started):
        yield event.text
    elif isinstance(event, Report):
        start = f"update {event.update:,}/{event.updates:,} "
        yield start + _figures(event, LOG_COLUMNS - len("nmt: ") - len(start), left=True)
    elif isinstance(event, Validated):
        for score in event.validation.scores:
            if score.signature not in signatures:
                signatures.append(score.signature)
                yield f"{score.metric} is {score.signature}"
        yield _validation_line(event)
    elif isinstance(event, Ended):
        yield _end_line(event, select)


def _validation_line(event: "Validated") -> str:
    def short(score: "Score") -> str:
        return f"{score.metric} {score.value:.{DECIMALS.get(score.metric, 1)}f}"

    scores = ", ".join(map(short, event.validation.scores))
    best = ", the best so far" if event.is_best else ""
    return (
        f"validation at update {event.update:,}, epoch {event.epoch}: loss"
        f" {event.validation.loss:.3f}, {scores}{best}"
    )


def _end_line(event: "Ended", select: str) -> str:
    line = (
        f"{'finished' if event.finished else 'stopped'} at update {event.update:,} after"
        f" {duration(event.seconds)}"
    )
    if not event.best_update or event.best_value is None:
        return line
    value = f"{-event.best_value:.3f}" if select == "loss" else f"{event.best_value:.1f}"
    return f"{line}, best at update {event.best_update:,}: {METRICS[select]} {value}"


def _figures(report: "Report", columns: int, left: bool = False) -> str:
    """As many of the figures of the last updates as fit, the dearest first; with `left` the time
    that is left."""
    window = report.window
    found = [f"epoch {report.epoch} loss {window.cross_entropy_mean:.3f}"]
    if left:
        found.append(f"left {duration(report.seconds_left)}")
    for part in (
        f"{report.pieces_per_second:,.0f} pieces/s",
        f"gradient {window.norm_mean:.2f} clipped {window.clipped_share:.0%}",
        f"rate {report.rate:.2g}",
    ):
        if len(" ".join([*found, part])) > columns:
            break
        found.append(part)
    return " ".join(found)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


class LineBar(NamedTuple):
    """How to tell of it."""

    advance: Callable[[int], object]  # by so many lines
    say: Callable[[str], None]  # a message


NO_BAR = LineBar(bool, log)  # lines are not counted, messages are told


@contextmanager
def line_bar(total: int | None) -> Iterator[LineBar]:
    """A bar of `total` lines, None where their number is unknown."""
    from tqdm import tqdm

    with tqdm(total=total, unit=" lines", dynamic_ncols=True, file=sys.stderr) as bar:
        yield LineBar(bar.update, lambda message: bar.write(f"nmt: {message}", file=sys.stderr))
