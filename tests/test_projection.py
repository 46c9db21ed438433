"""The projection: its count of operations, its arithmetic, and that the page has what it
computes."""

import json
from pathlib import Path

import pytest
from torch.utils.flop_counter import FlopCounterMode

from evaluation import projection
from evaluation.speed.training_step import training_flops
from nmt.data.batches import collate
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("layers", [1, 3])
def test_operations_are_those_that_torch_counts(layers: int) -> None:
    """torch does not see into its fused LSTM, so a peephole LSTM is counted, whose products are
    the same and made one by one."""
    config = ModelConfig(
        cell="peephole", embedding_size=6, hidden_size=8, encoder_layers=layers, decoder_layers=layers, dropout=0.0  # noqa: E501
    )  # fmt: skip
    vocabulary, rows, width = 20, 3, 5
    model = Seq2Seq(config, vocabulary, vocabulary, shared=True)
    batch = collate(
        [[7] * (width - 1)] * rows, [[9] * (width - 1)] * rows
    )  # and the end of sentence
    with FlopCounterMode(display=False) as counter:
        model.output(model(batch)[0]).sum().backward()
    counted = sum(
        count
        for product, count in counter.get_flop_counts()["Global"].items()
        if "bmm" not in str(product)
    )
    pieces = rows * width
    bridge = 6 * rows * 8 * (layers * 8)  # once a sentence, not once a piece
    no_gradient = (
        2 * rows * layers * 2 * (4 * 4 * 4)
    )  # of the encoder's first states, which are zeros
    assert training_flops(config, vocabulary, pieces, pieces) == counted - bridge + no_gradient


def test_a_projection_adds_up() -> None:
    found = projection.project(512, 2, 8_000, 1_000)
    assert round(found.parameters / 1e6, 1) == 13.8  # as the README calls this network
    assert found.pieces_per_second * sum(found.parts.values()) == pytest.approx(1_000)
    pieces = projection.PAIRS * projection.LENGTH * projection.EPOCHS
    assert found.hours * 3600 * 8 * found.pieces_per_second == pytest.approx(pieces)
    assert found.parts["exchange"] == pytest.approx(1.75 * 4 * found.parameters / 300e9)


def test_joined_pairs_keep_all_words_of_whole_groups() -> None:
    pairs = [projection.Pair(f"s{number}", f"t{number}", f"at:{number}") for number in range(9)]
    assert projection.joined(pairs) == [
        ("s0 s1 s2 s3", "t0 t1 t2 t3", "at:0"),
        ("s4 s5 s6 s7", "t4 t5 t6 t7", "at:4"),
    ]


def test_the_page_has_what_the_script_prints() -> None:
    page = (ROOT / "evaluation" / "README.md").read_text(encoding="utf-8")
    measures = json.loads(
        (ROOT / "evaluation" / "results" / "projection.json").read_text(encoding="utf-8")
    )["measures"]
    assert projection.table() in page
    assert projection.host(measures) in page
