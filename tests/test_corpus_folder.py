"""Folders with a card, corpus.toml."""

from pathlib import Path

import pytest
from corpus_files import TEXTS, empty_folder, write_prefix

from nmt.errors import NmtError
from nmt.text.corpus import fingerprint, read_pairs

in_empty_folder = pytest.fixture(autouse=True)(empty_folder)


def card(**changes: str) -> None:
    Path("corpus").mkdir(exist_ok=True)
    keys = {
        "name": '"c"',
        "languages": '["nl", "en"]',
        "licence": '"x"',
        "origin": '"y"',
        "splits": '{train = ["a", "b"], dev = "a"}',
    }
    Path("corpus/corpus.toml").write_text(
        "".join(f"{key} = {value}\n" for key, value in (keys | changes).items() if value)
    )


def test_a_corpus_folder_names_the_files_of_its_splits() -> None:
    card()
    write_prefix("corpus/a")
    write_prefix("corpus/b", ".gz")
    assert [pair.target for pair in read_pairs("corpus", "nl", "en")] == [
        target for _, target in TEXTS
    ] * 2
    assert (
        list(read_pairs("corpus", "nl", "en", split="dev"))
        == list(read_pairs("corpus#dev", "nl", "en"))
        == list(read_pairs("corpus/a", "nl", "en"))
    )
    assert fingerprint("corpus", "nl", "en") != fingerprint("corpus#dev", "nl", "en")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "{"}, "corpus.toml: not TOML"),
        (
            {"obtian": '"x"'},
            (
                "corpus.toml: unknown key 'obtian'; known are name, languages, licence, origin,"
                " obtain, splits"
            ),
        ),
        ({"name": ""}, r'corpus.toml: name is missing; write name = "\.\.\."$'),
        ({"licence": "3"}, "corpus.toml: licence must be a string, got 3"),
        (
            {"languages": "[]"},
            r"corpus.toml: languages must be a string or a list of strings, got \[\]",
        ),
        (
            {"splits": "{train = 3}"},
            "corpus.toml: splits.train must be a string or a list of strings, got 3",
        ),
        ({"languages": '["fy", "en"]'}, "corpus.toml: no language 'nl'; c has fy, en"),
        ({"splits": '{test = "a"}'}, "corpus.toml: no split 'train'; known are test"),
        ({"obtain": '"ask them"'}, "a: this part of c is not here; ask them"),
        ({}, "a: found neither corpus/a.nl nor corpus/a.nl.gz"),
    ],
)
def test_a_wrong_card_is_refused(changes: dict[str, str], expected: str) -> None:
    card(**changes)
    with pytest.raises(NmtError, match=rf"^corpus/{expected}"):
        list(read_pairs("corpus", "nl", "en"))


def test_a_folder_without_a_card_is_refused() -> None:
    Path("corpus").mkdir()
    with pytest.raises(
        NmtError,
        match=(
            r"^corpus: a folder without corpus.toml; give the prefix of its files, such as"
            r" corpus/train"
        ),
    ):
        list(read_pairs("corpus", "nl", "en"))
