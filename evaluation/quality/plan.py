"""Experiments as a TOML file: corpora, seeds, search settings to try, and rungs.

A rung is a base recipe plus settings; it may extend another rung.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nmt.errors import NmtError
from nmt.files import TABLE_BYTES, parse_toml, read_any

KINDS: Mapping[str, str] = {
    "seeds": "whole numbers",
    "beams": "whole numbers",
    "length_alphas": "numbers",
}
CORPUS_KEYS = {"train", "dev", "test", "source", "target", "tokeniser"}
RUNG_KEYS = {"base", "extends", "set", "about"}


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus that every rung is trained on; paths are those of `nmt train`."""

    name: str
    train: tuple[str, ...]
    dev: str  # PREFIX of two files
    source: str
    target: str
    test: tuple[str, ...] = ()  # PREFIXes, each scored once by the settings that dev chose
    tokeniser: str = "13a"  # of BLEU
    folder: str = ""  # that the names were taken from, with its slash; results leave it out


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A recipe under a name. `base` is a recipe file, or empty for the default recipe."""

    name: str
    about: str
    base: Path | None
    settings: tuple[str, ...]  # each table.key=value, in the order in which they are applied


class Trial(NamedTuple):
    """One training: a rung, a corpus and a seed."""

    corpus: Corpus
    rung: Rung
    seed: int

    @property
    def name(self) -> str:
        return f"{self.corpus.name}/{self.rung.name}/seed-{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every trial of an experiment, and the search settings tried on the dev set."""

    seeds: tuple[int, ...]
    beams: tuple[int, ...]
    length_alphas: tuple[float, ...]
    corpora: tuple[Corpus, ...]
    rungs: tuple[Rung, ...]  # the first one is the baseline of the comparisons

    def trials(self) -> Iterator[Trial]:
        """The first seed of every rung comes before the second seed of any."""
        for seed in self.seeds:
            for corpus in self.corpora:
                for rung in self.rungs:
                    yield Trial(corpus, rung, seed)


def load_plan(path: Path, data: Path | None = None) -> Plan:
    """Read a plan; relative names of corpora are taken from the folder `data`, where given.

    Raises:
        NmtError: no plan, or a key that is missing, unknown or of the wrong type.
    """
    try:
        document = parse_toml(read_any(path, TABLE_BYTES).decode("utf-8"))
    except (OSError, ValueError) as error:
        raise NmtError(f"{path}: cannot be read as a plan of experiments ({error})") from None
    try:
        _refuse_unknown("", document, {*KINDS, "corpora", "rungs"})
        corpora = [_corpus(*each, data) for each in _tables(document, "corpora")]
        return Plan(
            seeds=tuple(_numbers(document, "seeds", [1])),
            beams=tuple(_numbers(document, "beams", [5])),
            length_alphas=tuple(map(float, _numbers(document, "length_alphas", [1.0]))),
            corpora=tuple(corpora),
            rungs=tuple(_rungs(dict(_tables(document, "rungs")), path.parent)),
        )
    except NmtError as error:
        raise NmtError(f"{path}: {error}") from None


def _tables(document: Mapping[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    found = document.get(name)
    if not isinstance(found, dict) or not found:
        raise NmtError(f"[{name}.NAME] is missing; give at least one")
    for key, value in found.items():
        if not isinstance(value, dict):
            raise NmtError(f"{name}.{key} must be a table, got {value!r}")
    return list(found.items())


def _numbers(document: Mapping[str, Any], key: str, default: list[Any]) -> list[Any]:
    found = document.get(key, default)
    kinds = (int, float) if KINDS[key] == "numbers" else (int,)
    if (
        not isinstance(found, list)
        or not found
        or not all(isinstance(each, kinds) and not isinstance(each, bool) for each in found)
    ):
        raise NmtError(f"{key} must be a list of {KINDS[key]}, got {found!r}")
    return found


def _refuse_unknown(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(table) - known):
        raise NmtError(f"unknown key {where}{unknown[0]}; the keys are {', '.join(sorted(known))}")


def _corpus(name: str, table: dict[str, Any], data: Path | None) -> Corpus:
    where = f"corpora.{name}."
    _refuse_unknown(where, table, CORPUS_KEYS)
    for key in ("dev", "source", "target", "tokeniser"):
        if not isinstance(table.get(key, "" if key == "tokeniser" else None), str):
            raise NmtError(f"{where}{key} must be a string, got {table.get(key)!r}")
    for key in ("train", "test"):
        found = table.get(key, [])
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise NmtError(f"{where}{key} must be a list of strings, got {found!r}")
    if not table.get("train"):
        raise NmtError(f"{where}train is missing; name at least one corpus")

    def placed(text: str) -> str:
        return text if data is None else str(data / text)

    return Corpus(
        name=name,
        train=tuple(map(placed, table["train"])),
        dev=placed(table["dev"]),
        source=table["source"],
        target=table["target"],
        test=tuple(map(placed, table.get("test", []))),
        tokeniser=table.get("tokeniser", "13a"),
        folder="" if data is None else f"{data}/",
    )


def _rungs(tables: dict[str, dict[str, Any]], folder: Path) -> Iterator[Rung]:
    for name, table in tables.items():
        _refuse_unknown(f"rungs.{name}.", table, RUNG_KEYS)
        if "/" in name or name.startswith("."):
            raise NmtError(f"rungs.{name}: the name becomes a folder; use letters and hyphens")
        chain = _chain(name, tables)
        bases = [tables[each]["base"] for each in chain if "base" in tables[each]]
        settings = [
            setting for each in reversed(chain) for setting in _settings(each, tables[each])
        ]
        yield Rung(
            name=name,
            about=str(table.get("about", "")),
            base=folder / bases[0] if bases else None,
            settings=tuple(settings),
        )


def _chain(name: str, tables: dict[str, dict[str, Any]]) -> list[str]:
    """The rung, the one that it extends, and so on."""
    chain = [name]
    while "extends" in tables[chain[-1]]:
        parent = tables[chain[-1]]["extends"]
        if parent not in tables:
            raise NmtError(f"rungs.{chain[-1]} extends {parent!r}, which is not in the plan")
        if parent in chain:
            raise NmtError(f"rungs.{name} extends itself, by way of {parent!r}")
        chain.append(parent)
    return chain


def _settings(name: str, table: Mapping[str, Any]) -> list[str]:
    found = table.get("set", [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise NmtError(f"rungs.{name}.set must be a list of 'table.key=value', got {found!r}")
    return found
