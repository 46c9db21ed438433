"""Whether a sentencepiece model carries a compiled table of characters to rewrite
(precompiled_charsmap).

nmt trains with the rule `identity`, whose table is empty. A crafted one made sentencepiece before
0.2.2 read beyond its memory.

A model is a protocol buffer: fields, each a tag (8 * number + wire type) and a value. Numbers are
written in groups of 7 bits, the lowest first, and 128 is added to each byte but the last
(protobuf.dev/programming-guides/encoding).
"""

from collections.abc import Iterator

PIECE = 0x0A  # tag of a piece (field 1 of a ModelProto): bytes
NORMALISERS = (3, 5)  # normalizer_spec and denormalizer_spec of a ModelProto
CHARSMAP = 2  # precompiled_charsmap of a NormalizerSpec
NUMBER, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5  # wire types


def has_charsmap(model: bytes) -> bool:
    """Whether there is such a table. A message may be written in parts, so that every occurrence
    counts.

    Raises:
        ValueError: sentencepiece does not write such a protocol buffer; its reader might find more
            in it than this one.
    """
    specs = [value for number, value in _fields(model) if number in NORMALISERS]
    return any(number == CHARSMAP and value for spec in specs for number, value in _fields(spec))


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(field number, content) of each field but the short pieces, which are nearly all; the
    content of a number is empty."""
    at, end = 0, len(message)
    while at < end:
        while at + 1 < end and message[at] == PIECE and message[at + 1] < 128:
            at += 2 + message[at + 1]
        if at == end:
            return
        tag, at = _number(message, at)
        kind, content = tag & 7, b""
        if kind == NUMBER:
            _, at = _number(message, at)
        elif kind in (FIXED_64, FIXED_32):
            at += 8 if kind == FIXED_64 else 4
        elif kind == BYTES:
            size, at = _number(message, at)
            content, at = message[at : at + size], at + size
        else:
            raise ValueError(f"wire type {kind}")
        if at > end or tag >= 1 << 32:
            raise ValueError("a field larger than its message")
        yield tag >> 3, content


def _number(message: bytes, at: int) -> tuple[int, int]:
    """A number written from this place on -> the number, the place behind it."""
    value = 0
    for shift, byte in zip(range(0, 70, 7), message[at : at + 10], strict=False):
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + shift // 7 + 1
    raise ValueError("a number without an end")
