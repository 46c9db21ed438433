"""The dev set of a run: read or split off once, and kept in the run folder. What it is must not
change while the run goes on."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from nmt.errors import NmtError
from nmt.files import write_atomically
from nmt.recipe import DataConfig
from nmt.run_folder import RunFolder
from nmt.text.corpus import HUB, Pair, read_parallel
from nmt.text.dev_split import DevCopy, Parallel, copy_text, read_copy, split_off, split_size
from nmt.text.lines import plain


class Dev(NamedTuple):
    """What a run is validated on."""

    pairs: Parallel  # source texts, target texts
    origin: dict[str, str]
    is_split: bool  # off the training text, which has to do without its sentences
    note: str = ""  # a line for people

    def located(self, name: str) -> list[Pair]:
        """The pairs as a corpus of this name has them, the source in the spaces that training
        reads."""
        return [
            Pair(plain(source), target, f"{name}:{line}")
            for line, (source, target) in enumerate(zip(*self.pairs, strict=True), 1)
        ]


def read_dev(
    data: DataConfig, run: Path | None, train: Iterable[Pair] = (), content: str = "", seed: int = 1
) -> Dev:
    """The dev set: of a Hub data set, and of one split off `train` (whose hash is `content`), the
    run's copy where that is one of it.

    A corpus that cannot be read any more is no hindrance to a run that has a copy.

    Raises:
        NmtError: the corpus cannot be read, the copy is damaged, or the text is not that with which
            the run's checkpoints were judged.
    """
    size = split_size(data.dev)
    origin = {"dev": data.dev, "source": data.source, "target": data.target}
    if size is not None:
        origin |= {"split off": content, "seed": str(seed)}
    copy, goes_on = (read_copy(run), bool(RunFolder(run).checkpoints())) if run else (None, False)
    note = ""
    if copy and copy.origin == origin and (size is not None or data.dev.startswith(HUB)):
        return Dev(copy.pairs, origin, size is not None)
    try:
        pairs = (
            read_parallel(data.dev, data.source, data.target, "dev")
            if size is None
            else split_off(train, size, seed)
        )
    except NmtError as error:
        if not (copy and goes_on):
            raise
        pairs, origin, note = (
            copy.pairs,
            copy.origin,
            f"going on with the run's own copy of the dev set ({error})",
        )
    if copy and goes_on and copy.pairs != pairs:
        raise NmtError(
            f"{run}: the dev set has changed since this run began"
            f" ({_difference(copy.pairs, pairs)}): {_advice(data.dev)}"
        )
    return Dev(pairs, copy.origin if copy and goes_on else origin, size is not None, note)


def keep_dev(run: Path, dev: Dev) -> None:
    """Copies the dev set into the run folder, if it is not there.

    Raises:
        NmtError: it cannot be written.
    """
    path, text = RunFolder(run).dev, copy_text(DevCopy(dev.origin, dev.pairs))
    if not path.exists() or path.read_bytes() != text.encode():
        write_atomically(path, text)


def _difference(before: Parallel, now: Parallel) -> str:
    pairs = enumerate(zip(zip(*before, strict=True), zip(*now, strict=True), strict=False), 1)
    line = next(
        (number for number, (ours, theirs) in pairs if ours != theirs),
        min(len(before[0]), len(now[0])) + 1,
    )
    return (
        f"{len(before[0]):,} lines then, {len(now[0]):,} now, the first difference in line {line:,}"
    )


def _advice(dev: str) -> str:
    return f"scores on both cannot be compared; put {dev} back, or choose another --run"
