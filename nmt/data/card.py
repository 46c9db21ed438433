"""corpus.toml: which files or data sets the splits of a corpus are."""

import tomllib
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

from nmt.errors import NmtError

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
            if self.obtain and not part.startswith("hf://") and not any(beginning.parent.glob(f"{escape(beginning.name)}*")):
                raise NmtError(f"{part}: this part of {self.name} is not here; {self.obtain}")
        return parts


def corpus_card(folder: Path) -> CorpusCard:
    """The card of the corpus in this folder."""
    path = folder / "corpus.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise NmtError(f"{folder}: a folder without corpus.toml; give the prefix of its files, such as {folder / 'train'}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NmtError(f"{path}: not TOML: {error}") from None
    for key in table.keys() - set(KEYS):
        raise NmtError(f"{path}: unknown key {key!r}; known are {', '.join(KEYS)}")
    splits = _required(path, table, "splits", dict)
    return CorpusCard(
        path=path,
        name=_required(path, table, "name", str),
        languages=_strings(path, "languages", _required(path, table, "languages", list)),
        licence=_required(path, table, "licence", str),
        origin=_required(path, table, "origin", str),
        obtain=table.get("obtain", ""),
        splits={split: _strings(path, f"splits.{split}", parts) for split, parts in splits.items()},
    )


def _required(path: Path, table: dict[str, Any], key: str, kind: type) -> Any:
    if not isinstance(table.get(key), kind):
        raise NmtError(f"{path}: {key} must be a {kind.__name__}, got {table.get(key)!r}")
    return table[key]


def _strings(path: Path, key: str, value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise NmtError(f"{path}: {key} must be a string or a list of strings, got {value!r}")
    return tuple(texts)
