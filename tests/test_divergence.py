import math

import pytest

from nmt.errors import NmtError
from nmt.training.safety import is_diverged, is_far, refuse_divergence, watch, way_back
from nmt.training.state import TrainingState


def after(losses):
    state = TrainingState()
    for loss in losses:
        state.update += 1
        watch(state, loss)
    return state


def test_the_mean_of_the_first_updates_is_their_plain_mean():
    assert after([3.0, 5.0, 7.0]).loss_mean == pytest.approx(5.0)
    assert after([3.0, 5.0, 7.0]).loss_lowest is None  # too few to judge by


def test_a_level_loss_is_its_own_mean_and_lowest():
    state = after([2.0] * 60)
    assert (state.loss_mean, state.loss_lowest) == pytest.approx((2.0, 2.0))


def test_the_way_back_goes_from_the_lowest_loss_to_that_of_guessing():
    assert way_back(2.0, 2.0, 8000) == 0
    assert way_back(math.log(8000), 2.0, 8000) == pytest.approx(1)
    assert way_back((2.0 + math.log(8000)) / 2, 2.0, 8000) == pytest.approx(0.5)
    assert way_back(9.0, 9.1, 8000) == 0  # nothing had been learnt that could be lost


def test_one_bad_batch_is_no_divergence_many_are():
    assert not is_diverged(after([2.0] * 60 + [9.0]), 8000)
    assert is_diverged(after([2.0] * 60 + [9.0] * 60), 8000)
    assert not is_diverged(after([2.0] * 60 + [3.0] * 600), 8000)


def test_a_second_divergence_and_one_without_a_checkpoint_end_the_run():
    state = after([2.0] * 60)
    refuse_divergence(state, "update-000050", 8000)
    with pytest.raises(
        NmtError,
        match=(
            r"diverged before the first good checkpoint \(update 60: 2 nats a piece, 2.00 before\);"
            r" lower"
        ),
    ):
        refuse_divergence(state, None, 8000)
    with pytest.raises(
        NmtError,
        match=r"\(update 1: 3e\+20 nats a piece, 8.99 by guessing\); lower training.learning_rate",
    ):  # log 8000
        refuse_divergence(after([3e20]), None, 8000)
    state.rolled_back = True
    with pytest.raises(NmtError, match="diverged again, with half the learning rate"):
        refuse_divergence(state, "update-000050", 8000)


def test_a_loss_far_above_guessing_is_a_divergence_from_the_first_update_on():
    guessing = math.log(8000)
    assert not is_diverged(after([guessing]), 8000)
    assert not is_diverged(after([2.9 * guessing]), 8000)
    assert is_diverged(after([3.1 * guessing]), 8000)
    assert is_diverged(after([guessing, guessing, 3e20]), 8000)
    assert is_far(math.nan, 8000)
    assert is_far(math.inf, 8000)
