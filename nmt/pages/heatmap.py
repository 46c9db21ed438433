"""Attention as a heat map: which source pieces each target piece was read from."""

from collections.abc import Sequence
from typing import NamedTuple

from nmt.pages.markup import MORE, data, details, escape, table

CELL = 22  # pixels
LETTER = 7.5  # width of a letter, about
INVISIBLE = 0.02  # weights below leave the cell empty
READABLE = 0.1  # weights from here on are written into it
AXIS = 18  # pixels for the name of an axis


class AttentionView(NamedTuple):
    """What a heat map shows: the attention of one translation."""

    name: str  # of the model
    source_pieces: Sequence[str]
    target_pieces: Sequence[str]
    weights: Sequence[Sequence[float]]  # for each target piece each source piece, 0 to 1
    log_probs: Sequence[float]  # of each target piece, nats


def heat_map(view: AttentionView) -> str:
    """Rows are target pieces, columns source pieces; the fuller the colour the higher the
    weight."""
    left = AXIS + 12 + LETTER * max(len(piece) for piece in view.target_pieces)
    top = AXIS + 12 + LETTER * max(len(piece) for piece in view.source_pieces)
    across, down = CELL * len(view.source_pieces), CELL * len(view.target_pieces)
    parts = _axes(left, top, across, down)
    for column, piece in enumerate(view.source_pieces):
        x = left + CELL * column + CELL / 2 + 4
        parts.append(
            f'<text x="{x:.0f}" y="{top - 6:.0f}" transform="rotate(-90 {x:.0f}'
            f' {top - 6:.0f})">{escape(piece)}</text>'
        )
    for row, (piece, weights) in enumerate(zip(view.target_pieces, view.weights, strict=True)):
        y = top + CELL * row
        parts.append(
            f'<text x="{left - 6:.0f}" y="{y + 15:.0f}" text-anchor="end">{escape(piece)}</text>'
        )
        parts += [
            f'<rect class="cell" x="{left + CELL * column:.0f}" y="{y:.0f}" width="{CELL}"'
            f' height="{CELL}" fill-opacity="{weight:.2f}"/>'
            for column, weight in enumerate(weights)
            if weight >= INVISIBLE
        ]
        parts += [
            f'<text class="weight{" full" if weight > 0.5 else ""}"'
            f' x="{left + CELL * (column + 0.5):.0f}" y="{y + 14:.0f}"'
            f' text-anchor="middle">{100 * weight:.0f}</text>'
            for column, weight in enumerate(weights)
            if weight >= READABLE
        ]
    frame = f'<rect class="frame" x="{left:.0f}" y="{top:.0f}" width="{across}" height="{down}"/>'
    values = {
        "left": round(left), "top": round(top), "cell": CELL, "source": view.source_pieces, "target": view.target_pieces,  # noqa: E501
        "weights": [[round(weight, 2) for weight in weights] for weights in view.weights],
        "log_probs": [round(value, 2) for value in view.log_probs],
    }  # fmt: skip
    label = (
        f"Attention of {view.name} in percent: rows are target pieces, columns source pieces. Arrow"
        " keys move; a table is below."
    )
    width, height = f"{left + across + 4:.0f}", f"{top + down + 4:.0f}"
    return (
        f'<div class="panel-part"><div class="scroll"><svg class="heat" width="{width}"'
        f' height="{height}" viewBox="0 0 {width} {height}" role="img" tabindex="0"'
        f' aria-label="{escape(label)}" data-heat="{data(values)}">{frame}{"".join(parts)}<rect'
        f' class="chosen" width="{CELL}" height="{CELL}"/></svg></div>{MORE}<output class="readout"'
        f' aria-live="polite"></output>{details("Attention as a table", _table(view))}</div>'
    )


def _axes(left: float, top: float, across: float, down: float) -> list[str]:
    """The names of both axes, outside the pieces."""
    middle = top + down / 2
    return [
        f'<text class="axis" x="{left:.0f}" y="13">source piece →</text>',
        (
            f'<text class="axis" x="13" y="{middle:.0f}" text-anchor="middle" transform="rotate(-90'
            f' 13 {middle:.0f})">← target piece</text>'
        ),
    ]


def _table(view: AttentionView) -> str:
    rows = []
    for piece, weights, log_prob in zip(
        view.target_pieces, view.weights, view.log_probs, strict=True
    ):
        top = sorted(range(len(weights)), key=lambda column: -weights[column])[:2]
        rows.append(
            [
                piece,
                ", ".join(f"{view.source_pieces[column]} {weights[column]:.2f}" for column in top),
                f"{log_prob:.2f}",
            ]
        )
    return table(["target piece", "read from (weight)", "log-probability"], rows)
