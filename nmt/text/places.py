"""Where the corpora of a recipe are: relative names start from one of several folders."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nmt.files import read_json
from nmt.recipe import Recipe
from nmt.run_folder import RunFolder
from nmt.text.corpus import HUB, PARTNER, is_corpus
from nmt.text.dev_split import split_size


def run_folders(recipe: Path) -> list[Path]:
    """Where the names in a recipe may start from: a run's from where it was begun, any from
    here, or from the recipe's own folder."""
    path = RunFolder(recipe.parent).begun
    try:
        begun = [Path(read_json(path, within=recipe.parent)["folder"])]
    except (OSError, ValueError, KeyError, TypeError):
        begun = []
    return [*([] if begun == [Path.cwd()] else begun), Path(), recipe.parent]


def located(recipe: Recipe, folders: Sequence[Path]) -> Recipe:
    """The recipe with its names as seen from here: each starts from the first folder where there is
    such a corpus or model.

    Names that are nowhere stay as they are.
    """
    data, start = recipe.data, recipe.training.start_from

    def find(name: str, split: str) -> str:
        if name.startswith(HUB) or (split == "dev" and split_size(name) is not None):
            return name
        for folder in folders:
            there = PARTNER.join(
                part if folder == Path() else str(folder / part) for part in name.split(PARTNER)
            )
            is_text = recipe.task == "language-model" and Path(there).is_file()
            if is_text or is_corpus(there, data.source, data.target, split):
                return there
        return name

    data = replace(
        data, train=tuple(find(name, "train") for name in data.train), dev=find(data.dev, "dev")
    )
    start = next(
        (str(folder / start) for folder in folders if start and (folder / start).is_dir()), start
    )
    return replace(recipe, data=data, training=replace(recipe.training, start_from=start))
