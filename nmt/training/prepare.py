"""The run folder: recipe, subwords, data in pieces, shortlist, metrics; made once, taken up
again by the same command."""

import errno
import fcntl
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from nmt.data.store import Store, build_store, open_store
from nmt.defaults import choices, default_batch_pieces, default_epochs
from nmt.engines.lexicon import learn_shortlist, sampled_rows
from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.files import move, refuse_links, remove_unfinished, write_atomically, writing
from nmt.folders import open_folder
from nmt.recipe import DataConfig, Recipe, dump_recipe, load_recipe
from nmt.run_folder import POINTERS, SHORTLIST, RunFolder
from nmt.text.clean import Audit, clean_pairs, watched
from nmt.text.corpus import Pair, fingerprint, read_pairs
from nmt.text.dev_split import Parallel, without
from nmt.text.lines import plain
from nmt.text.segments import Lengths, longest_of
from nmt.text.subwords import SAMPLE_PAIRS, SubwordPair, train_subword_pair
from nmt.training.batch_size import fit_batch
from nmt.training.begun import (
    begun,
    names,
    read_begun,
    refuse_changes,
    refuse_other_settings,
    settings,
    write_begun,
)
from nmt.training.dev_set import Dev
from nmt.training.fine_tuning import first_subwords
from nmt.training.plans import updates_in_epoch

SPARE = 1.05  # epochs differ a little in their number of updates


class Materials(NamedTuple):
    """What training works on."""

    recipe: Recipe
    subwords: SubwordPair
    store: Store


@contextmanager
def locked(run: Path) -> Iterator[str]:
    """Keeps a second process from training in the same folder; a line for people where the file
    system cannot do that, else nothing.

    Raises:
        NmtError: another process does, or the folder cannot be made.
    """
    note = ""
    with ExitStack() as stack:
        try:
            with writing(run):
                run.mkdir(parents=True, exist_ok=True)
                refuse_links(run, POINTERS)
                lock = os.open(RunFolder(run).lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NmtError(
                f"{run}: another process is training in this folder; wait for it or choose another"
                " --run"
            ) from None
        except (
            NmtError
        ) as error:  # nobody can train on a read-only disk, but a finished run is done there too
            if not (
                isinstance(error.__cause__, OSError)
                and error.__cause__.errno in (errno.EROFS, errno.EACCES)
                and RunFolder(run).checkpoints()
            ):
                raise
        except OSError as error:
            note = (
                f"{run}: this file system has no locks ({error.strerror}); see to it that nothing"
                " else trains in this folder"
            )
        else:
            remove_unfinished(run)
        yield note


def prepare(
    recipe: Recipe, run: Path, fit: bool = False, dev: Dev | None = None, content: str | None = None
) -> Iterator[str | Materials]:
    """Writes what is missing in the run folder and opens it: a line on each longer step, the
    materials at the end.

    With `fit`, the batch size is what memory suffices for, unless the recipe or the folder has one.
    A dev set that was split off the training text is left out of it. `content` is what
    `training_content` gave, None where it was not asked.

    Raises:
        NmtError: the folder is of another recipe or cannot be written, or the training data have
            changed since the run began.
    """
    moved = names_in(run) != names(recipe)
    recipe = agreed_recipe(recipe, run)
    data = recipe.data
    held_out = dev.pairs if dev and dev.is_split else None
    content = (training_content(data, run)[0] if content is None else content) or str(
        read_begun(run).get("train", "")
    )
    yield f"reading {', '.join(data.train)}"
    if RunFolder(run).has_subwords:
        subwords = SubwordPair.load(run)
    elif recipe.training.start_from:
        subwords = first_subwords(recipe)
        save_subwords(subwords, run)
        yield f"took the {subwords.source.size:,} subword pieces of {recipe.training.start_from}"
    else:
        audit = Audit()
        pairs = (
            (pair.source, pair.target) for pair in clean_training_pairs(recipe, audit, held_out)
        )
        subwords = train_subword_pair(pairs, recipe.subwords, recipe.training.seed)
        save_subwords(subwords, run)
        pieces = f"{subwords.source.size:,} subword pieces" + (
            "" if subwords.joint else f" and {subwords.target.size:,}"
        )
        yield f"learnt {pieces}{_sampled(SAMPLE_PAIRS, audit.kept)}"
    refuse_changes(run, begun(recipe, subwords, content))
    kept = (
        f"{data.max_length} {data.max_ratio}"
        f" {held_out and sha256(repr(held_out).encode()).hexdigest()}"
    )
    mark = sha256(b"\0".join([content.encode(), *subwords.models, kept.encode()])).hexdigest()
    store = _store(run, recipe, subwords, mark, dev)
    _record_lengths(run, recipe, store)
    if not RunFolder(run).shortlist.exists():
        _save_shortlist(learn_shortlist(store, subwords), run)
        yield (
            "made the lexical"
            f" shortlist{_sampled(sum(map(len, sampled_rows(store.source_lengths, store.target_lengths))), len(store))}"  # noqa: E501
        )
    if fit:
        recipe, line = _fitted(recipe, subwords, store)
        yield line
    asked, recipe = recipe, _resolved(recipe, subwords, store)
    if chosen := choices(asked, recipe, f"{len(store):,} pairs"):
        yield chosen
    write_recipe(RunFolder(run).recipe, recipe)
    write_begun(run, begun(recipe, subwords, content), moved)
    yield Materials(recipe, subwords, store)


def _sampled(looked_at: int, pairs: int) -> str:
    return f", from a sample of {looked_at:,} of the {pairs:,} pairs" if looked_at < pairs else ""


def open_materials(run: Path) -> Materials:
    """What another process has prepared.

    Raises:
        NmtError: the folder is not there, so not shared between the machines.
    """
    if not RunFolder(run).recipe.exists():
        raise NmtError(
            f"{run}: the first process made this folder, this one does not see it; put it where all"
            " machines can read it"
        )
    return Materials(
        load_recipe(RunFolder(run).recipe, run),
        SubwordPair.load(run),
        open_store(RunFolder(run).data),
    )


def _fitted(recipe: Recipe, subwords: SubwordPair, store: Store) -> tuple[Recipe, str]:
    pieces = recipe.training.batch_pieces
    if pieces:
        return recipe, f"keeping the batches of {pieces:,} pieces that this run began with"
    pieces, line = fit_batch(recipe, subwords, store)
    return replace(recipe, training=replace(recipe.training, batch_pieces=pieces)), line


def _resolved(recipe: Recipe, subwords: SubwordPair, store: Store) -> Recipe:
    """The recipe with numbers in place of what was left to nmt."""
    vocabulary = (
        recipe.subwords
        if recipe.subwords.vocab_size
        else replace(recipe.subwords, vocab_size=subwords.source.size)
    )
    training = replace(
        recipe.training,
        batch_pieces=recipe.training.batch_pieces or default_batch_pieces(len(store)),
    )
    epochs = default_epochs(len(store))
    if training.updates:
        epochs = math.ceil(training.updates * SPARE / updates_in_epoch(store, training, epoch=1))
    training = replace(training, epochs=training.epochs or epochs)
    return replace(recipe, subwords=vocabulary, training=training)


def training_content(data: DataConfig, run: Path) -> tuple[str, str]:
    """The hash of the training text, and nothing; without the text, for a run that has its own
    copy, nothing and a line for people.

    Raises:
        NmtError: the text is not here, and the run has not got it.
    """
    try:
        return (
            " ".join(fingerprint(each, data.source, data.target, "train") for each in data.train),
            "",
        )
    except NmtError as error:
        if not (RunFolder(run).checkpoints() and RunFolder(run).store_card.exists()):
            raise
        return "", f"going on with the run's own copy of the training text ({error})"


def _store(run: Path, recipe: Recipe, subwords: SubwordPair, mark: str, dev: Dev | None) -> Store:
    folder = RunFolder(run).data
    if RunFolder(run).store_card.exists():
        store = open_store(folder)
        if store.fingerprint == mark:
            return store
        if RunFolder(run).checkpoints():
            raise NmtError(
                f"{run}: the training data have changed since this run began; put them back or"
                " choose another --run"
            )
    RunFolder(run).shortlist.unlink(missing_ok=True)
    audit = Audit()
    pairs = watched_training_pairs(recipe, audit, dev)
    return build_store(folder, pairs, subwords, recipe.data, audit, mark)


def _record_lengths(run: Path, recipe: Recipe, store: Store) -> None:
    """The longest lines of this run's data and of those of the model that it starts from; later
    both may have gone."""
    path = RunFolder(run).lengths
    if path.exists() and RunFolder(run).checkpoints():
        return
    lengths = [Lengths(int(store.source_lengths.max()), int(store.target_lengths.max()))]
    if recipe.training.start_from:
        lengths.append(open_folder(Path(recipe.training.start_from)).lengths)
    text = longest_of(lengths).text()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)


def watched_training_pairs(recipe: Recipe, audit: Audit, dev: Dev | None) -> Iterator[Pair]:
    """Those that are fit to learn from; what is odd about them is remarked in the audit when the
    last has passed."""
    pairs = clean_training_pairs(recipe, audit, dev.pairs if dev and dev.is_split else None)
    return watched(pairs, dev.located(recipe.data.dev) if dev else (), recipe.data, audit)


def clean_training_pairs(
    recipe: Recipe, audit: Audit, held_out: Parallel | None = None
) -> Iterator[Pair]:
    """The training pairs that are fit to learn from, those left out that share a sentence with a
    dev set split off them."""
    data = recipe.data
    pairs = clean_pairs(
        chain.from_iterable(
            read_pairs(each, data.source, data.target, "train") for each in data.train
        ),
        audit,
    )
    pairs = (pair._replace(source=plain(pair.source)) for pair in pairs)
    return without(pairs, held_out, audit) if held_out else pairs


def agreed_recipe(recipe: Recipe, run: Path) -> Recipe:
    """The recipe, after comparing it with the one that the folder was made with; without a
    checkpoint the new one takes its place."""
    path = RunFolder(run).recipe
    if RunFolder(run).checkpoints() and not path.exists():
        raise NmtError(
            f"{path}: missing, though the folder holds checkpoints; put it back or choose another"
            " --run"
        )
    if path.exists():
        saved = _recipe_of(path)
        agreed = _with_choices(recipe, saved)
        if RunFolder(run).checkpoints():
            refuse_other_settings(run, settings(saved), settings(agreed))
        if settings(saved) == settings(agreed):
            recipe = agreed
        else:
            for file in (*run.glob("subwords*.model"), *run.glob(SHORTLIST)):
                file.unlink()
            shutil.rmtree(RunFolder(run).data, ignore_errors=True)
    write_recipe(path, recipe)
    return recipe


def names_in(run: Path) -> list[str]:
    path = RunFolder(run).recipe
    return names(_recipe_of(path)) if path.exists() else []


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Writes nothing where nothing is new: a finished run may lie on a read-only disk."""
    text = dump_recipe(recipe)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)


def _recipe_of(path: Path) -> Recipe:
    try:
        return load_recipe(path, path.parent)
    except NmtError as error:
        raise NmtError(
            f"{error}; is the folder another version's? choose another --run, or put the recipe"
            " back"
        ) from None


def _with_choices(recipe: Recipe, saved: Recipe) -> Recipe:
    """The recipe with what nmt chose when the run began, where the choice is left to it again."""
    subwords = (
        recipe.subwords
        if recipe.subwords.vocab_size
        else replace(recipe.subwords, vocab_size=saved.subwords.vocab_size)
    )
    training, before = recipe.training, saved.training
    epochs = training.epochs or (0 if training.updates else before.epochs)
    training = replace(
        training, epochs=epochs, batch_pieces=training.batch_pieces or before.batch_pieces
    )
    return replace(recipe, subwords=subwords, training=training)


def save_subwords(subwords: SubwordPair, run: Path) -> None:
    """Both files of separate models appear, or none: the one that `prepare` looks for comes
    last."""
    temporary = run / ".subwords.writing"
    with writing(run, "the subwords"):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        subwords.save(temporary)
        for file in sorted(temporary.iterdir()):
            move(file, run / file.name)
        temporary.rmdir()


def _save_shortlist(shortlist: Shortlist, run: Path) -> None:
    temporary = run / f".{SHORTLIST}.writing"
    with writing(RunFolder(run).shortlist):
        shortlist.save(temporary)
        move(temporary, RunFolder(run).shortlist)
