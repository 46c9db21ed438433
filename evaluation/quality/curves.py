"""Learning curves of trials as one SVG: dev BLEU over epochs."""

import html
import math
from typing import Any

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 420, 50, 240, 20, 45
COLOURS = ("#1b6ca8", "#b5541c", "#2e7d32", "#7b1fa2", "#00838f", "#9e9d24", "#c2185b", "#5d4037")


def curves(results: dict[str, Any]) -> str:
    """One line a trial, its name and best score beside it."""
    lines = {
        name: [(point["epoch"], point.get("BLEU", 0.0)) for point in about["curve, dev"]]
        for name, about in (results["trials"] | results["unfinished"]).items()
    }
    lines = {name: points for name, points in lines.items() if points}
    last = max((epoch for points in lines.values() for epoch, _ in points), default=1)
    top = max((bleu for points in lines.values() for _, bleu in points), default=1.0)
    step = next(size for size in (0.5, 1, 2, 5, 10, 20) if top / size <= 10)
    top = step * math.ceil(max(top, step) / step)

    def x(epoch: float) -> float:
        return LEFT + epoch / last * (WIDTH - LEFT - RIGHT)

    def y(bleu: float) -> float:
        return HEIGHT - BOTTOM - bleu / top * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, HEIGHT - 8, "epochs; BLEU on the dev set, greedy, as in training")]
    for number in range(round(top / step) + 1):
        height = y(number * step)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}"'
            ' stroke="#ddd"/>'
        )
        parts.append(_text(8, height + 4, f"{number * step:g}"))
    ticks = max(1, round(last / 8))
    parts += [_text(x(epoch) - 4, HEIGHT - 28, str(epoch)) for epoch in range(0, last + 1, ticks)]
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x(epoch):.1f},{y(bleu):.1f}" for epoch, bleu in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        best = max(bleu for _, bleu in points)
        parts.append(
            _text(WIDTH - RIGHT + 10, TOP + 14 + 20 * number, f"{name} {best:.1f}", colour)
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' font-family="sans-serif" font-size="12">\n<rect width="{WIDTH}" height="{HEIGHT}"'
        ' fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, colour: str = "#222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{html.escape(text)}</text>'
