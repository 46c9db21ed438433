import pytest

from nmt.recipe import TrainingConfig
from nmt.training.optimizer import learning_rate


def rates(schedule, updates=(1, 5, 10, 20, 55, 100)):
    config = TrainingConfig(learning_rate=2.0, warmup=10, schedule=schedule)
    return [learning_rate(config, update, 100) for update in updates]


def test_the_warm_up_is_a_straight_line():
    for schedule in ("cosine", "inverse-sqrt", "constant"):
        assert rates(schedule)[:3] == pytest.approx([0.2, 1.0, 2.0])


def test_cosine_is_half_way_down_in_the_middle_and_at_one_percent_at_the_end():
    assert rates("cosine")[4:] == pytest.approx([2.0 * (0.01 + 0.99 / 2), 0.02])


def test_inverse_sqrt_halves_at_four_times_the_warm_up():
    config = TrainingConfig(learning_rate=2.0, warmup=10, schedule="inverse-sqrt")
    assert learning_rate(config, 40, 100) == pytest.approx(1.0)


def test_constant_stays():
    assert rates("constant")[2:] == [2.0] * 4


def test_without_warm_up_the_first_update_has_the_full_rate():
    assert (
        learning_rate(TrainingConfig(learning_rate=2.0, warmup=0, schedule="inverse-sqrt"), 1, 10)
        == 2.0
    )


def test_a_short_run_warms_up_over_half_of_it_at_most():
    assert learning_rate(TrainingConfig(learning_rate=2.0, warmup=400), 5, 10) == 2.0
