"""sacreBLEU's published test sets by name: what papers mean by wmt14 de-en."""

from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from sacrebleu.dataset import DATASETS
from sacrebleu.utils import SACREBLEU_DIR, get_reference_files, get_source_file

from nmt.errors import NmtError


class PublishedTestSet(NamedTuple):
    """A test set as its authors published it."""

    sources: list[str]
    references: list[list[str]]  # one list for each set of references


def published_test_set(name: str, pair: str) -> PublishedTestSet:
    """The test set `name` for a language pair such as de-en, from sacreBLEU's folder on disk;
    downloaded if it is not there.

    Raises:
        NmtError: there is no such test set or pair, or it is not on disk and cannot be downloaded.
    """
    if name not in DATASETS:
        close = get_close_matches(name, DATASETS, n=3)
        raise NmtError(
            f"sacreBLEU has no test set {name!r};"
            f" {f'did you mean {close[0]}?' if close else 'see sacrebleu --list'}"
        )
    if pair not in DATASETS[name].langpairs:
        raise NmtError(
            f"the test set {name} has no language pair {pair!r}; it has"
            f" {', '.join(DATASETS[name].langpairs)}"
        )
    try:
        source, references = get_source_file(name, pair), get_reference_files(name, pair)
        return PublishedTestSet(_lines(source), [_lines(reference) for reference in references])
    except (OSError, SystemExit) as error:
        raise NmtError(
            f"the test set {name} {pair} is not on disk ({SACREBLEU_DIR}) and cannot be downloaded"
            f" ({error}); copy that folder from a machine that has it, or name files with --source"
            " and --reference"
        ) from None


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
