"""Parallel text in any format, or a corpus.toml that names it, as pairs."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from glob import escape
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from nmt.errors import NmtError
from nmt.files import is_within, read_toml
from nmt.limits import shown
from nmt.text.lines import PACKED, bare, lenient_lines, read_lines
from nmt.text.records import read_csv, read_hub, read_json_lines, read_parquet, read_table
from nmt.text.tmx import read_tmx

__all__ = ["Pair", "fingerprint", "read_lines", "read_pairs", "read_parallel"]

Reader = Callable[[Path, str, str], Iterator[tuple[str, str, str]]]

HUB = "hf://"
PARTNER = "|"  # between two files of any name, SOURCE|TARGET
FILE_FORMATS: Mapping[str, Reader] = {
    ".tsv": read_table,
    ".csv": read_csv,
    ".jsonl": read_json_lines,
    ".tmx": read_tmx,
    ".parquet": read_parquet,
}


class Pair(NamedTuple):
    source: str
    target: str
    where: str  # for people: train.nl.gz:17


def read_pairs(
    specification: str, source: str, target: str, split: str = "train"
) -> Iterator[Pair]:
    """The pairs of a corpus in its order, in constant memory.

    `specification` is one of: PREFIX (for PREFIX.nl and PREFIX.en; one of the two names does as
    well), FILE.tsv, FILE.csv, FILE.jsonl, FILE.tmx (all of them also .gz, .xz or .bz2),
    FILE.parquet, two files SOURCE|TARGET of any name, hf://NAME, hf://NAME:CONFIG#SPLIT,
    hf:///FOLDER, or a folder with a corpus.toml, FOLDER or FOLDER#SPLIT. `source` and `target` are
        the language codes; `split` is read where a corpus has several and the specification names
        none.

    Raises NmtError for a file that is missing, empty, malformed, or longer than its partner.
    """
    empty = True
    for part in _parts(specification, source, target, split):
        for source_text, target_text, where in _read_part(part, source, target, split):
            empty = False
            yield Pair(source_text, target_text, where)
    if empty:
        raise NmtError(f"{specification}: no pairs in it; check the file")


def read_parallel(
    specification: str, source: str, target: str, split: str = "test"
) -> tuple[list[str], list[str]]:
    """(source texts, target texts) of a corpus to evaluate on, every line kept.

    Raises NmtError for a text that is not valid Unicode or has a line break within it.
    """
    sources, targets = [], []
    for pair in read_pairs(specification, source, target, split):
        for text in (pair.source, pair.target):
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise NmtError(
                    f"{pair.where}: not valid UTF-8, got {text[:60]!r}; convert the file to UTF-8"
                )
            if "\n" in text:
                raise NmtError(
                    f"{pair.where}: a line break within a sentence, got {text[:60]!r}; write one"
                    " sentence a line"
                )
        sources.append(pair.source)
        targets.append(pair.target)
    return sources, targets


def fingerprint(specification: str, source: str, target: str, split: str = "train") -> str:
    """A hash of everything that `read_pairs` would read, so that changed text is noticed; of Hub
    data sets the name only."""
    digest = hashlib.sha256(f"{source} {target}".encode())
    for part in _parts(specification, source, target, split):
        files = [] if part.startswith(HUB) else _files(part, source, target)
        digest.update(f" {len(files) or part}".encode())
        for path in files:
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def is_corpus(specification: str, source: str, target: str, split: str = "train") -> bool:
    """Whether the files of a corpus are there; a data set of the Hub is not looked for."""
    try:
        return all(
            part.startswith(HUB) or _files(part, source, target)
            for part in _parts(specification, source, target, split)
        )
    except NmtError:
        return False


def _parts(specification: str, source: str, target: str, split: str) -> list[str]:
    """The prefixes, files and data sets behind a specification: those that its corpus.toml
    names, or itself."""
    if (
        specification.startswith(HUB)
        or PARTNER in specification
        or _side_files(specification, source)
    ):
        return [specification]
    folder, named, named_split = specification.rpartition("#")
    if named and Path(folder).is_dir():
        return corpus_card(Path(folder)).parts(named_split, source, target)
    if Path(specification).is_dir():
        return corpus_card(Path(specification)).parts(split, source, target)
    return [specification]


def _read_part(part: str, source: str, target: str, split: str) -> Iterator[tuple[str, str, str]]:
    if part.startswith(HUB):
        return read_hub(part, source, target, split)
    files = _files(part, source, target)
    if len(files) == 2:
        return _read_two(files[0], files[1])
    return FILE_FORMATS[_suffix(part)](files[0], source, target)


def _files(part: str, source: str, target: str) -> list[Path]:
    """The two files of a prefix or of SOURCE|TARGET, or the one file that holds both sides."""
    if PARTNER in part:
        paths = [Path(name.strip()) for name in part.split(PARTNER)]
        for path in paths:
            if len(paths) != 2 or not path.is_file():
                raise NmtError(
                    f"{part}: {path} is no file; name two, the source's and the target's, as in"
                    f" text.nl{PARTNER}text.en"
                )
        return paths
    if _suffix(part) in FILE_FORMATS:
        if not Path(part).is_file():
            raise NmtError(f"{part}: no such file; check the path")
        return [Path(part)]
    sides = [_side_files(part, language) for language in (source, target)]
    for language, found in zip((source, target), sides, strict=True):
        if not found:
            prefix = bare(part).removesuffix(f".{source}").removesuffix(f".{target}")
            if (
                prefix != bare(part) and Path(part).is_file()
            ):  # one of the two files in place of their prefix
                return _files(prefix, source, target)
            raise NmtError(
                f"{part}: found neither {part}.{language} nor {part}.{language}.gz;"
                f" {_instead(part, language)}"
            )
    return [found[0] for found in sides]


def _instead(part: str, language: str) -> str:
    """What to do where a prefix has no file that can be read."""
    near = sorted(
        str(path)
        for path in Path(part).parent.glob(f"{escape(Path(part).name)}.{escape(language)}.*")
    )
    if near:
        return f"{near[0]} is there: unpack or rename it"
    advice = (
        "give a prefix, a .tsv, .csv, .jsonl, .tmx or .parquet file, hf://NAME, or a folder with a"
        " corpus.toml"
    )
    return f"{part} is a file of another format: {advice}" if Path(part).is_file() else advice


def _side_files(prefix: str, language: str) -> list[Path]:
    return [
        path for ending in ("", *PACKED) if (path := Path(f"{prefix}.{language}{ending}")).is_file()
    ]


def _suffix(part: str) -> str:
    return Path(bare(part)).suffix


def _read_two(source_path: Path, target_path: Path) -> Iterator[tuple[str, str, str]]:
    for number, (source, target) in enumerate(
        zip_longest(lenient_lines(source_path), lenient_lines(target_path)), 1
    ):
        if source is None or target is None:
            longer, shorter = (
                (target_path, source_path) if source is None else (source_path, target_path)
            )
            raise NmtError(
                f"{longer}:{number}: no partner, {shorter} ends at line {number - 1}; line n of one"
                " must translate line n of the other"
            )
        yield source, target, f"{source_path}:{number}"


KINDS: dict[type, str] = {str: "a string", list: "a list", dict: "a table"}
EMPTY: dict[type, str] = {
    str: '"..."',
    list: '["nl", "en"]',
    dict: '{ train = "..." }',
}  # what a value of the kind looks like
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
        """What `read_pairs` is to read for this split. Raises NmtError if the split, a language
        or a file is not here."""
        for language in (source, target):
            if language not in self.languages:
                raise NmtError(
                    f"{self.path}: no language {language!r}; {self.name} has"
                    f" {', '.join(self.languages)}"
                )
        if split not in self.splits:
            raise NmtError(f"{self.path}: no split {split!r}; known are {', '.join(self.splits)}")
        parts = [
            part if part.startswith("hf://") else str(self.path.parent / part)
            for part in self.splits[split]
        ]
        for part in parts:
            beginning = Path(part)
            self._refuse_outside(part)
            if (
                self.obtain
                and not part.startswith("hf://")
                and not any(beginning.parent.glob(f"{escape(beginning.name)}*"))
            ):
                raise NmtError(f"{part}: this part of {self.name} is not here; {self.obtain}")
        return parts

    def _refuse_outside(self, part: str) -> None:
        """A card may be a stranger's: it names data sets of the Hub and what lies beside it, no
        other files of this machine."""
        address = Path(part.removeprefix("hf://"))
        is_hub = part.startswith("hf://")
        outside = (
            address.is_absolute() or ".." in address.parts
            if is_hub
            else not is_within(address, self.path.parent)
        )
        if outside or "\0" in part:
            advice = "name those files themselves, instead of the corpus, if you trust it"
            raise NmtError(f"{self.path}: names files outside its folder, {shown(part)}; {advice}")


def corpus_card(folder: Path) -> CorpusCard:
    """The card of the corpus in this folder."""
    path = folder / "corpus.toml"
    try:
        table = read_toml(path, folder)
    except FileNotFoundError:
        raise NmtError(
            f"{folder}: a folder without corpus.toml; give the prefix of its files, such as"
            f" {folder / 'train'}"
        ) from None
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
    if (
        not isinstance(texts, list)
        or not texts
        or not all(isinstance(text, str) and text for text in texts)
    ):
        raise NmtError(f"{path}: {key} must be a string or a list of strings, got {shown(value)}")
    return tuple(texts)
