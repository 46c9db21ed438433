"""Subwords keep text exact, sample purely, and refuse what they cannot learn or read."""

import io
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.errors import NmtError
from nmt.recipe import SubwordsConfig
from nmt.text import subwords as module
from nmt.text.subwords import (
    SubwordPair,
    Subwords,
    train_subword_pair,
    train_subwords,
)
from nmt.vocabulary import BOS, EOS, PAD

WORDS = [
    "de",
    "het",
    "een",
    "hond",
    "kat",
    "huis",
    "boom",
    "loopt",
    "slaapt",
    "speelt",
    "naar",
    "onder",
    "voor",
    "kleine",
    "grote",
    "oude",
    "nieuwe",
    "auto",
    "fiets",
    "school",
]
LINES = [
    f"{WORDS[i % 20]} {WORDS[(i * 7 + 3) % 20]} {WORDS[(i * 3 + i // 20) % 20]}."
    for i in range(400)
]


def trained(
    kind: str = "unigram",
    vocab_size: int = 0,
    lines: Iterable[str] = LINES,
    byte_fallback: bool = True,
) -> Subwords:
    return train_subwords(
        lines,
        SubwordsConfig(variety=0.0, kind=kind, vocab_size=vocab_size, byte_fallback=byte_fallback),
        vocab_size or 330,
        seed=1,
    )


UNIGRAM = trained()
BPE = trained("bpe")
CHARACTERS = trained("char")
SINGLE_SPACED = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=" \u2581"), min_size=1
)


@pytest.mark.parametrize("subwords", [UNIGRAM, BPE, CHARACTERS])
@settings(deadline=None)
@given(words=st.lists(SINGLE_SPACED, max_size=5))
def test_decoding_gives_back_any_single_spaced_text(subwords: Subwords, words: list[str]) -> None:
    text = " ".join(words)
    assert subwords.decode(subwords.encode([text])) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "😀 👩‍👩‍👧",
        "a\u2028b\u2029c\x85d",
        "NBSP\xa0here",
        "<s> </s> <unk> <pad> <0x41>",
        "a\x00b",
        "e\u0301 is not é",
        "⁇ ⁇",
    ],
)
def test_text_of_these_kinds_is_kept(text: str) -> None:
    assert UNIGRAM.decode(UNIGRAM.encode([text])) == [text]


def test_runs_of_spaces_become_one() -> None:
    assert UNIGRAM.encode(["  de   hond  "]) == UNIGRAM.encode(["de hond"])


def test_the_space_mark_of_sentencepiece_becomes_a_space() -> None:
    assert UNIGRAM.decode(UNIGRAM.encode(["de\u2581hond"])) == ["de hond"]


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_bytes_that_are_no_utf8_are_decoded_as_u_fffd(kept: int) -> None:
    """A network may write part of a character that has no piece: U+1F600 is four bytes."""
    word, [_, *face] = UNIGRAM.encode(["de"])[0], UNIGRAM.encode(["😀"])[0]
    assert len(face) == 4
    assert UNIGRAM.decode([[*word, *face[:kept], *word]]) == ["de" + "\ufffd" * kept + " de"]


def test_a_blank_line_has_no_pieces() -> None:
    assert UNIGRAM.encode(["", "   "]) == [[], []]
    assert UNIGRAM.decode([[], [BOS, EOS, PAD]]) == ["", ""]


def test_many_lines_are_encoded_like_each_alone() -> None:
    lines = LINES * 3
    assert len(lines) >= module.PARALLEL_LINES
    assert UNIGRAM.encode(lines) == [UNIGRAM.encode([line])[0] for line in lines]


def test_special_ids_are_where_the_network_expects_them() -> None:
    assert UNIGRAM.pieces([0, 1, 2, 3]) == ["<pad>", "<unk>", "<s>", "</s>"]
    assert not {0, 2, 3} & {piece for line in UNIGRAM.encode(LINES) for piece in line}


def test_pieces_spell_the_line() -> None:
    assert "".join(UNIGRAM.pieces(UNIGRAM.encode(["de hond"])[0])) == "▁de▁hond"


@pytest.mark.parametrize("subwords", [UNIGRAM, BPE])
def test_a_sample_is_a_function_of_its_arguments_alone(subwords: Subwords) -> None:
    first = subwords.sample(LINES, 0.3, 5)
    other = subwords.sample(LINES, 0.3, 6)
    elsewhere: list[list[list[int]]] = []
    thread = threading.Thread(target=lambda: elsewhere.append(subwords.sample(LINES, 0.3, 5)))
    thread.start()
    thread.join()
    assert subwords.sample(LINES, 0.3, 5) == first == elsewhere[0]
    assert first != other
    assert first != subwords.encode(LINES)
    assert subwords.decode(first) == LINES


def test_bpe_dropout_of_zero_drops_nothing() -> None:
    assert BPE.sample(LINES, 0.0, 1) == BPE.encode(LINES)


def test_training_twice_gives_the_same_model() -> None:
    assert trained().model == UNIGRAM.model


def test_saved_equals_loaded(tmp_path: Path) -> None:
    UNIGRAM.save(tmp_path / "subwords.model")
    assert Subwords.load(tmp_path / "subwords.model").model == UNIGRAM.model


@pytest.mark.parametrize("joint", [True, False])
def test_a_pair_saved_equals_loaded(tmp_path: Path, joint: bool) -> None:
    pair = train_subword_pair(
        [(line, line.upper()) for line in LINES], SubwordsConfig(variety=0.0, joint=joint), seed=1
    )
    pair.save(tmp_path)
    loaded = SubwordPair.load(tmp_path)
    assert pair.joint == loaded.joint == joint
    assert (loaded.source.model, loaded.target.model) == (pair.source.model, pair.target.model)
    assert (pair.source.model == pair.target.model) == joint


def test_a_default_size_shrinks_to_what_the_text_has() -> None:
    assert train_subwords(LINES, SubwordsConfig(variety=0.0), 30_000, seed=1).size < 1000


def test_a_default_size_grows_to_hold_all_characters() -> None:
    lines = [chr(0x4E00 + i) for i in range(600)]
    subwords = train_subwords(lines, SubwordsConfig(variety=0.0), 500, seed=1)
    assert all(
        len(ids) <= 2 for ids in subwords.encode(lines)
    )  # the space mark and the character: none is spelt in bytes


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_chosen_size_is_had_exactly(kind: str) -> None:
    assert trained(kind, 300).size == 300


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_chosen_size_too_large_is_refused(kind: str) -> None:
    with pytest.raises(
        NmtError,
        match=r"subwords.vocab_size is more than this text has, got 30000; set it to \d+ or less",
    ):
        trained(kind, 30_000)


def test_subwords_are_learnt_from_long_lines_too() -> None:
    lines = [" ".join(LINES)]
    assert len(lines[0]) > 4192  # sentencepiece's own limit, beyond which it drops a line
    assert len(trained(lines=lines).encode(["hond"])[0]) <= 2


def test_a_chosen_size_too_small_is_refused() -> None:
    with pytest.raises(
        NmtError,
        match=(
            r"subwords.vocab_size must be above \d+, the characters of this text, got 262; raise it"
        ),
    ):
        trained(vocab_size=262)


@pytest.mark.parametrize("lines", [[], ["", " "]])
def test_no_text_is_refused(lines: list[str]) -> None:
    with pytest.raises(NmtError, match=r"no text to learn subwords from; check data.train"):
        trained(lines=lines)


def test_other_failures_of_sentencepiece_are_passed_on_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(module, "_train", fail)
    with pytest.raises(
        NmtError, match=r"sentencepiece cannot learn subwords from this text: out of luck"
    ):
        trained()


def test_text_that_is_no_unicode_is_refused_with_its_line() -> None:
    for call in (UNIGRAM.encode, lambda lines: UNIGRAM.sample(lines, 0.1, 1)):
        with pytest.raises(
            NmtError,
            match=r"line 2 is not valid Unicode, got 'b\\udcff'; convert the text to UTF-8",
        ):
            call(["a", "b\udcff"])


@pytest.mark.parametrize("content", [b"", b"not a model", UNIGRAM.model[: len(UNIGRAM.model) // 2]])
def test_a_damaged_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "subwords.model"
    path.write_bytes(content)
    with pytest.raises(
        NmtError, match=r"subwords.model: (not a sentencepiece model|ids of pad, unk, bos, eos)"
    ):
        SubwordPair.load(tmp_path)


def test_a_foreign_model_is_refused() -> None:
    model = io.BytesIO()
    rule = "identity"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=model,
        vocab_size=40,
        normalization_rule_name=rule,
        minloglevel=2,
    )
    with pytest.raises(
        NmtError,
        match=(
            r"they.model: ids of pad, unk, bos, eos must be \(0, 1, 2, 3\), got \(-1, 0, 1, 2\);"
            r" use a subword model that nmt"
        ),
    ):
        Subwords(model.getvalue(), "they.model")


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        NmtError,
        match=r"subwords.model: cannot read the subword model \(No such file or directory\)",
    ):
        SubwordPair.load(tmp_path)


@settings(deadline=None)
@given(total=st.integers(0, 50), size=st.integers(1, 20))
def test_a_reservoir_holds_distinct_items_of_the_stream(total: int, size: int) -> None:
    sample, seen = module._reservoir(range(total), size, seed=1)
    assert seen == total
    assert len(set(sample)) == len(sample) == min(total, size)


def test_a_reservoir_is_fair() -> None:
    counts = [0] * 10
    for seed in range(2000):
        for item in module._reservoir(range(10), 3, seed)[0]:
            counts[item] += 1
    assert all(
        abs(count - 600) < 100 for count in counts
    )  # binomial: 600 expected, standard deviation 20.5


def test_a_vocabulary_without_room_for_the_special_pieces_is_refused():
    with pytest.raises(NmtError, match="must be above 28"):
        train_subwords(LINES, SubwordsConfig(vocab_size=28), 28, seed=1)
    assert train_subwords(LINES, SubwordsConfig(), 28, seed=1).placeholders
