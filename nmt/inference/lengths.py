"""The longest lines that a network has seen in training: what is longer is translated in segments."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from nmt.errors import NmtError
from nmt.limits import LIMITS, shown
from nmt.reading import TABLE_BYTES, read_json

LENGTHS = "lengths.json"  # in a run and in an exported model


class Lengths(NamedTuple):
    """Pieces of the longest line on each side, the end of sentence not counted."""

    source: int
    target: int

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What the folder records; None for models from before this was recorded.

        Raises:
            NmtError: the record is damaged.
        """
        path = folder / LENGTHS
        if not path.exists():
            return None
        try:
            values = read_json(path, TABLE_BYTES, folder)
            found = cls(values["source"], values["target"])
            if any(type(value) is not int or not 1 <= value <= LIMITS["data.max_length"].high for value in found):
                raise ValueError(f"got {shown(found.source)} and {shown(found.target)}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NmtError(f"{path}: not the longest lines of training ({error}); copy it again, or delete it") from None
        return found

    def text(self) -> str:
        """The content of the record."""
        return json.dumps(self._asdict()) + "\n"


def longest_of(several: Iterable[Lengths]) -> Lengths:
    """What a model has seen that was trained on one corpus after another."""
    return Lengths(*map(max, zip(*several, strict=True)))


def shortest_of(several: Iterable[Lengths]) -> Lengths:
    """What every model of an ensemble has seen."""
    return Lengths(*map(min, zip(*several, strict=True)))
