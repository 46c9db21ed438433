import numpy as np
import pytest
import torch
from reference_model import peephole_lstm
from torch import nn

from nmt.model.cells import STEPS, Recurrence

B, T, X, H = 3, 7, 5, 4  # X inputs


def copy_to_torch(layer, twin):
    twin.weight_ih_l0.data, twin.weight_hh_l0.data = (
        layer.weight_input_GI.data,
        layer.weight_hidden_GH.data,
    )
    twin.bias_ih_l0.data, twin.bias_hh_l0.data = layer.bias_input_G.data, layer.bias_hidden_G.data
    return twin


def random_layer(cell):
    torch.manual_seed(1)
    layer = Recurrence(cell, X, H).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


@pytest.mark.parametrize(
    ("cell", "torch_cell"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("tanh", nn.RNN)]
)
def test_all_positions_equal_torchs_own_cells(cell, torch_cell):
    layer = random_layer(cell)
    inputs_BTI = torch.randn(B, T, X, dtype=torch.float64)
    twin = copy_to_torch(layer, torch_cell(X, H, batch_first=True).double())
    torch.testing.assert_close(layer(inputs_BTI), twin(inputs_BTI)[0])


@pytest.mark.parametrize(
    ("cell", "torch_cell"), [("lstm", nn.LSTMCell), ("gru", nn.GRUCell), ("tanh", nn.RNNCell)]
)
def test_one_step_equals_torchs_own_cells(cell, torch_cell):
    layer = random_layer(cell)
    twin = torch_cell(X, H).double()
    twin.weight_ih.data, twin.weight_hh.data = (
        layer.weight_input_GI.data,
        layer.weight_hidden_GH.data,
    )
    twin.bias_ih.data, twin.bias_hh.data = layer.bias_input_G.data, layer.bias_hidden_G.data
    inputs_NI, state = (
        torch.randn(B, X, dtype=torch.float64),
        tuple(torch.randn(2, B, H, dtype=torch.float64)),
    )
    expected = twin(inputs_NI, state) if cell == "lstm" else (twin(inputs_NI, state[0]),)
    for ours, theirs in zip(layer.step(inputs_NI, state), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_peephole_equals_the_papers_equations():
    layer = random_layer("peephole")
    inputs_BTI = torch.randn(B, T, X, dtype=torch.float64)
    weights = {name: parameter.detach().numpy() for name, parameter in layer.named_parameters()}
    expected = np.stack([peephole_lstm(inputs_TI, weights) for inputs_TI in inputs_BTI.numpy()])
    np.testing.assert_allclose(layer(inputs_BTI).detach().numpy(), expected, rtol=1e-12)


def test_peephole_without_peepholes_is_an_lstm():
    peephole, lstm = random_layer("peephole"), random_layer("lstm")
    nn.init.zeros_(peephole.peepholes_3H)
    lstm.load_state_dict(
        {name: value for name, value in peephole.state_dict().items() if name != "peepholes_3H"}
    )
    inputs_BTI = torch.randn(B, T, X, dtype=torch.float64)
    torch.testing.assert_close(peephole(inputs_BTI), lstm(inputs_BTI))


@pytest.mark.parametrize("cell", STEPS)
def test_stepping_equals_all_positions_at_once(cell):
    layer = random_layer(cell)
    inputs_BTI = torch.randn(B, T, X, dtype=torch.float64)
    state = tuple(torch.randn_like(part) for part in layer.initial_state(B))
    outputs_BTH = layer(inputs_BTI, state)
    for t in range(T):
        state = layer.step(inputs_BTI[:, t], state)
        torch.testing.assert_close(outputs_BTH[:, t], state[0])


@pytest.mark.parametrize("cell", STEPS)
def test_gradients_are_right(cell):
    layer = random_layer(cell)
    inputs_BTI = torch.randn(2, 3, X, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (inputs_BTI,))


@pytest.mark.parametrize("cell", STEPS)
def test_every_cell_runs_in_bf16(cell):
    layer = random_layer(cell).float()
    inputs_BTI = torch.randn(B, T, X)
    with torch.autocast("cpu", torch.bfloat16):
        outputs_BTH = layer(inputs_BTI)
    torch.testing.assert_close(outputs_BTH.float(), layer(inputs_BTI), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("cell", ["lstm", "peephole"])
def test_the_forget_gate_starts_open_and_recurrent_weights_orthogonal(cell):
    layer = Recurrence(cell, X, H)
    biases = layer.bias_input_G + layer.bias_hidden_G
    assert biases.view(4, H).tolist() == [[0.0] * H, [1.0] * H, [0.0] * H, [0.0] * H]
    for block_HH in layer.weight_hidden_GH.split(H):
        torch.testing.assert_close(block_HH @ block_HH.T, torch.eye(H))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_where_onednn_has_no_lstm_in_half_precision_it_is_a_scan(monkeypatch, dtype):
    monkeypatch.setattr("nmt.model.cells.has_lstm", lambda asked: asked != dtype)
    layer = random_layer("lstm").float()
    inputs_BTI = torch.randn(B, T, X, requires_grad=True)
    with torch.autocast("cpu", dtype):
        outputs_BTH = layer(inputs_BTI)
    torch.testing.assert_close(outputs_BTH.float(), layer(inputs_BTI), atol=0.05, rtol=0.05)
    outputs_BTH.sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all()
        for parameter in layer.parameters()
    )
