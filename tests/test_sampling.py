from collections.abc import Sequence

import pytest
import torch
from test_beam import EOS, TableNetwork, lengths_as_sources, settings_of
from torch import Tensor

from nmt.errors import NmtError
from nmt.search.hypotheses import Hypothesis
from nmt.search.sampling import draw as draw_pieces
from nmt.search.sampling import sample
from nmt.search.settings import Sampling

PROBABILITIES = [0.0, 0.1, 0.2, 0.3, 0.4]  # at every step; BOS never


class Nothing:
    def select(self, rows_N: Tensor, sentences_B: Tensor | None) -> "Nothing":
        return self


class ConstantNetwork(TableNetwork):
    """The same probabilities at every step."""

    def __init__(self) -> None:
        super().__init__(torch.zeros(0))

    def start(self, sources: Sequence[Sequence[int]], every_piece: bool = False) -> Nothing:
        return Nothing()

    def step(self, columns_N: Tensor, state: Nothing) -> tuple[Tensor, Nothing]:
        return torch.tensor([PROBABILITIES]).log().repeat(len(columns_N), 1), state


def draw(
    rows: int,
    max_length: int = 2,
    seed: int = 1,
    forbidden: tuple[int, ...] = (),
    min_length: int = 1,
    **sampling,
) -> list[Hypothesis]:
    settings = settings_of(
        beam=1, sampling=Sampling(**sampling, seed=seed), forbidden=forbidden, min_length=min_length
    )
    sources, places = lengths_as_sources([max_length] * rows), [(row,) for row in range(rows)]
    return sample(ConstantNetwork(), sources, settings, places)


def shares(outputs: list[Hypothesis]) -> list[float]:
    """How often each piece came first."""
    counts = [0] * 5
    for output in outputs:
        counts[output.pieces[0] if output.pieces else EOS] += 1
    return [count / len(outputs) for count in counts]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, PROBABILITIES),
        ({"temperature": 0.5}, [0, 1 / 30, 4 / 30, 9 / 30, 16 / 30]),  # squares, normalised
        ({"top_k": 2}, [0, 0, 0, 3 / 7, 4 / 7]),
        ({"top_p": 0.69}, [0, 0, 0, 3 / 7, 4 / 7]),
        ({"top_p": 0.71}, [0, 0, 2 / 9, 3 / 9, 4 / 9]),
        ({"top_p": 0.01}, [0, 0, 0, 0, 1]),
        ({"forbidden": (4,)}, [0, 1 / 6, 2 / 6, 3 / 6, 0]),
        ({"top_k": 99}, PROBABILITIES),
        ({"min_length": 2}, [0, 0, 2 / 9, 3 / 9, 4 / 9]),
    ],
)
def test_pieces_come_as_often_as_their_probability_says(
    settings: dict[str, float], expected: list[float]
) -> None:
    assert shares(draw(20_000, **settings)) == pytest.approx(
        expected, abs=0.02
    )  # 5 standard deviations: 5 * sqrt(.25 / 20000) = .018


def test_the_seed_and_the_place_alone_decide_what_is_drawn() -> None:
    together = draw(50, 9, seed=3)
    assert draw(20, 9, seed=3) == together[:20]
    assert draw(50, 9, seed=4) != together
    assert len({output.pieces for output in together}) > 20


def test_a_uniform_number_picks_the_piece_in_whose_share_it_lies() -> None:
    logits_NV = torch.tensor([PROBABILITIES]).log().repeat(6, 1)
    numbers_N = torch.tensor([0.0, 0.09, 0.11, 0.29, 0.31, 1 - 2**-53], dtype=torch.float64)
    assert draw_pieces(logits_NV, Sampling(), numbers_N).tolist() == [1, 1, 2, 2, 3, 4]
    # the likeliest first: 4 has 4 / 7, then 3
    assert draw_pieces(logits_NV, Sampling(top_k=2), numbers_N).tolist() == [4, 4, 4, 4, 4, 3]


def test_a_flat_row_draws_from_as_many_pieces_as_top_p_needs() -> None:
    logits_NV = torch.zeros(2, 1000)
    logits_NV[1, 7] = 20.0  # beside a row of which the likeliest piece is enough
    numbers_N = torch.tensor([1 - 2**-53, 0.999], dtype=torch.float64)
    flat, sharp = draw_pieces(logits_NV, Sampling(top_p=0.9), numbers_N).tolist()
    assert sharp == 7
    drawn = {
        draw_pieces(logits_NV[:1], Sampling(top_p=0.9), torch.tensor([number / 5000])).item()
        for number in range(5000)
    }
    assert flat in drawn
    assert len(drawn) == 900  # each has a thousandth


def test_a_sample_begins_with_its_prefix_and_counts_its_pieces_as_the_network_does() -> None:
    settings = settings_of(beam=1, no_repeat_ngram=1)
    (output,) = sample(ConstantNetwork(), lengths_as_sources([4]), settings, [(1,)], [(2, 4)])
    assert output.pieces[:2] == (2, 4)
    assert output.pieces[2:] in ((), (3,))  # nothing is repeated
    expected = torch.tensor([PROBABILITIES[piece] for piece in (*output.pieces, EOS)]).log().sum()
    assert output.log_prob == pytest.approx(float(expected), abs=1e-5)


def test_logits_that_are_not_finite_are_reported() -> None:
    network = TableNetwork(torch.full((1, 97, 5), torch.nan))
    with pytest.raises(NmtError, match="no hypothesis for sentence 1 of the batch"):
        sample(network, lengths_as_sources([3]), settings_of(beam=1), [(1,)])


def test_log_probs_are_the_models_own_and_the_end_counts() -> None:
    for output in draw(100, 4, temperature=0.3, top_k=3):
        expected = sum(
            torch.tensor([PROBABILITIES[piece] for piece in (*output.pieces, EOS)]).log().tolist()
        )
        assert output.log_prob == pytest.approx(expected, abs=1e-5)
        assert output.score == pytest.approx(expected / (len(output.pieces) + 1), abs=1e-5)
        assert len(output.pieces) <= 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above 0 and at most 1,000, got 0.0"),
        ({"top_k": -1}, "top_k must be at least 0 and at most 1,000,000,000, got -1"),
        ({"top_p": 1.5}, "top_p must be above 0 and at most 1, got 1.5"),
        ({"forbidden": (EOS,)}, "end of sentence is among the forbidden"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(NmtError, match=message):
        draw(2, **settings)
