"""A scatter plot of quality against speed, as SVG."""

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 900, 480, 60, 50, 60, 20
COLOURS = {"greedy": "#1b6ca8", "beam 5": "#b5541c"}


class Point(NamedTuple):
    """A system searched in one way."""

    name: str
    way: str
    speed: float  # pieces/s
    score: float | None  # BLEU; None: speed alone is known, drawn as a line


def scatter(points: Sequence[Point]) -> str:
    """Speed to the right (logarithmic), BLEU upwards."""
    scores = [point.score for point in points if point.score is not None]
    low, high = math.floor(min(scores)) - 1, math.ceil(max(scores)) + 1
    slowest, fastest = (math.log10(limit(point.speed for point in points)) for limit in (min, max))
    left, right = slowest - 0.1, fastest + 0.25

    def x(speed: float) -> float:
        return LEFT + (math.log10(speed) - left) / (right - left) * (WIDTH - LEFT - RIGHT)

    def y(score: float) -> float:
        return HEIGHT - BOTTOM - (score - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        text(
            LEFT,
            20,
            "BLEU against target pieces/s of one core; dashed: CTranslate2 int8, speed alone",
            15,
        )
    ]
    for score in range(low, high + 1):
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(score):.1f}" y2="{y(score):.1f}"'
            ' stroke="#ddd"/>'
        )
        parts.append(text(LEFT - 30, y(score) + 4, str(score)))
    for speed in (step * 10**power for power in range(2, 6) for step in (1, 2, 5)):
        if left < math.log10(speed) < right:
            parts.append(text(x(speed) - 15, HEIGHT - BOTTOM + 20, f"{speed:,}"))
            parts.append(
                f'<line x1="{x(speed):.1f}" x2="{x(speed):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"'
                ' stroke="#eee"/>'
            )
    for number, (way, colour) in enumerate(COLOURS.items()):
        parts.append(
            f'<circle cx="{LEFT + 6 + 110 * number}" cy="38" r="5" fill="{colour}"/>'
            + text(LEFT + 16 + 110 * number, 42, way)
        )
    for number, point in enumerate(points):
        colour, place = COLOURS.get(point.way, "#555"), x(point.speed)
        if point.score is None:
            parts.append(
                f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"'
                f' stroke="{colour}" stroke-dasharray="4"/>'
            )
            label = text(place + 3, TOP + 12 + 14 * (number % 6), point.name.partition(", ")[2], 10)
        else:
            parts.append(
                f'<circle cx="{place:.1f}" cy="{y(point.score):.1f}" r="5" fill="{colour}"/>'
            )
            label = text(place, y(point.score) + (18, -9)[number % 2], point.name, 10, "middle")
        parts.append(label)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' font-family="sans-serif">\n{body}\n</svg>\n'
    )


def text(x: float, y: float, content: str, size: int = 12, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}"'
        f' text-anchor="{anchor}">{html.escape(content)}</text>'
    )
