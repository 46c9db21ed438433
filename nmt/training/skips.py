"""Updates that were skipped because their gradient was not finite: said with the lines of the batch, and not without end."""

from collections.abc import Sequence

from nmt.data.store import Store
from nmt.errors import NmtError
from nmt.training.feed import PlacedBatches

SKIPS_IN_ROW = 20  # updates without a finite gradient before training gives up
NAMED = 3  # lines in a message about one skipped update


def skip_line(update: int, store: Store, placed: PlacedBatches) -> str:
    """For people, about the update just skipped."""
    rows = placed.rows[:NAMED].tolist()
    more = f" and {len(placed.rows) - NAMED} more" if len(placed.rows) > NAMED else ""
    return f"update {update:,} skipped, its gradient was not finite: {grouped([store.where(row) for row in rows])}{more}"


def refuse_endless_skips(skipped_in_row: int, store: Store, placed: PlacedBatches) -> None:
    """Raises NmtError, which names all lines of the last batch, after too many skipped updates in a row."""
    if skipped_in_row >= SKIPS_IN_ROW:
        lines = grouped([store.where(row) for row in placed.rows.tolist()])
        raise NmtError(
            f"the gradient was not finite in {skipped_in_row} updates in a row; lower training.learning_rate, train with "
            f"training.precision = 'fp32', or look at the last batch: {lines}"
        )


def grouped(places: Sequence[str]) -> str:
    """`train.nl:3, train.nl:7, more.nl:1` as `train.nl:3,7 more.nl:1`."""
    files: dict[str, list[int]] = {}
    for place in places:
        name, _, number = place.rpartition(":")
        files.setdefault(name, []).append(int(number))
    return " ".join(f"{name}:{','.join(map(str, sorted(numbers)))}" for name, numbers in files.items())
