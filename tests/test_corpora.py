"""The corpora folder: every card loads, and what is bundled is what its data card says."""

import gzip
import re
from pathlib import Path

import pytest

from nmt.errors import NmtError
from nmt.text.clean import Audit, audit_overlap, clean_pairs
from nmt.text.corpus import Pair, corpus_card, read_pairs

CORPORA = Path(__file__).parent.parent / "corpora"
BUNDLED = CORPORA / "tatoeba-nld-eng"
SIZES = {"train": 47_506, "dev": 2_000, "test": 2_000}
FOLDERS = sorted(path.parent for path in CORPORA.glob("*/corpus.toml"))


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Pair]]:
    return {split: list(read_pairs(str(BUNDLED), "nl", "en", split)) for split in SIZES}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_corpus_has_a_card_and_is_listed(folder: Path) -> None:
    card = corpus_card(folder)
    assert card.name == folder.name
    assert {"train", "dev", "test"} == set(card.splits)
    assert f"[{card.name}]({card.name}/README.md)" in (CORPORA / "README.md").read_text(
        encoding="utf-8"
    )
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert all(word in text for word in ("**Source**", "**Licence**", "**Form**", f"# {card.name}"))


@pytest.mark.parametrize(
    "folder", [folder for folder in FOLDERS if folder != BUNDLED], ids=lambda path: path.name
)
def test_a_corpus_that_is_not_bundled_says_how_to_get_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus.toml").write_bytes((folder / "corpus.toml").read_bytes())
    with pytest.raises(
        NmtError, match=rf"this part of {folder.name} is not here; it is not bundled; "
    ):
        list(read_pairs(str(tmp_path), *corpus_card(folder).languages, split="test"))


def test_the_bundled_corpus_has_the_sizes_that_its_card_gives(
    splits: dict[str, list[Pair]],
) -> None:
    text = (BUNDLED / "README.md").read_text(encoding="utf-8")
    for split, pairs in splits.items():
        words = [sum(len(pair[side].split()) for pair in pairs) for side in (0, 1)]
        assert len(pairs) == SIZES[split]
        assert f"| {split} | {len(pairs):,} | {words[0]:,} | {words[1]:,} |" in text


def test_no_sentence_is_in_two_splits(splits: dict[str, list[Pair]]) -> None:
    for side in (0, 1):
        sentences = [{pair[side] for pair in pairs} for pairs in splits.values()]
        assert sum(map(len, sentences)) == len(set().union(*sentences))


def test_every_bundled_pair_is_clean_and_comes_once(splits: dict[str, list[Pair]]) -> None:
    audit = Audit()
    assert all(list(clean_pairs(pairs, audit)) == pairs for pairs in splits.values())
    overlap = audit_overlap(splits["train"], splits["dev"] + splits["test"])
    assert (overlap.duplicates, overlap.copies, overlap.dev_sources) == (0, 16, 0)


@pytest.mark.parametrize("split", SIZES)
def test_every_bundled_line_has_its_attribution(split: str) -> None:
    with gzip.open(
        BUNDLED / f"{split}.attribution.gz", "rt", encoding="utf-8", newline="\n"
    ) as stream:
        lines = stream.read().removesuffix("\n").split("\n")
    assert len(lines) == SIZES[split]
    assert all(
        re.fullmatch(
            r"CC-BY 2\.0 \(France\) Attribution: tatoeba\.org #\d+ \(.+\) & #\d+ \(.+\)", line
        )
        for line in lines
    )
