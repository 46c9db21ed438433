"""Rare characters in training: without them no byte piece is ever seen, and one emoji derails a
translation.

A few pairs get the same random characters at about the same place on both sides, so that the
network learns to copy what it cannot read.
"""

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nmt.text.subwords import WORD_START, SubwordPair, Subwords

Ids = npt.NDArray[np.integer] | list[int]

RANGES = (  # letters and signs of many scripts; first and last code point
    (0x00A1, 0x024F), (0x0370, 0x03FF), (0x0400, 0x04FF), (0x05D0, 0x05EA), (0x0621, 0x064A), (0x0905, 0x0939), (0x0E01, 0x0E2E),  # noqa: E501
    (0x2010, 0x2BFF), (0x3041, 0x30FA), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF),  # noqa: E501
)  # fmt: skip
LONGEST = 3  # characters put in together
GATHERED = 4  # times as often in the batches that have them


def sprinkle(
    sources: Sequence[Ids], targets: Sequence[Ids], subwords: SubwordPair, share: float, seed: int
) -> tuple[list[Ids], list[Ids]]:
    """A batch of pairs, over many seeds `share` of them with random characters as a word of their
    own on both sides.

    A character is up to four byte pieces, and one longer pair makes the whole batch longer: so most
    batches have none and a few have many. A pure function of its arguments.
    """
    generator = random.Random(seed)
    new_sources, new_targets = list(sources), list(targets)
    batch_share = min(1.0, GATHERED * share)
    if generator.random() >= batch_share:
        return new_sources, new_targets
    for row in range(len(new_sources)):
        if generator.random() < share / batch_share:
            word, place = _random_word(generator), generator.random()
            new_sources[row] = _with_word(new_sources[row], word, place, subwords.source)
            new_targets[row] = _with_word(new_targets[row], word, place, subwords.target)
    return new_sources, new_targets


def _random_word(generator: random.Random) -> str:
    first, last = generator.choice(RANGES)
    return "".join(
        chr(generator.randint(first, last)) for _ in range(generator.randint(1, LONGEST))
    )


def _with_word(ids: Ids, word: str, place: float, subwords: Subwords) -> list[int]:
    """`place` from 0 to 1 says before which word, or behind the last one."""
    pieces = [int(piece) for piece in ids]
    starts = [
        index for index, text in enumerate(subwords.pieces(pieces)) if text.startswith(WORD_START)
    ] or [0]
    start = [*starts, len(pieces)][int(place * (len(starts) + 1))]
    return pieces[:start] + subwords.encode([word])[0] + pieces[start:]
