"""Word dropout and weight drop: what they take away in training, and that translation has it
all."""

import pytest
import torch
from training_runs import small_network

from nmt.data.batches import collate
from nmt.model.cells import GATES, Recurrence

BATCH = collate([[5, 6, 7, 8], [9, 10]], [[11, 12], [13, 14, 15]])


@pytest.mark.parametrize("setting", ["word_dropout", "weight_drop"])
def test_they_change_training_and_not_translation(setting):
    plain, dropped = small_network(), small_network(**{setting: 0.3})
    assert not torch.equal(plain(BATCH)[0], dropped(BATCH)[0])
    assert torch.equal(plain.eval()(BATCH)[0], dropped.eval()(BATCH)[0])


def test_word_dropout_takes_whole_pieces_and_scales_the_others():
    model = small_network(word_dropout=0.5)
    pieces = torch.full((50, 40), 7)
    embedded_BLE = model._embed(pieces, model.source_embedding)
    row_E = model.source_embedding.weight[7] * model.scale
    dropped_BL = (embedded_BLE == 0).all(-1)
    assert torch.equal(embedded_BLE[~dropped_BL], (2 * row_E).expand(int((~dropped_BL).sum()), -1))
    assert 0.45 < dropped_BL.double().mean() < 0.55  # 2,000 pieces: four standard deviations


@pytest.mark.parametrize("cell", GATES)
def test_weight_drop_keeps_one_mask_for_all_positions(cell):
    torch.manual_seed(1)
    layer = Recurrence(cell, 4, 6, weight_drop=0.5)
    inputs_BTI = torch.randn(3, 5, 4)
    torch.manual_seed(2)
    dropped_BTH = layer(inputs_BTI)
    by_hand = Recurrence(cell, 4, 6)
    torch.manual_seed(2)
    by_hand.load_state_dict(
        {
            **layer.state_dict(),
            "weight_hidden_GH": layer.weight_drop(layer.weight_hidden_GH).detach(),
        }
    )
    torch.testing.assert_close(dropped_BTH, by_hand(inputs_BTI))


def test_dropped_recurrent_weights_get_no_gradient():
    torch.manual_seed(1)
    layer = Recurrence("lstm", 4, 6, weight_drop=0.5)
    layer(torch.randn(3, 5, 4)).sum().backward()
    assert 0.3 < (layer.weight_hidden_GH.grad == 0).double().mean() < 0.7
