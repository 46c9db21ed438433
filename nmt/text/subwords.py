"""Text <-> pieces: sentencepiece models (Kudo & Richardson 2018) that keep the text exact.

Text is not normalised, only runs of spaces become one and those at the ends go; so
`decode(encode(text)) == text` for single-spaced text, emoji, U+2028 and NUL included, as long as
`byte_fallback` is on. The one exception is sentencepiece's own space mark: U+2581 becomes a space.
"""

import io
import os
import random
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

import sentencepiece

from nmt.defaults import default_vocab_size
from nmt.errors import NmtError
from nmt.files import read_file
from nmt.machine import require_threads
from nmt.run_folder import SOURCE_SUBWORDS, SUBWORDS, TARGET_SUBWORDS
from nmt.text.charsmap import has_charsmap
from nmt.text.lines import plain
from nmt.text.markup import ALL
from nmt.text.sampled_subwords import SubwordSampler
from nmt.vocabulary import BOS, EOS, PAD, UNK

if TYPE_CHECKING:
    from nmt.recipe import SubwordsConfig

WORD_START = "▁"  # what sentencepiece writes for the space before a word
SAMPLE_PAIRS = 1_000_000  # pairs that subwords are learnt from; of larger corpora a random sample
SAMPLE_LINES = 2 * SAMPLE_PAIRS  # lines that one model is learnt from
LINE_BYTES = 1 << 16  # longer lines are translated, but no pieces are learnt from them
MODEL_BYTES = 1 << 26  # of a subword model; one of 32,000 pieces has less than a megabyte
MODEL_FILES = (SUBWORDS, SOURCE_SUBWORDS, TARGET_SUBWORDS)  # one for both languages, or two
PARALLEL_LINES = 1000  # from so many lines on, encoding uses all cores
THREADS = (
    16  # that subwords are learnt with on every machine: another number could give other pieces
)

Item = TypeVar("Item")


class Subwords:
    """One sentencepiece model: a value, its bytes are all there is to it."""

    def __init__(self, model: bytes, name: str = "subword model"):
        """Raises NmtError, calling the model `name`, if these bytes are no model of this
        toolkit."""
        self.model = model
        damaged = NmtError(
            f"{name}: not a sentencepiece model (damaged?); copy it again or train again"
        )
        try:
            rewrites = has_charsmap(model)
        except ValueError:
            raise damaged from None
        if rewrites:
            raise NmtError(
                f"{name}: rewrites characters by its own table, which nmt never writes; use a"
                " subword model that nmt trained"
            )
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
            _ = self._names  # pieces that are no UTF-8 would end a translation half way
        except (RuntimeError, UnicodeDecodeError):
            raise damaged from None
        processor = self._processor
        ids = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
        if ids != (PAD, UNK, BOS, EOS):
            raise NmtError(
                f"{name}: ids of pad, unk, bos, eos must be {(PAD, UNK, BOS, EOS)}, got {ids}; use"
                " a subword model that nmt trained"
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads the model that lies in a folder; no link may lead out of it."""
        try:
            return cls(read_file(path, MODEL_BYTES, path.parent), str(path))
        except OSError as error:
            raise NmtError(
                f"{path}: cannot read the subword model ({error.strerror}); is the model folder"
                " whole?"
            ) from None

    def save(self, path: Path) -> None:
        path.write_bytes(self.model)

    @property
    def size(self) -> int:
        """Pieces, the four special ones included."""
        return int(self._processor.get_piece_size())

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Ids of each line, without BOS and EOS; a blank line has none."""
        _check_unicode(lines)
        threads = (os.cpu_count() or 1) if len(lines) >= PARALLEL_LINES else 1
        if threads > 1:
            require_threads(threads)
        ids: list[list[int]] = self._processor.encode(list(lines), num_threads=threads)
        return ids

    def sample(self, lines: Sequence[str], alpha: float, seed: int) -> list[list[int]]:
        """Ids of a random segmentation of each line; a pure function of its arguments. An
        `alpha` of 0 is no sampling."""
        _check_unicode(lines)
        return self._sampler.sample(lines, alpha, seed) if alpha else self.encode(lines)

    @property
    def byte_pieces(self) -> list[int]:
        """The pieces that write one byte of a character that no other piece has; none without
        `byte_fallback`."""
        return [piece for piece in range(self.size) if self._processor.is_byte(piece)]

    @cached_property
    def placeholders(self) -> list[int]:
        """The pieces that stand for parts of the source to copy, in the order of `markup.ALL`; none
        in a model that was trained without them."""
        found: list[int] = self._processor.piece_to_id(list(ALL))
        return found if found == list(range(EOS + 1, EOS + 1 + len(ALL))) else []

    @cached_property
    def characters(self) -> frozenset[str]:
        """The characters that some piece has, the space mark included."""
        return frozenset(
            "".join(
                name for index, name in enumerate(self._names) if index not in set(self.byte_pieces)
            )
        )

    @cached_property
    def _sampler(self) -> SubwordSampler:
        return SubwordSampler(self._processor)

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Text of each line; special ids write nothing, bytes that are no UTF-8 write U+FFFD."""
        texts: list[str] = (
            self._processor.decode([list(line) for line in ids], num_threads=1) if ids else []
        )
        return texts

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The pieces as people read them; U+2581 marks the start of a word."""
        names = self._names
        return [names[piece] for piece in ids]

    @cached_property
    def _names(self) -> list[str]:
        names: list[str] = self._processor.id_to_piece(list(range(self.size)))
        return names


class SubwordPair(NamedTuple):
    """The models of both languages, one and the same object if they are joint."""

    source: Subwords
    target: Subwords

    @property
    def joint(self) -> bool:
        return self.source is self.target

    @property
    def placeholders(self) -> bool:
        """Whether both models have placeholder pieces."""
        return bool(self.source.placeholders and self.target.placeholders)

    @property
    def models(self) -> tuple[bytes, bytes]:
        """All that there is to them: of the source and of the target."""
        return self.source.model, self.target.model

    def encode_sources(self, lines: Sequence[str]) -> list[list[int]]:
        """Ids of source lines, their spaces as the model has learnt to read them."""
        return self.source.encode([plain(line) for line in lines])

    def sample(
        self, sources: Sequence[str], targets: Sequence[str], alpha: float, seeds: tuple[int, int]
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Ids of a random segmentation of each line of both sides; a pure function of its
        arguments."""
        return self.source.sample(sources, alpha, seeds[0]), self.target.sample(
            targets, alpha, seeds[1]
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        joint = folder / SUBWORDS
        if joint.exists() or not (folder / SOURCE_SUBWORDS).exists():
            subwords = Subwords.load(joint)
            return cls(subwords, subwords)
        return cls(
            Subwords.load(folder / SOURCE_SUBWORDS),
            Subwords.load(folder / TARGET_SUBWORDS),
        )

    def save(self, folder: Path) -> None:
        if self.joint:
            self.source.save(folder / SUBWORDS)
        else:
            self.source.save(folder / SOURCE_SUBWORDS)
            self.target.save(folder / TARGET_SUBWORDS)


def train_subword_pair(
    pairs: Iterable[tuple[str, str]], config: "SubwordsConfig", seed: int
) -> SubwordPair:
    """Learn the subwords of a corpus from (source, target) texts, read once; the corpus size
    gives the vocabulary size unless set."""
    sample, total = _reservoir(pairs, SAMPLE_PAIRS, seed)
    size = config.vocab_size or default_vocab_size(total)
    if config.joint:
        joint = train_subwords((line for pair in sample for line in pair), config, size, seed)
        return SubwordPair(joint, joint)
    source = train_subwords((source for source, _ in sample), config, size, seed)
    return SubwordPair(source, train_subwords((target for _, target in sample), config, size, seed))


def train_subwords(
    lines: Iterable[str], config: "SubwordsConfig", vocab_size: int, seed: int
) -> Subwords:
    """Learn one model.

    Where `config.vocab_size` is 0, `vocab_size` is a wish: a text too small for it gives fewer
    pieces, a text with more characters than that gives more. Raises NmtError if the user's own
    `vocab_size` cannot be had.
    """
    sample, _ = _reservoir(lines, SAMPLE_LINES, seed)
    if not any(line.strip() for line in sample):
        raise NmtError("no text to learn subwords from; check data.train")
    _check_unicode(sample)
    special = EOS + 1 + (len(ALL) if config.variety else 0)
    if vocab_size <= special:
        if config.vocab_size:
            raise NmtError(
                f"subwords.vocab_size must be above {special}, the pieces that stand for no text,"
                f" got {vocab_size}; raise it, or set it to 0 for the default"
            )
        vocab_size += special
    try:
        return Subwords(_train(sample, config, vocab_size))
    except RuntimeError as error:
        too_many = re.search(r"Vocabulary size too high .* <= (\d+)", str(error))
        if too_many:
            limit = (
                f"is more than this text has, got {vocab_size}; set it to {too_many[1]} or less, or"
                " to 0 for the default"
            )
            raise NmtError(f"subwords.vocab_size {limit}") from None
        too_few = re.search(r"smaller than required_chars. \d+ vs (\d+)", str(error))
        if not too_few:
            raise NmtError(f"sentencepiece cannot learn subwords from this text: {error}") from None
        if config.vocab_size:
            advice = "raise it, set it to 0 for the default, or lower subwords.character_coverage"
            raise NmtError(
                f"subwords.vocab_size must be above {too_few[1]}, the characters of this text, got"
                f" {vocab_size}; {advice}"
            ) from None
        return Subwords(_train(sample, config, vocab_size + int(too_few[1])))


def _train(lines: list[str], config: "SubwordsConfig", vocab_size: int) -> bytes:
    model = io.BytesIO()
    require_threads(THREADS)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type=config.kind,
        vocab_size=vocab_size,
        hard_vocab_limit=config.vocab_size > 0 and config.kind != "char",
        character_coverage=config.character_coverage,
        byte_fallback=config.byte_fallback,
        pad_id=PAD,
        unk_id=UNK,
        bos_id=BOS,
        eos_id=EOS,
        user_defined_symbols=list(ALL) if config.variety else [],
        normalization_rule_name="identity",
        max_sentence_length=LINE_BYTES,
        num_threads=THREADS,
        minloglevel=2,
    )
    return model.getvalue()


def _reservoir(items: Iterable[Item], size: int, seed: int) -> tuple[list[Item], int]:
    """(at most `size` items, each equally likely to be among them; how many there were), in one
    pass (Vitter 1985, algorithm R)."""
    generator = random.Random(seed)
    sample: list[Item] = []
    total = 0
    for item in items:
        total += 1
        if len(sample) < size:
            sample.append(item)
        elif (slot := generator.randrange(total)) < size:
            sample[slot] = item
    return sample, total


def _check_unicode(lines: Sequence[str]) -> None:
    for number, line in enumerate(lines, 1):
        try:
            line.encode()
        except UnicodeEncodeError:
            raise NmtError(
                f"line {number} is not valid Unicode, got {line[:60]!r}; convert the text to UTF-8"
            ) from None
