import pytest
import torch
from torch import nn

from nmt.model.cells import STEPS, reorder, reversal_order
from nmt.model.encoder import BidirectionalLayer, Encoder
from nmt.recipe import ModelConfig


def test_reversal_keeps_padding_in_place():
    order = reversal_order(torch.tensor([4, 2]), 4)
    letters_BS1 = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])[..., None]
    assert reorder(letters_BS1, order).squeeze(-1).tolist() == [[4, 3, 2, 1], [6, 5, 7, 8]]


def test_the_gradient_of_reordering_is_right():
    order = reversal_order(torch.tensor([3, 1]), 3)
    inputs = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: reorder(x, order), (inputs,))


def test_a_layer_equals_torchs_bidirectional_lstm_on_packed_sequences():
    torch.manual_seed(1)
    layer, twin = (
        BidirectionalLayer("lstm", 3, 8),
        nn.LSTM(3, 4, bidirectional=True, batch_first=True),
    )
    for ours, suffix in ((layer.forwards, "l0"), (layer.backwards, "l0_reverse")):
        for name, theirs in (("weight_input_GI", "weight_ih"), ("weight_hidden_GH", "weight_hh")):
            getattr(twin, f"{theirs}_{suffix}").data = getattr(ours, name).data
        getattr(twin, f"bias_ih_{suffix}").data, getattr(twin, f"bias_hh_{suffix}").data = (
            ours.bias_input_G.data,
            ours.bias_hidden_G.data,
        )
    inputs_BSI, lengths_B = torch.randn(3, 6, 3), torch.tensor([6, 4, 1])
    packed = nn.utils.rnn.pack_padded_sequence(inputs_BSI, lengths_B, batch_first=True)
    expected_BSH = nn.utils.rnn.pad_packed_sequence(twin(packed)[0], batch_first=True)[0]
    states_BSH = layer(inputs_BSI, lengths_B)
    for row, length in enumerate(lengths_B):
        torch.testing.assert_close(states_BSH[row, :length], expected_BSH[row, :length])


@pytest.mark.parametrize("cell", STEPS)
def test_padding_changes_no_state_and_no_final_state(cell):
    torch.manual_seed(1)
    encoder = Encoder(ModelConfig(cell=cell, embedding_size=6, hidden_size=8)).eval()
    short_BSE = torch.randn(1, 3, 6)
    padded_BSE = torch.cat([short_BSE, torch.randn(1, 4, 6)], dim=1)
    states_BSH, final_BH = encoder(short_BSE, torch.tensor([3]))
    padded_states_BSH, padded_final_BH = encoder(padded_BSE, torch.tensor([3]))
    torch.testing.assert_close(padded_states_BSH[:, :3], states_BSH)
    torch.testing.assert_close(padded_final_BH, final_BH)


def test_the_final_state_is_where_each_direction_stops_reading():
    encoder = Encoder(ModelConfig(embedding_size=6, hidden_size=8)).eval()
    states_BSH, final_BH = encoder(torch.randn(2, 5, 6), torch.tensor([5, 2]))
    for row, last in ((0, 4), (1, 1)):
        torch.testing.assert_close(
            final_BH[row], torch.cat([states_BSH[row, last, :4], states_BSH[row, 0, 4:]])
        )
