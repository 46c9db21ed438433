"""What batch mates may change in the packed fp32 engine: the last digits of a score, no text."""

import random

import pytest
from conftest import WORDS, untrained_translator


@pytest.mark.parametrize("beam", [1, 5])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_batch_mates_change_no_text_and_scores_by_rounding_alone(cell: str, beam: int) -> None:
    translator = untrained_translator(cell=cell, embedding_size=64, hidden_size=64)
    generator = random.Random(3)
    lines = [" ".join(generator.choices(WORDS, k=generator.randint(1, 9))) for _ in range(30)]
    together = translator.nbest(lines, 1, beam=beam)
    assert len({best.text for [best] in together}) > 10
    for line, [best] in zip(lines, together, strict=True):
        [[alone]] = translator.nbest([line], 1, beam=beam)
        assert alone.text == best.text
        assert alone.score == pytest.approx(best.score, rel=1e-4)
