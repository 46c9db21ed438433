"""A fuzzed translation by the compiled engine, for tests/sanitizers.py: small vocabularies, all
widths and cells, odd weights.

Each seed is a network, sources and a search; `pytest tests/fuzz_native.py -k "[17]"` repeats one.
The sanitizers see every read and write; the test itself sees that outputs lie in the vocabulary and
within their lengths.
"""

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from native_networks import CELLS, needs_library
from test_native_search import StepwiseNetwork
from torch import Tensor

from nmt.engines.compiled.engine import CompiledNetwork
from nmt.engines.shortlist import Shortlist
from nmt.errors import NmtError
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig
from nmt.search.beam import beam_search, longest_outputs
from nmt.search.settings import SearchSettings
from nmt.vocabulary import BOS, PAD, UNK

SEEDS = int(os.environ.get("NMT_FUZZ_SEEDS", "40"))
WIDTHS = (*[128] * 8, *[256] * 3, 384, 512)
EDGES = (
    4,
    62,
    63,
    64,
    65,
    126,
    127,
    128,
)  # a row too far then lies right behind the table, where the sanitizer sees it
WIDEST = {0: 2048, 1: 1024}  # seeds of the networks that take long
ODD = (0.0, -0.0, 1e-42, 1e38, -1e38, float("inf"), -float("inf"), *[float("nan")] * 5)


def made_up_network(chance: random.Random, hidden: int, pieces: int) -> Seq2Seq:
    small = hidden >= 1024
    config = ModelConfig(
        cell=chance.choice(CELLS),
        embedding_size=64 if small else chance.choice((64, 128, 192)),
        hidden_size=hidden,
        encoder_layers=1 if small else chance.choice((1, 2, 3)),
        decoder_layers=1 if small else chance.choice((1, 2, 3)),
        heads=chance.choice((1, 2, 4, 8)),
    )
    torch.manual_seed(chance.randrange(2**31))
    return Seq2Seq(config, pieces, pieces, shared=True).eval()


def damage(array: Tensor, chance: random.Random) -> None:
    """Puts an odd number into one element or into all."""
    value = torch.tensor(chance.choice(ODD)).to(array.dtype)  # in half precision 1e38 is infinite
    if chance.random() < 0.5:
        array.fill_(value)
    else:
        array.view(-1)[chance.randrange(array.numel())] = value


def arrays_of(packed: Any, seen: set[int]) -> Iterator[Tensor]:
    """Every array of floating-point numbers that an engine holds."""
    if id(packed) in seen:
        return
    seen.add(id(packed))
    if isinstance(packed, Tensor):
        if packed.is_floating_point():
            yield packed
    elif isinstance(packed, (list, tuple)):
        for part in packed:
            yield from arrays_of(part, seen)
    elif type(packed).__module__.startswith("nmt.engines"):
        yield from arrays_of(list(vars(packed).values()), seen)


def made_up_shortlist(chance: random.Random, pieces: int) -> Shortlist:
    best_VX = torch.randint(0, pieces, (pieces, chance.choice((1, 3, 9))))
    some = [piece for piece in range(4, pieces) if chance.random() < 0.1]
    return Shortlist(best_VX, torch.randperm(pieces), some, some)


def made_up_search(chance: random.Random) -> SearchSettings:
    beam = chance.choice((1, 1, 1, 2, 5, 13))
    scored = beam > 1 or chance.random() < 0.5
    return SearchSettings(
        length_factor=chance.choice((0.0, 0.5, 1.0)),
        length_extra=chance.randint(1, 20),
        min_length=chance.choice((0, 0, 1, 7)),
        beam=beam,
        n_best=chance.randint(1, beam),
        length_alpha=chance.choice((0.0, 0.6, 1.0)),
        forbidden=chance.choice(((PAD, UNK, BOS), (PAD, BOS), ())),
        scored=scored,
    )


@needs_library
@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"[{seed}]")
def test_translating_with_odd_weights_stays_within_the_vocabulary(seed: int) -> None:
    chance = random.Random(seed)
    hidden, pieces = (
        WIDEST.get(seed, chance.choice(WIDTHS)),
        chance.choice((chance.choice(EDGES), chance.randint(4, 130))),
    )
    model = made_up_network(chance, hidden, pieces)
    where = chance.choice(("nowhere", "weights", "packed", "packed"))
    sources = [
        [chance.randrange(pieces) for _ in range(chance.randint(1, 30))]
        for _ in range(chance.randint(1, 30))
    ]
    search = made_up_search(chance)
    try:
        if where == "weights":
            damage(chance.choice(list(model.parameters())).data, chance)
        engine = CompiledNetwork(
            model, made_up_shortlist(chance, pieces) if chance.random() < 0.5 else None
        )
        if where == "packed":
            damage(chance.choice(list(arrays_of(engine, set()))), chance)
        network = engine if chance.random() < 0.5 else StepwiseNetwork(engine)
        found = beam_search(network, sources, search).hypotheses
    except NmtError:
        assert where != "nowhere" or pieces < 20, "a sound network must translate"
        return
    for best, longest in zip(found, longest_outputs(search, sources), strict=True):
        for hypothesis in best:
            assert len(hypothesis.pieces) < longest
            assert all(0 <= piece < pieces for piece in hypothesis.pieces)


@needs_library
@pytest.mark.parametrize("pieces", EDGES)
@pytest.mark.parametrize("value", [float("nan"), -float("inf"), float("inf")], ids=str)
def test_logits_without_a_largest_name_no_row_behind_the_vocabulary(
    pieces: int, value: float
) -> None:
    """Every array of the output layer in turn; the next step reads the row of the piece that was
    chosen."""
    chance = random.Random(pieces)
    for number in (1, 3):  # its scales and its biases
        engine = CompiledNetwork(made_up_network(chance, 128, pieces))
        engine.output.tensors[number].fill_(value)
        for network, beam in ((engine, 1), (StepwiseNetwork(engine), 1), (engine, 3)):
            settings = SearchSettings(beam=beam, length_extra=4, scored=beam > 1, forbidden=())
            with pytest.raises(NmtError, match="not finite"):
                beam_search(network, [[2] * 5, [1] * 3], settings)
