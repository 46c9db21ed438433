"""What changed beyond noise between two results of the same run."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from nmt.errors import NmtError

Measures = Mapping[str, Mapping[str, Any]]  # name -> value, noise, unit


def compare(before: Measures, now: Measures) -> Iterator[str]:
    """One line a measure; a difference counts where it is larger than both noises together, sqrt(a^2 + b^2)."""
    for name in dict.fromkeys([*before, *now]):
        if name not in now:
            yield f"gone       {name}: was {_text(before[name])}"
        elif name not in before:
            yield f"new        {name}: {_text(now[name])}"
        else:
            difference = now[name]["value"] - before[name]["value"]
            noise = math.hypot(now[name]["noise"], before[name]["noise"])
            sign = "as before" if abs(difference) <= noise else "CHANGED  "
            yield f"{sign}  {name}: {_text(before[name])} -> {_text(now[name])} ({difference:+.4g})"


def refuse_misfits(run: str, measures: Measures) -> None:
    """Raises: NmtError unless each measure has a finite value, a noise of at least 0, and a unit."""
    for name, measure in measures.items():
        value: Any = measure.get("value")
        noise: Any = measure.get("noise")
        if not _finite(value) or not _finite(noise) or noise < 0 or not measure.get("unit"):
            raise NmtError(
                f"evaluation.{run}: the measure {name!r} needs value, noise and unit, got {dict(measure)}; see evaluation/README.md"
            )


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _text(measure: Mapping[str, Any]) -> str:
    noise = f" ± {measure['noise']:.3g}" if measure["noise"] else ""
    return f"{measure['value']:.4g}{noise} {measure['unit']}"
