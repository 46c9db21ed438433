"""corpus.toml: which files or data sets the splits of a corpus are."""

from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

from nmt.errors import NmtError
from nmt.limits import shown
from nmt.reading import is_within, read_toml

KINDS: dict[type, str] = {str: "a string", list: "a list", dict: "a table"}
EMPTY: dict[type, str] = {str: '"..."', list: '["nl", "en"]', dict: '{ train = "..." }'}  # what a value of the kind looks like
KEYS = ("name", "languages", "licence", "origin", "obtain", "splits")


@dataclass(frozen=True, kw_only=True)
class CorpusCard:
    path: Path  # the corpus.toml itself
    name: str  # of the corpus
    languages: tuple[str, ...]  # codes, as in the file names
    licence: str  # of the text
    origin: str  # who made it
    obtain: str  # how to get the files if they are not here; empty: they are
    splits: dict[str, tuple[str, ...]]  # split -> prefixes, files or hf:// names

    def parts(self, split: str, source: str, target: str) -> list[str]:
        """What `read_pairs` is to read for this split. Raises NmtError if the split, a language or a file is not here."""
        for language in (source, target):
            if language not in self.languages:
                raise NmtError(f"{self.path}: no language {language!r}; {self.name} has {', '.join(self.languages)}")
        if split not in self.splits:
            raise NmtError(f"{self.path}: no split {split!r}; known are {', '.join(self.splits)}")
        parts = [part if part.startswith("hf://") else str(self.path.parent / part) for part in self.splits[split]]
        for part in parts:
            beginning = Path(part)
            self._refuse_outside(part)
            if self.obtain and not part.startswith("hf://") and not any(beginning.parent.glob(f"{escape(beginning.name)}*")):
                raise NmtError(f"{part}: this part of {self.name} is not here; {self.obtain}")
        return parts

    def _refuse_outside(self, part: str) -> None:
        """A card may be a stranger's: it names data sets of the Hub and what lies beside it, no other files of this machine."""
        address = Path(part.removeprefix("hf://"))
        is_hub = part.startswith("hf://")
        outside = address.is_absolute() or ".." in address.parts if is_hub else not is_within(address, self.path.parent)
        if outside or "\0" in part:
            advice = "name those files themselves, instead of the corpus, if you trust it"
            raise NmtError(f"{self.path}: names files outside its folder, {shown(part)}; {advice}")


def corpus_card(folder: Path) -> CorpusCard:
    """The card of the corpus in this folder."""
    path = folder / "corpus.toml"
    try:
        table = read_toml(path, folder)
    except FileNotFoundError:
        raise NmtError(f"{folder}: a folder without corpus.toml; give the prefix of its files, such as {folder / 'train'}") from None
    except OSError as error:
        raise NmtError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise NmtError(f"{path}: not TOML: {error}") from None
    for key in table.keys() - set(KEYS):
        raise NmtError(f"{path}: unknown key {shown(key)}; known are {', '.join(KEYS)}")
    splits = _required(path, table, "splits", dict)
    return CorpusCard(
        path=path,
        name=_required(path, table, "name", str),
        languages=_strings(path, "languages", _required(path, table, "languages", list)),
        licence=_required(path, table, "licence", str),
        origin=_required(path, table, "origin", str),
        obtain=_required(path, {"obtain": "", **table}, "obtain", str),
        splits={split: _strings(path, f"splits.{split}", parts) for split, parts in splits.items()},
    )


def _required(path: Path, table: dict[str, Any], key: str, kind: type) -> Any:
    if key not in table:
        raise NmtError(f"{path}: {key} is missing; write {key} = {EMPTY[kind]}")
    if not isinstance(table[key], kind):
        raise NmtError(f"{path}: {key} must be {KINDS[kind]}, got {shown(table.get(key))}")
    return table[key]


def _strings(path: Path, key: str, value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise NmtError(f"{path}: {key} must be a string or a list of strings, got {shown(value)}")
    return tuple(texts)
