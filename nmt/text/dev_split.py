"""A dev set split off the training text, where there is none at hand: `--dev 1000` or `--dev
2%`."""

import json
import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b, sha256
from heapq import heapify, heappushpop
from pathlib import Path
from typing import NamedTuple

from nmt.errors import NmtError
from nmt.run_folder import RunFolder
from nmt.text.clean import Audit
from nmt.text.corpus import Pair

HELD_OUT = "a sentence of the dev set that was split off"
LARGEST = 0.5  # share of the pairs

Parallel = tuple[list[str], list[str]]


def split_size(dev: str) -> int | float | None:
    """What `data.dev` asks to be split off: so many pairs, or a share of them between 0 and 1; None
    where it names a corpus.

    Raises:
        NmtError: it asks for nothing, or for more than half.
    """
    found = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?) ?%", dev.strip())
    if not found:
        if re.fullmatch(r"[-+]?[\d.,]+ ?%*", dev.strip()):
            raise NmtError(
                "data.dev must be a number of pairs such as 1000, a share such as 2%, or the name"
                f" of a corpus, got {dev}"
            )
        return None
    size = int(found[1]) if found[1] else float(found[2]) / 100
    if size <= 0 or (not found[1] and size > LARGEST):
        raise NmtError(
            f"data.dev asks for {dev} of the training text; give at least one pair and at most"
            f" {LARGEST:.0%}"
        )
    return size


def split_off(pairs: Iterable[Pair], size: int | float, seed: int) -> Parallel:
    """(source texts, target texts) of different pairs, chosen by a hash of seed and text: the same
    ones in any order of the corpus.

    Raises:
        NmtError: more than half of the pairs would go.
    """
    count, chosen = 0, dict[int, tuple[str, str]]()
    keys: list[int] = []  # a heap of minus the smallest keys, where a number is wanted
    for source, target, _ in pairs:
        count += 1
        key = _key(seed, source, target)
        if key in chosen or (isinstance(size, float) and key >= size * 2**64):
            continue
        if isinstance(size, int) and len(chosen) >= size:
            if key > -keys[0]:
                continue
            del chosen[-heappushpop(keys, -key)]
        elif isinstance(size, int):
            keys.append(-key)
            if len(keys) == size:
                heapify(keys)
        chosen[key] = (source, target)
    if not chosen or len(chosen) > LARGEST * count:
        wanted = f"{size:.3g} of them" if isinstance(size, float) else f"{size:,}"
        raise NmtError(
            f"data.dev: cannot split {wanted} off {count:,} pairs, at least 1 and at most"
            f" {LARGEST:.0%} can go; name a dev set"
        )
    ordered = [chosen[key] for key in sorted(chosen)]
    return [source for source, _ in ordered], [target for _, target in ordered]


def without(pairs: Iterable[Pair], dev: Parallel, audit: Audit) -> Iterator[Pair]:
    """The pairs that share no sentence with the dev set, on either side; the others are counted."""
    sources, targets = ({text.strip() for text in side} for side in dev)
    for pair in pairs:
        if pair.source.strip() in sources or pair.target.strip() in targets:
            audit.leave_out(HELD_OUT, pair.where)
        else:
            yield pair


def _key(seed: int, source: str, target: str) -> int:
    """64 bits, equally likely."""
    return int.from_bytes(
        blake2b(
            f"{seed}\0{source}\0{target}".encode(errors="surrogateescape"), digest_size=8
        ).digest()
    )


class DevCopy(NamedTuple):
    """A dev set as the run has it."""

    origin: dict[str, str]  # what it is a copy of
    pairs: Parallel  # source texts, target texts


def read_copy(run: Path) -> DevCopy | None:
    """The copy; None where there is none.

    Raises:
        NmtError: it is not what was written.
    """
    path = RunFolder(run).dev
    if not path.exists():
        return None
    head, _, body = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    try:
        origin = dict(json.loads(head))
        if origin.pop("sha256") != sha256(body.encode()).hexdigest():
            raise ValueError
        pairs = [json.loads(line) for line in body.split("\n")] if body else []
    except (ValueError, KeyError, TypeError):
        raise NmtError(
            f"{path}: damaged; delete it, then the dev set is read again from where it came"
        ) from None
    return DevCopy(origin, ([source for source, _ in pairs], [target for _, target in pairs]))


def copy_text(copy: DevCopy) -> str:
    """The text of the file: a line about it, then a line for each pair."""
    body = "\n".join(json.dumps(pair, ensure_ascii=False) for pair in zip(*copy.pairs, strict=True))
    return f"{json.dumps({**copy.origin, 'sha256': sha256(body.encode()).hexdigest()})}\n{body}"
