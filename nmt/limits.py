"""The numbers that a recipe may hold: no key of a stranger's recipe asks for more than a machine
has."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from nmt.errors import NmtError


class Limit(NamedTuple):
    """What a number must lie between; both ends count, unless `above` and `below` leave them
    out."""

    low: float
    high: float
    above: bool = False
    below: bool = False

    def __str__(self) -> str:
        return (
            f"{'above' if self.above else 'at least'} {self.low:,} and"
            f" {'below' if self.below else 'at most'} {self.high:,}"
        )

    def allows(self, value: float) -> bool:
        """False for what is not a number, too."""
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high
        )


LENGTH_ALPHA = Limit(0, 10)
SHARE = Limit(0, 1, below=True)
COUNT = Limit(0, 10**9)
AT_LEAST_ONE = Limit(1, 10**9)

LIMITS: Mapping[str, Limit] = {
    "data.max_length": Limit(1, 10_000),
    "data.max_ratio": Limit(1, 10**6),
    "data.window": Limit(1, 10_000),
    "subwords.vocab_size": Limit(0, 10**6),
    "subwords.character_coverage": Limit(0, 1, above=True),
    "subwords.rare_characters": Limit(0, 1),
    "subwords.variety": Limit(0, 1),
    "subwords.sampling": Limit(0, 1),
    "model.embedding_size": Limit(1, 65_536),
    "model.hidden_size": Limit(1, 65_536),
    "model.encoder_layers": Limit(1, 64),
    "model.decoder_layers": Limit(1, 64),
    "model.heads": Limit(1, 1024),
    "model.dropout": SHARE,
    "model.word_dropout": SHARE,
    "model.weight_drop": SHARE,
    "training.seed": Limit(0, 2**63 - 1),
    "training.threads": Limit(0, 1024),
    "training.batch_pieces": COUNT,
    "training.accumulate": Limit(1, 10_000),
    "training.epochs": COUNT,
    "training.updates": COUNT,
    "training.minutes": COUNT,
    "training.learning_rate": Limit(0, 1000, above=True),
    "training.warmup": COUNT,
    "training.plateau": AT_LEAST_ONE,
    "training.label_smoothing": SHARE,
    "training.r_drop": Limit(0, 10**6),
    "training.weight_decay": Limit(0, 10**6),
    "training.clip_norm": Limit(0, 10**9),
    "training.clip_value": Limit(0, 10**9),
    "training.average_decay": SHARE,
    "training.validate_every": COUNT,
    "training.patience": COUNT,
    "training.keep": AT_LEAST_ONE,
    "training.save_minutes": Limit(0, 10**6, above=True),
    "training.report_every": AT_LEAST_ONE,
    # The next ones say how much work a model folder makes of each line of whoever translates with
    # it; --beam may ask for more.
    "search.beam": Limit(1, 100),
    "search.length_alpha": LENGTH_ALPHA,
    "search.max_length_factor": Limit(0, 20, above=True),
    "search.max_length_extra": Limit(1, 1000),
    "search.batch_pieces": Limit(1, 100_000),
}

SEARCH_LIMITS: Mapping[str, Limit] = {  # what whoever translates may ask for
    "beam": Limit(1, 10_000),
    "length_alpha": LENGTH_ALPHA,
    "min_length": Limit(0, 100_000),  # the search keeps a number for each piece
    "no_repeat_ngram": COUNT,  # 0: any sequence may be repeated
    "coverage": Limit(0, 10**6),
    "temperature": Limit(0, 1000, above=True),
    "top_k": COUNT,
    "top_p": Limit(0, 1, above=True),
    "seed": Limit(0, 2**63 - 1),
    "mbr": Limit(0, 1000),
}
# of the settings of a search, those that are counts
WHOLE = frozenset({"beam", "min_length", "max_length", "no_repeat_ngram", "top_k", "seed", "mbr"})


def check_number(key: str, value: float) -> None:
    """Raises NmtError for a number that a recipe's key must not have."""
    _check(key, value, LIMITS[key])


def check_search(name: str, value: float) -> None:
    """Raises NmtError for a number that a setting of a search must not have."""
    _check(name, value, SEARCH_LIMITS[name])


def check_lengths(min_length: int, max_length: int | None) -> None:
    """Raises NmtError for a longest length below the shortest one."""
    if max_length is not None and max_length < max(1, min_length):
        raise NmtError(
            f"max_length must be at least {max(1, min_length)}, got {max_length}; raise it or lower"
            " min_length"
        )


def _check(name: str, value: float, limit: Limit) -> None:
    if not limit.allows(value):
        raise NmtError(f"{name} must be {limit}, got {shown(value)}")


def shown(value: object) -> str:
    """A value as it is written, cut off where it would fill the screen; nothing that a file can
    hold makes this fail."""
    try:
        text = repr(value)
    except (
        ValueError,
        RecursionError,
    ):  # whole numbers of thousands of digits, and lists in lists in lists
        return f"a {type(value).__name__} too large to print"
    return text if len(text) <= 100 else f"{text[:97]}..."


def whole_number(value: Any, name: str, advice: str) -> int:
    """The value as Python's own int; numpy's whole numbers are welcome.

    Raises:
        NmtError: it is none.
    """
    try:
        return int(value.__index__())
    except (AttributeError, TypeError):
        raise NmtError(f"{name} must be a whole number, got {value!r}; {advice}") from None
