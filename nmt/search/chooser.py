"""How a search chooses: the seam where compiled functions take the place of torch's."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from nmt.search.candidates import BestPieces, best_pieces
from nmt.search.front import Front, Onward, advance
from nmt.search.picks import Picks
from nmt.search.rules import Rules


class Chooser(NamedTuple):
    """How logits become the rows of the next step: torch's functions, or others that choose the same, faster."""

    best_pieces: Callable[[Tensor, Tensor, bool], BestPieces]  # greedy search
    advance: Callable[[Tensor, Front, Rules], tuple[Picks, Onward, Front]]  # beam search
    whole: Callable[[Any, Sequence[int], int, Rules], list[list[int]]] | None = None  # greedy search without scores, from state to pieces


TORCH = Chooser(best_pieces, advance)
