"""From numbers to places on a plot, and the round numbers that an axis shows."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Scale(NamedTuple):
    """A range of values laid along a range of pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        low, high = (math.log10(self.low), math.log10(self.high)) if self.logarithmic else (self.low, self.high)
        value = math.log10(value) if self.logarithmic else value
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values within the range."""
        if self.logarithmic:
            powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            return [10.0**power for power in powers]
        step = nice_step((self.high - self.low) / max(1, count - 1))
        first = math.ceil(self.low / step - 1e-9)
        return [tick * step for tick in range(first, math.floor(self.high / step + 1e-9) + 1)]


def nice_step(rough: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next((step * power for step in (1, 2, 5) if step * power >= rough * (1 - 1e-9)), 10 * power)


def scale_over(values: Sequence[float], start: float, end: float, logarithmic: bool = False, from_zero: bool = False) -> Scale:
    """A scale that holds all of these values, with its ends on round numbers; a single value gets some room around it."""
    if logarithmic and (low := min(values, default=0.0)) > 0:
        powers = math.floor(math.log10(low)), math.ceil(math.log10(max(values)))
        return Scale(10.0 ** powers[0], 10.0 ** max(powers[0] + 1, powers[1]), start, end, True)
    held = [*values, *([0.0] if from_zero or not values else [])]
    low, high = min(held), max(held)
    if high == low:
        low, high = low - 0.5, high + 0.5
    step = nice_step((high - low) / 4)
    return Scale(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, end)


def short(value: float) -> str:
    """A number as an axis shows it: 12k, 0.003, 4.5."""
    if value == 0:
        return "0"
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= factor:
            return f"{value / (1e3 if unit == 'k' else factor):.3g}{unit}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
