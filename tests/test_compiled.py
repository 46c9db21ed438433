"""The compiled recurrence: what torch and the papers' equations compute in fp32, to within the
rounding of bfloat16."""

from dataclasses import replace

import pytest
import torch
from instructions import AVAILABLE, in_bf16, needs_instructions
from torch import nn
from training_runs import assert_same_run, stop_after, with_training

from nmt.data.batches import collate
from nmt.model import compiled_recurrence as compiled
from nmt.model.cells import STEPS, Recurrence
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig
from nmt.training import precision
from nmt.training.events import Note, Started
from nmt.training.gradient import batch_loss
from nmt.training.precision import described
from nmt.training.run import train

B, T, X, H = 13, 7, 48, 128  # 13 rows are two blocks of 6 and one row, or one block of 8 and five
LENGTHS = torch.tensor([7, 1, 7, 3, 2, 6, 5, 4, 7, 1, 3, 2, 6])
# of the norm: products of some hundred numbers that are rounded to 8 bits, several positions after
# one another
ROUNDING = 0.01


def random_layer(cell):
    torch.manual_seed(1)
    layer = Recurrence(cell, X, H)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3 if parameter.dim() == 1 else 0.12)
    return layer


def random_inputs(layer):
    state = tuple(torch.randn(B, H).tanh().requires_grad_() for _ in layer.initial_state(B))
    return torch.randn(B, T, X, requires_grad=True), state


def outputs_and_gradients(layer, inputs_BTX, state, reverse, wished_BTH):
    """Of the positions that count."""
    counts_BT1 = (torch.arange(T) < LENGTHS[:, None])[:, :, None]
    leaves = [inputs_BTX, *state, *layer.parameters()]
    for leaf in leaves:
        leaf.grad = None
    hidden_BTH = layer(inputs_BTX, state, LENGTHS, reverse).float() * counts_BT1
    (hidden_BTH * wished_BTH).sum().backward()
    return [hidden_BTH.detach(), *(leaf.grad for leaf in leaves)]


@needs_instructions
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", STEPS)
def test_outputs_and_all_gradients_are_those_of_fp32(cell, reverse):
    layer = random_layer(cell)
    inputs_BTX, state = random_inputs(layer)
    wished_BTH = torch.randn(B, T, H)
    expected = outputs_and_gradients(layer, inputs_BTX, state, reverse, wished_BTH)
    with in_bf16():
        found = outputs_and_gradients(layer, inputs_BTX, state, reverse, wished_BTH)
    assert len(found) == 1 + 1 + len(state) + len(list(layer.parameters()))
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).norm() < ROUNDING * theirs.norm()


@needs_instructions
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", STEPS)
def test_the_number_of_threads_changes_no_bit(cell, reverse, monkeypatch):
    layer = random_layer(cell)
    inputs_BTX, state = random_inputs(layer)
    wished_BTH = torch.randn(B, T, H)
    results = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(
            torch, "get_num_threads", lambda threads=threads: threads
        )  # torch's own products keep to one order
        with in_bf16():
            results.append(outputs_and_gradients(layer, inputs_BTX, state, reverse, wished_BTH))
    for found in results[1:]:
        for ours, theirs in zip(found, results[0], strict=True):
            assert torch.equal(ours, theirs)


@needs_instructions
@pytest.mark.parametrize("cell", STEPS)
def test_batch_mates_change_nothing(cell):
    layer = random_layer(cell)
    inputs_BTX, state = random_inputs(layer)
    with torch.no_grad(), in_bf16():
        together_BTH = layer(inputs_BTX, state, LENGTHS)
        for row, length in enumerate(LENGTHS.tolist()):
            alone_1TH = layer(
                inputs_BTX[row : row + 1],
                tuple(part_BH[row : row + 1] for part_BH in state),
                LENGTHS[row : row + 1],
            )
            # torch may sum the inputs' product of one row in another order: a rounding of bfloat16
            torch.testing.assert_close(
                together_BTH[row, :length], alone_1TH[0, :length], rtol=2**-7, atol=2**-9
            )


@needs_instructions
def test_hidden_states_behind_the_end_are_zero():
    layer = random_layer("lstm")
    with torch.no_grad(), in_bf16():
        hidden_BTH = layer(random_inputs(layer)[0], None, LENGTHS, True)
    behind_BT = torch.arange(T) >= LENGTHS[:, None]
    assert (hidden_BTH[behind_BT] == 0).all()
    assert (hidden_BTH[~behind_BT] != 0).any(1).all()


@needs_instructions
def test_a_second_pass_backwards_is_refused():
    layer = random_layer("gru")
    with in_bf16():
        loss = layer(random_inputs(layer)[0]).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="run the network forward again"):
        loss.backward()


@needs_instructions
@pytest.mark.parametrize("cell", STEPS)
def test_a_networks_loss_and_gradient_are_those_of_fp32(cell):
    torch.manual_seed(2)
    model = Seq2Seq(
        ModelConfig(embedding_size=64, hidden_size=128, cell=cell, dropout=0.0), 40, 40, shared=True
    )
    batch = collate([[5, 6, 7, 8], [9, 10]], [[11, 12], [13, 14, 15, 16, 17]])
    results = []
    for enabled in (False, True):
        model.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = batch_loss(model, batch, smoothing=0.1)
        loss.smoothed.backward()
        results.append(
            (
                loss.smoothed.item(),
                torch.cat([parameter.grad.flatten() for parameter in model.parameters()]),
            )
        )
    (expected, gradient), (found, compiled_gradient) = results
    assert found == pytest.approx(expected, rel=0.005)
    assert nn.functional.cosine_similarity(compiled_gradient, gradient, dim=0) > 0.999


@needs_instructions
def test_sigmoid_and_tanh_are_as_exact_as_they_say():
    """A tanh layer without recurrence is tanh of its input; one unit of an LSTM's forget gate is
    a sigmoid of its."""
    layer = Recurrence("tanh", 1, 64)
    numbers = torch.linspace(-20, 20, 4001).bfloat16().float()
    with torch.no_grad(), in_bf16():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight_input_GI.fill_(1.0)
        found = layer(numbers[:, None, None])[:, 0, 0].float()
    assert (
        found - numbers.tanh()
    ).abs().max() < 2**-9 + 1e-4  # the rounding of the output, below 1, and the function's own
    near = numbers.abs() < 0.5
    assert (found[near] - numbers[near].tanh()).abs().max() < 2**-10 + 1e-4


def test_it_is_used_only_for_bf16_and_whole_panels(monkeypatch):
    inputs = torch.zeros(1)
    assert not compiled.is_compiled(inputs, 128)  # fp32
    with in_bf16():
        assert compiled.is_compiled(inputs, 128) == AVAILABLE
        assert not compiled.is_compiled(inputs, 96)
        monkeypatch.setattr(compiled, "library", lambda: "no compiler")
        assert not compiled.is_compiled(inputs, 128)


def test_a_run_says_whether_its_recurrence_is_compiled(monkeypatch):
    cpu = torch.device("cpu")
    assert described("fp32", cpu, 512) == "cpu in fp32"
    assert described("bf16", torch.device("cuda"), 512) == "cuda in bf16"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(compiled, "library", lambda: "it was not built")
    assert (
        described("bf16", cpu, 512) == "cpu in bf16, the recurrence uncompiled (it was not built)"
    )
    assert "a layer has 96 units, in the encoder half of model.hidden_size: no multiple of 64" in (
        described("bf16", cpu, 96)
    )
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert "no AVX512-BF16" in described("bf16", cpu, 512)
    monkeypatch.setattr(precision, "unavailable_reason", lambda hidden_size: None)
    assert described("bf16", cpu, 512) == "cpu in bf16, the recurrence compiled"


@needs_instructions
def test_a_run_that_goes_on_without_the_library_says_so(tmp_path, tiny_recipe, monkeypatch):
    recipe = with_training(tiny_recipe, precision="bf16")
    list(train(recipe, tmp_path / "run", stop_after(4)))
    monkeypatch.setattr(compiled, "library", lambda: "it was not built")
    notes = [
        event.text
        for event in train(recipe, tmp_path / "run", stop_after(4))
        if isinstance(event, Note)
    ]
    assert (
        "begun with compiled code, going on without it: the result is not that of an undisturbed"
        " run to the bit" in notes
    )
    notes = [event.text for event in train(recipe, tmp_path / "run") if isinstance(event, Note)]
    assert not any("compiled" in note for note in notes)


@needs_instructions
def test_an_interrupted_run_in_bf16_ends_with_the_same_bits(tmp_path, tiny_recipe):
    recipe = with_training(tiny_recipe, precision="bf16")
    recipe = replace(recipe, model=replace(recipe.model, hidden_size=128, weight_drop=0.1))
    whole = list(train(recipe, tmp_path / "whole"))
    list(train(recipe, tmp_path / "halted", stop=stop_after(5)))
    list(train(recipe, tmp_path / "halted"))
    assert any(
        "the recurrence compiled" in event.text for event in whole if isinstance(event, Started)
    )
    assert_same_run(tmp_path / "whole", tmp_path / "halted")
