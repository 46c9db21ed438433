"""Subword models of an attacker: none ends the process."""

import subprocess
import sys
from pathlib import Path

import pytest

from nmt.errors import NmtError
from nmt.text.charsmap import has_charsmap
from nmt.text.subwords import Subwords

ROOT = Path(__file__).parent.parent


def number(value):
    return bytes([value & 127 | 128]) + number(value >> 7) if value > 127 else bytes([value])


def field(index, content):
    return number(8 * index + 2) + number(len(content)) + content


@pytest.mark.parametrize(
    "extra",
    [
        field(3, field(2, bytes(4096))),
        field(5, field(2, b"x")),
        field(3, field(1, b"identity")) + field(3, field(1, b"") + field(2, b"x")),
        b"\x0b\x0c" + field(3, field(2, b"x")),
        number(2**32 + 26) + number(3) + field(2, b"x"),
        b"\x9a\x80\x80\x80\x00" + number(3) + field(2, b"x"),
    ],
)
def test_subwords_with_a_table_of_characters_are_refused(exported, extra):
    model = (exported / "subwords.model").read_bytes()
    assert not has_charsmap(model)
    for crafted in (model + extra, extra + model):
        with pytest.raises(
            NmtError,
            match=(
                r"rewrites characters by its own table, which nmt never writes|not a sentencepiece"
                r" model"
            ),
        ):
            Subwords(crafted, "theirs")


MUTATE = """
import random, sys
from pathlib import Path
from nmt.text.subwords import Subwords
from nmt.errors import NmtError
model, generator = Path(sys.argv[1]).read_bytes(), random.Random(int(sys.argv[3]))
loaded = 0
for _ in range(int(sys.argv[2])):
    content = bytearray(model)
    for _ in range(generator.choice((1, 1, 2, 8, 64))):
        place = generator.randrange(len(content))
        kind = generator.randrange(4)
        if kind == 0:
            content[place] = generator.randrange(256)
        elif kind == 1:
            content[place] ^= 1 << generator.randrange(8)
        elif kind == 2:
            del content[place : place + generator.randrange(1, 20)]
        else:
            content[place:place] = generator.randbytes(generator.randrange(1, 20))
    try:
        subwords = Subwords(bytes(content))
        loaded += 1
        subwords.decode(subwords.encode(["de kat zit op een mat", "x\\U0001f600 \\u2581"]))
        subwords.pieces(range(subwords.size))
    except NmtError:
        pass
print(loaded)
"""


def mutated(model, count, seed):
    """How many of so many damaged subword models could be loaded, in a process of their own."""
    command = [sys.executable, "-c", MUTATE, str(model), str(count), str(seed)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


def test_no_damaged_subword_model_ends_the_process(exported):
    assert mutated(exported / "subwords.model", 300, seed=1) > 10


@pytest.mark.slow
def test_ten_thousand_damaged_subword_models_end_no_process(exported):
    assert mutated(exported / "subwords.model", 10_000, seed=2) > 300
