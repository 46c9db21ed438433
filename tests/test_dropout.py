import numpy as np
import pytest
import torch
from instructions import in_bf16, needs_instructions

from nmt.model.dropout import Dropout


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5])
def test_elements_vanish_with_the_given_probability_and_the_rest_keeps_the_mean(probability):
    torch.manual_seed(1)
    n = 100_000
    outputs = Dropout(probability)(torch.ones(n))
    share = float((outputs == 0).float().mean())
    assert abs(share - probability) < 1 / 512 + 4 * (probability * (1 - probability) / n) ** 0.5
    assert float(outputs.mean()) == pytest.approx(1.0, abs=0.02)


def test_neighbours_are_independent():
    torch.manual_seed(1)
    kept = Dropout(0.5)(torch.ones(100_000)) != 0
    both = float((kept[1:] & kept[:-1]).float().mean())
    assert abs(both - 0.25) < 4 * (0.25 * 0.75 / 100_000) ** 0.5


def test_evaluation_and_probability_zero_change_nothing():
    x = torch.randn(3, 5)
    assert Dropout(0.0)(x) is x
    assert Dropout(0.5).eval()(x) is x


def test_the_random_state_decides_the_mask_and_any_size_will_do():
    layer = Dropout(0.5)
    for size in (1, 7, 8, 9):
        torch.manual_seed(3)
        first = layer(torch.ones(size))
        torch.manual_seed(3)
        torch.testing.assert_close(layer(torch.ones(size)), first)


def test_gradients_pass_where_elements_do():
    x = torch.ones(64, requires_grad=True)
    outputs = Dropout(0.5)(x)
    outputs.sum().backward()
    torch.testing.assert_close(x.grad, outputs.detach())


@pytest.mark.parametrize("probability", [1e-6, 0.9999])
def test_extreme_probabilities_neither_drop_all_nor_nothing(probability):
    torch.manual_seed(1)
    kept = Dropout(probability)(torch.ones(100_000)) != 0
    assert 0 < int(kept.sum()) < 100_000


def split_mix_64(seed, count):
    """The first numbers of the generator, as its authors write it (Steele et al. 2014, fig. 16)."""
    with np.errstate(over="ignore"):
        numbers = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return numbers ^ (numbers >> np.uint64(31))


@needs_instructions
@pytest.mark.parametrize("widths", [(64,), (128, 64), (64, 192, 64)])
def test_compiled_dropout_keeps_what_the_generator_says(widths):
    layer, rows = Dropout(0.3), 5
    dtypes = torch.float32, torch.bfloat16, torch.float32
    parts = [
        torch.randn(rows, width).to(dtype) for width, dtype in zip(widths, dtypes, strict=False)
    ]
    torch.manual_seed(3)
    with in_bf16():
        found = layer(*parts)
    torch.manual_seed(3)
    numbers = split_mix_64(torch.randint(2**63 - 1, ()).item(), rows * sum(widths) // 8)
    kept = torch.from_numpy(numbers.view(np.uint8) >= 77).view(
        rows, -1
    )  # the lowest byte first; 77 / 256 is nearest to 0.3
    x = torch.cat([part.float() for part in parts], dim=1)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, (x * kept * (256 / 179)).bfloat16(), rtol=2**-8, atol=0)
    assert 0.6 < kept.float().mean() < 0.8


@needs_instructions
def test_compiled_gradients_pass_where_elements_do_whatever_the_threads(monkeypatch):
    x, y = (
        torch.randn(1024, 64, requires_grad=True),
        torch.randn(1024, 128).bfloat16().requires_grad_(),
    )
    wished = torch.randn(1024, 192)
    results = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        torch.manual_seed(5)
        with in_bf16():
            outputs = Dropout(0.5)(x, y)
        results.append((outputs, *torch.autograd.grad(outputs, (x, y), wished.bfloat16())))
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)
    outputs, by_x, by_y = results[0]
    assert by_x.dtype == torch.float32
    torch.testing.assert_close(
        torch.cat([by_x.bfloat16(), by_y], dim=1), (outputs != 0) * 2 * wished.bfloat16()
    )


def test_parts_lie_side_by_side():
    x, y = torch.ones(3, 2), torch.full((3, 4), 2.0)
    assert torch.equal(Dropout(0.0)(x, y), torch.cat([x, y], dim=1))
    layer = Dropout(0.5)
    torch.manual_seed(1)
    found = layer(x, y)
    torch.manual_seed(1)
    assert torch.equal(found, layer(torch.cat([x, y], dim=1)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_under_autocast_other_numbers_are_not_taken_for_those_of_compiled_code(dtype):
    with in_bf16():
        outputs = Dropout(0.5)(torch.ones(8, 64, dtype=dtype))
    assert set(outputs.unique().tolist()) == {0.0, 2.0}
