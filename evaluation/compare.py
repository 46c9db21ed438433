"""What changed beyond noise between two results of the same run."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from nmt.errors import NmtError

Measures = Mapping[str, Mapping[str, Any]]  # name -> value, noise, unit
PEAK = "of the peak"  # the unit of what is judged as slower or not
TIMED = re.compile(
    r"^s\b|/s\b|\b(time|speed|rate|peak)\b"
)  # in the unit of a measure that another processor changes


def compare(before: Measures, now: Measures, elsewhere: str = "") -> Iterator[str]:
    """One line a measure; a difference counts where it is larger than both noises together,
    sqrt(a^2 + b^2).

    `elsewhere` names the processor of `before` where that is another one: a first line says so, and
    what is timed is not judged.
    """
    if elsewhere and any(is_timed(before[name]) for name in before.keys() & now.keys()):
        yield (
            f"the committed results are of another processor, {elsewhere}: what is timed is shown"
            " beside them, not compared"
        )
    for name in dict.fromkeys([*before, *now]):
        if name not in now:
            yield f"gone       {name}: was {_text(before[name])}"
        elif name not in before:
            yield f"new        {name}: {_text(now[name])}"
        else:
            difference = now[name]["value"] - before[name]["value"]
            noise = math.hypot(now[name]["noise"], before[name]["noise"])
            sign = "as before" if abs(difference) <= noise else "CHANGED  "
            if elsewhere and is_timed(now[name]):
                sign = "elsewhere"
            yield f"{sign}  {name}: {_text(before[name])} -> {_text(now[name])} ({difference:+.4g})"


def slowdowns(before: Measures, now: Measures, bound: float) -> Iterator[str]:
    """The shares of a peak that fell by more than this part of what they were.

    A share alone is judged: the clock and what others do on the machine are in both of its figures.
    """
    for name in [name for name in before if name in now and now[name]["unit"] == PEAK]:
        was, value = before[name]["value"], now[name]["value"]
        if value < (1 - bound) * was:
            yield (
                f"{name}: {_text(before[name])} -> {_text(now[name])}, {1 - value / was:.0%} slower"
            )


def is_timed(measure: Mapping[str, Any]) -> bool:
    """Whether the processor decides: the unit names seconds, a time, a speed, a rate or a peak."""
    return TIMED.search(str(measure["unit"])) is not None


def refuse_misfits(run: str, measures: Measures) -> None:
    """Raises: NmtError unless each measure has a finite value, a noise of at least 0, and a
    unit."""
    for name, measure in measures.items():
        value: Any = measure.get("value")
        noise: Any = measure.get("noise")
        if not _finite(value) or not _finite(noise) or noise < 0 or not measure.get("unit"):
            raise NmtError(
                f"evaluation.{run}: the measure {name!r} needs value, noise and unit, got"
                f" {dict(measure)}; see evaluation/README.md"
            )


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _text(measure: Mapping[str, Any]) -> str:
    noise = f" ± {measure['noise']:.3g}" if measure["noise"] else ""
    return f"{measure['value']:.4g}{noise} {measure['unit']}"
