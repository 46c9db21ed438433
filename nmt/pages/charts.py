"""Line charts and histograms as SVG, and their scales: page.css gives the colours, page.js the
readings."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from nmt.pages.markup import data, details, escape, table


class Scale(NamedTuple):
    """A range of values laid along a range of pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        low, high = (
            (math.log10(self.low), math.log10(self.high))
            if self.logarithmic
            else (self.low, self.high)
        )
        value = math.log10(value) if self.logarithmic else value
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values within the range."""
        if self.logarithmic:
            powers = range(
                math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1
            )
            return [10.0**power for power in powers]
        step = nice_step((self.high - self.low) / max(1, count - 1))
        first = math.ceil(self.low / step - 1e-9)
        return [tick * step for tick in range(first, math.floor(self.high / step + 1e-9) + 1)]


def nice_step(rough: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(
        (step * power for step in (1, 2, 5) if step * power >= rough * (1 - 1e-9)), 10 * power
    )


def scale_over(
    values: Sequence[float],
    start: float,
    end: float,
    logarithmic: bool = False,
    from_zero: bool = False,
) -> Scale:
    """A scale that holds all of these values, with its ends on round numbers; a single value
    gets some room around it."""
    if logarithmic and (low := min(values, default=0.0)) > 0:
        powers = math.floor(math.log10(low)), math.ceil(math.log10(max(values)))
        return Scale(10.0 ** powers[0], 10.0 ** max(powers[0] + 1, powers[1]), start, end, True)
    held = [*values, *([0.0] if from_zero or not values else [])]
    low, high = min(held), max(held)
    if high == low:
        low, high = low - 0.5, high + 0.5
    step = nice_step((high - low) / 4)
    return Scale(
        math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, end
    )


def short(value: float) -> str:
    """A number as an axis shows it: 12k, 0.003, 4.5."""
    if value == 0:
        return "0"
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= factor:
            return f"{value / (1e3 if unit == 'k' else factor):.3g}{unit}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 34
POINTS = 240  # of a line at most: more cannot be seen
ROWS = 12  # of the table beside a chart


COLOURS = 6  # in page.css


class Series(NamedTuple):
    """One line; None is a gap."""

    name: str
    xs: list[float]
    ys: list[float | None]
    colour: int = 0  # modulo COLOURS
    kind: str = "line"  # line, thin, dashed or dots (a line with a dot at each value)


class Chart(NamedTuple):
    """What a plot shows and how."""

    title: str
    x_name: str
    y_name: str
    series: list[Series]
    logarithmic: bool = False
    from_zero: bool = False
    in_words: bool = True  # last, lowest and highest values are written below


def line_chart(chart: Chart) -> str:
    """A figure with plot, legend, a line that reads out values, and a table of them; without any
    value a note that says so."""
    whole = [clean(each, chart.logarithmic) for each in chart.series]
    whole = [each for each in whole if any(y is not None for y in each.ys)]
    series = [thinned(each) for each in whole]
    if not series:
        return (
            f'<figure class="chart"><figcaption>{escape(chart.title)}</figcaption><p'
            ' class="gap">Not recorded.</p></figure>\n'
        )
    xs = [x for each in series for x in each.xs]
    ys = [y for each in series for y in each.ys if y is not None]
    x_scale = Scale(0, max(1.0, *xs), LEFT, WIDTH - RIGHT)
    y_scale = scale_over(ys, HEIGHT - BOTTOM, TOP, chart.logarithmic, chart.from_zero)
    lines = "".join(_line(each, x_scale, y_scale) for each in series)
    label = f"{chart.title}: {chart.y_name} by {chart.x_name}. " + " ".join(
        _summary(each) for each in series
    )
    unit = (
        ""
        if chart.y_name.lower() in chart.title.lower()
        else f" <small>{escape(chart.y_name)}</small>"
    )
    points = {
        "scale": [*x_scale[:4]],
        "series": [{"name": each.name, "x": each.xs, "y": each.ys} for each in series],
        "x": chart.x_name,
    }
    return (
        "<figure"
        f' class="chart"><figcaption>{escape(chart.title)}{unit}</figcaption>{_legend(series)}'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" tabindex="0" aria-label="{escape(label)}"'
        f' data-chart="{data(points)}">'
        f'{_axes(x_scale, y_scale, chart)}{lines}<line class="cursor" y1="{TOP}"'
        f' y2="{HEIGHT - BOTTOM}"/></svg>'
        f"{_in_words(whole) if chart.in_words else ''}"
        '<output class="readout"'
        f' aria-live="polite"></output>{details("Table", _table(chart, series))}</figure>\n'
    )


def histogram(
    title: str, x_name: str, groups: Sequence[tuple[str, Sequence[int]]], bins: int = 24
) -> str:
    """Shares of the values in equal bins, one outline a group; the last bin holds everything
    beyond the 99.5th percentile."""
    values = sorted(value for _, group in groups for value in group)
    if not values:
        return line_chart(Chart(title, x_name, "share", []))
    width = max(1, math.ceil((values[int(0.995 * (len(values) - 1))] + 1) / bins))
    series = []
    for colour, (name, group) in enumerate(groups):
        counts = [0] * (bins + 1)
        for value in group:
            counts[min(bins, value // width)] += 1
        last = max((place for place, count in enumerate(counts) if count), default=0)
        shares: list[float | None] = [count / max(1, len(group)) for count in counts[: last + 1]]
        series.append(
            Series(
                name,
                [float(place * width) for place in range(last + 1)],
                shares,
                colour,
                "dots" if colour == 0 else "dashed",
            )
        )
    return line_chart(
        Chart(
            title,
            f"{x_name} (bins of {width})",
            "share of lines",
            series,
            from_zero=True,
            in_words=False,
        )
    )


def clean(series: Series, logarithmic: bool) -> Series:
    """Values that are no numbers, infinite, or cannot be on a logarithmic axis become gaps."""
    usable = [
        y if y is not None and math.isfinite(y) and (y > 0 or not logarithmic) else None
        for y in series.ys
    ]
    return series._replace(ys=usable)


def thinned(series: Series) -> Series:
    """At most POINTS points, each the mean of its neighbours; of a dashed line, which shows
    highest values, the highest of them."""
    stride = math.ceil(len(series.xs) / POINTS)
    if stride <= 1:
        return series
    xs, ys = [], []
    for start in range(0, len(series.xs), stride):
        known = [y for y in series.ys[start : start + stride] if y is not None]
        xs.append(series.xs[min(start + stride, len(series.xs)) - 1])
        merged = (
            max(known, default=0.0) if series.kind == "dashed" else sum(known) / max(1, len(known))
        )
        ys.append(merged if known else None)
    return series._replace(xs=xs, ys=ys)


def sparkline(values: Sequence[float | None], label: str) -> str:
    """A word-sized plot."""
    series = thinned(
        clean(Series("", [float(place) for place in range(len(values))], list(values)), True)
    )
    known = [y for y in series.ys if y is not None]
    if not known:
        return ""
    x_scale = Scale(0, max(1.0, series.xs[-1]), 1, 119)
    y_scale = Scale(
        min(known), max(known) if max(known) > min(known) else min(known) * 1.01, 22, 2, True
    )
    return (
        '<svg class="spark" viewBox="0 0 120 24" role="img"'
        f' aria-label="{escape(label)}">{_line(series, x_scale, y_scale)}</svg>'
    )


def _line(series: Series, x_scale: Scale, y_scale: Scale) -> str:
    path, pen_down, dots = [], False, []
    for x, y in zip(series.xs, series.ys, strict=True):
        if y is None:
            pen_down = False
            continue
        place = f"{x_scale.place(x):.1f} {y_scale.place(y):.1f}"
        path.append(f"{'L' if pen_down else 'M'}{place}")
        pen_down = True
        if series.kind == "dots":
            across, down = place.split()
            dots.append(
                f'<circle class="dot c{series.colour % COLOURS}" cx="{across}" cy="{down}"'
                ' r="2.5"/>'
            )
    return (
        f'<path class="{series.kind} c{series.colour % COLOURS}"'
        f' d="{"".join(path)}"/>{"".join(dots)}'
    )


def _axes(x_scale: Scale, y_scale: Scale, chart: Chart) -> str:
    parts = []
    for tick in y_scale.ticks():
        y = y_scale.place(tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in x_scale.ticks():
        parts.append(
            f'<text x="{x_scale.place(tick):.1f}" y="{HEIGHT - BOTTOM + 15}"'
            f' text-anchor="middle">{short(tick)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 3}"'
        f' text-anchor="middle">{escape(chart.x_name)}</text>'
    )
    return "".join(parts)


def _legend(series: list[Series]) -> str:
    if len(series) == 1:
        return ""
    keys = "".join(
        f'<li><svg class="key" viewBox="0 0 24 8" aria-hidden="true"><path class="{each.kind}'
        f' c{each.colour % COLOURS}" d="M0 4H24"/></svg>{escape(each.name)}</li>'
        for each in series
    )
    return f'<ul class="legend">{keys}</ul>'


def _in_words(series: list[Series]) -> str:
    """The last, lowest and highest value of each line: nothing needs to be pointed at."""
    told = []
    for each in series:
        known = [(y, x) for x, y in zip(each.xs, each.ys, strict=True) if y is not None]
        parts = (("last", known[-1]), ("lowest", min(known)), ("highest", max(known)))
        name = f"{each.name}: " if len(series) > 1 else ""
        told.append(
            f'<p class="now">{escape(name)}{", ".join(f"{part} {y:.4g} at {x:,.0f}" for part, (y, x) in parts)}</p>'  # noqa: E501
        )
    return "".join(told)


def _summary(series: Series) -> str:
    known = [(x, y) for x, y in zip(series.xs, series.ys, strict=True) if y is not None]
    return (
        f"{series.name}: from {known[0][1]:.4g} at {known[0][0]:g} to {known[-1][1]:.4g} at"
        f" {known[-1][0]:g}."
    )


def _table(chart: Chart, series: list[Series]) -> str:
    xs = sorted({x for each in series for x in each.xs})
    chosen = (
        xs
        if len(xs) <= ROWS
        else [xs[round(place * (len(xs) - 1) / (ROWS - 1))] for place in range(ROWS)]
    )
    lookup = [dict(zip(each.xs, each.ys, strict=True)) for each in series]
    rows = [
        [f"{x:g}", *("" if (y := values.get(x)) is None else f"{y:.4g}" for values in lookup)]
        for x in chosen
    ]
    return table([chart.x_name, *(each.name for each in series)], rows)
