"""The run folder of a language model: recipe, pieces, text in pieces; made once, taken up again by
the same command."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from nmt.data.text_store import TextLine, TextStore, build_text_store
from nmt.defaults import (
    choices,
    default_batch_pieces,
    default_epochs,
    default_vocab_size,
)
from nmt.errors import NmtError
from nmt.files import file_hash
from nmt.recipe import Recipe, load_recipe
from nmt.run_folder import RunFolder
from nmt.text.lines import clean_lines, open_bytes, squeezed
from nmt.text.subwords import SubwordPair, Subwords, train_subwords
from nmt.training.begun import begun, names, read_begun, refuse_changes, write_begun
from nmt.training.fine_tuning import first_subwords
from nmt.training.prepare import (
    SPARE,
    agreed_recipe,
    names_in,
    save_subwords,
    write_recipe,
)

PIECES_OF_A_PAIR = 20  # what the defaults of a corpus of pairs take for one


class DevText(NamedTuple):
    """What a run is validated on: lines, and their pieces without ends of line."""

    lines: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]


class TextMaterials(NamedTuple):
    """What the training of a language model works on."""

    recipe: Recipe
    subwords: Subwords
    store: TextStore
    dev: DevText


def prepare_text(recipe: Recipe, run: Path, fit: bool = False) -> Iterator[str | TextMaterials]:
    """Writes what is missing in the run folder and opens it: a line on each longer step, the
    materials at the end.

    Raises:
        NmtError: the folder is of another recipe or cannot be written, a text cannot be read, or
            one has changed since the run began.
    """
    if fit:
        raise NmtError(
            "--batch auto is made for pairs; give --batch N, pieces in one update (default: by the"
            " size of the text)"
        )
    moved = names_in(run) != names(recipe)
    recipe = agreed_recipe(recipe, run)
    files = [Path(name) for name in recipe.data.train]
    content, gone = _content(files, run)
    if gone:
        yield gone
    warnings: list[str] = []
    if RunFolder(run).has_subwords:
        subwords = SubwordPair.load(run).target
    elif recipe.training.start_from:
        subwords = first_subwords(recipe).target
        save_subwords(SubwordPair(subwords, subwords), run)
        yield f"took the {subwords.size:,} pieces of {recipe.training.start_from}"
    else:
        yield f"reading {', '.join(recipe.data.train)}"
        lines = sum(1 for _ in read_text(files, warnings))
        size = recipe.subwords.vocab_size or default_vocab_size(lines)
        texts = (line.text for line in read_text(files, []))
        config = replace(recipe.subwords, variety=0.0)  # nothing is copied
        subwords = train_subwords(texts, config, size, recipe.training.seed)
        save_subwords(SubwordPair(subwords, subwords), run)
        yield f"learnt {subwords.size:,} pieces from {lines:,} lines"
    yield from warnings
    dev_path = Path(recipe.data.dev)
    dev_content = file_hash(_existing(dev_path, "data.dev"))
    pair = SubwordPair(subwords, subwords)
    refuse_changes(run, begun(recipe, pair, content, dev_content))
    store = _store(run, recipe, subwords, content)
    asked, recipe = recipe, _resolved(recipe, subwords, store)
    if chosen := choices(asked, recipe, f"{len(store.pieces):,} pieces of text"):
        yield chosen
    write_recipe(RunFolder(run).recipe, recipe)
    write_begun(run, begun(recipe, pair, content, dev_content), moved)
    yield TextMaterials(recipe, subwords, store, read_dev_text(recipe, subwords))


def open_text(run: Path) -> TextMaterials:
    """What another process has prepared.

    Raises:
        NmtError: the folder is not there, so not shared between the machines.
    """
    if not RunFolder(run).recipe.exists():
        raise NmtError(
            f"{run}: the first process made this folder, this one does not see it; put it where all"
            " machines can read it"
        )
    recipe, subwords = load_recipe(RunFolder(run).recipe, run), SubwordPair.load(run).target
    return TextMaterials(
        recipe, subwords, TextStore(RunFolder(run).data), read_dev_text(recipe, subwords)
    )


def read_text(files: Sequence[Path], warnings: list[str]) -> Iterator[TextLine]:
    """The lines of plain text files as they are learnt: every kind of space as one space, composed
    Unicode. What could not be kept is told in `warnings`.

    Raises:
        NmtError: a file is missing or is no text.
    """
    for number, path in enumerate(files):
        with open_bytes(path) as stream:
            for line, found in enumerate(clean_lines(stream, str(path), warnings.append), 1):
                yield TextLine(squeezed(found.text), number, line)


def read_dev_text(recipe: Recipe, subwords: Subwords) -> DevText:
    """The dev text; where each line is a text of its own, without blank ones.

    Raises:
        NmtError: it cannot be read, or has no text.
    """
    lines = [line.text for line in read_text([Path(recipe.data.dev)], [])]
    if not recipe.data.running:
        lines = [line for line in lines if line]
    if not any(lines):
        raise NmtError(f"{recipe.data.dev}: no text; name a text file as data.dev")
    return DevText(tuple(lines), tuple(tuple(ids) for ids in subwords.encode(lines)))


def _existing(path: Path, key: str) -> Path:
    if not path.is_file():
        raise NmtError(f"{path}: no such text file; a language model's {key} is plain text")
    return path


def _content(files: Sequence[Path], run: Path) -> tuple[str, str]:
    """The hash of the training text, and nothing; where it has gone and the run has its own copy,
    what the run began with, and a line for people."""
    try:
        return " ".join(file_hash(_existing(path, "data.train")) for path in files), ""
    except NmtError as error:
        if not (RunFolder(run).checkpoints() and RunFolder(run).store_card.exists()):
            raise
        began = str(read_begun(run).get("train", ""))
        return began, f"going on with the run's own copy of the training text ({error})"


def _store(run: Path, recipe: Recipe, subwords: Subwords, content: str) -> TextStore:
    data, folder = recipe.data, RunFolder(run).data
    limit = None if data.running else data.max_length
    mark = sha256(b"\0".join([content.encode(), subwords.model, repr(limit).encode()])).hexdigest()
    if RunFolder(run).store_card.exists():
        store = TextStore(folder)
        if store.fingerprint == mark:
            return store
        if RunFolder(run).checkpoints():
            raise NmtError(
                f"{run}: the training data have changed since this run began; put them back or"
                " choose another --run"
            )
    lines = read_text([Path(name) for name in data.train], [])
    return build_text_store(folder, lines, data.train, subwords, limit, mark)


def _resolved(recipe: Recipe, subwords: Subwords, store: TextStore) -> Recipe:
    """The recipe with numbers in place of what was left to nmt."""
    vocabulary = replace(recipe.subwords, vocab_size=recipe.subwords.vocab_size or subwords.size)
    config, pairs = recipe.training, max(1, len(store.pieces) // PIECES_OF_A_PAIR)
    config = replace(config, batch_pieces=config.batch_pieces or default_batch_pieces(pairs))
    epochs = default_epochs(pairs)
    if config.updates:  # at least as many epochs as hold them
        epochs = math.ceil(config.updates * SPARE * config.batch_pieces / len(store.pieces)) + 1
    return replace(
        recipe, subwords=vocabulary, training=replace(config, epochs=config.epochs or epochs)
    )
