import pytest

from nmt.search.kernels import rows_to_keep


@pytest.mark.parametrize(
    ("size", "going", "stay"),
    [
        (40, range(33, 40), [*range(33, 40)]),  # few: exactly those that go on
        (40, range(20), [*range(24)]),  # four finished ones come along
        (40, range(33), [*range(40)]),  # nobody leaves for less than a group
        (40, [], []),
        (3, [1], [1]),
        (19, range(18), [*range(19)]),
    ],
)
def test_finished_sentences_leave_in_groups(size, going, stay):
    assert rows_to_keep([number in going for number in range(size)]) == stay
