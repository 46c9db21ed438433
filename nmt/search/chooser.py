"""How a search chooses: the seam where compiled functions take the place of torch's."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from nmt.search.candidates import Rows, best_pieces, look
from nmt.search.front import Front, Onward, Rules, advance
from nmt.search.picks import Picks


class Chooser(NamedTuple):
    """What turns logits into the rows of the next step: torch's functions, or others that choose the same, faster."""

    look: Callable[[Tensor, Tensor, bool], Rows]
    best_pieces: Callable[[Rows], tuple[Tensor, Tensor]]
    advance: Callable[[Rows, Front, Rules], tuple[Picks, Onward, Front]]


TORCH = Chooser(look, best_pieces, advance)
