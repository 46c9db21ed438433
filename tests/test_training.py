import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_runs import assert_same_run, final_weights, metrics, stop_after

from nmt.data.batches import collate
from nmt.errors import NmtError
from nmt.recipe import SubwordsConfig
from nmt.text.subwords import Subwords
from nmt.training import run as run_module
from nmt.training.checkpoint import is_whole, newest
from nmt.training.events import Ended, Note, Report, Validated
from nmt.training.plans import placed_batches
from nmt.training.prepare import prepare
from nmt.training.run import train


@pytest.mark.parametrize("sampling", [0.0, 0.2])
def test_interrupted_equals_uninterrupted(tmp_path, tiny_recipe, sampling):
    recipe = replace(tiny_recipe, subwords=replace(tiny_recipe.subwords, sampling=sampling))
    list(train(recipe, tmp_path / "whole"))
    for count in (1, 6, 2, 5):
        *_, ended = train(recipe, tmp_path / "parts", stop=stop_after(count))
        assert ended.finished is False
    *_, ended = train(recipe, tmp_path / "parts")
    assert ended.finished
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_stays_as_it_is(tmp_path, tiny_recipe):
    list(train(tiny_recipe, tmp_path / "run"))
    before = final_weights(tmp_path / "run")[0]
    events = list(train(tiny_recipe, tmp_path / "run"))
    assert isinstance(events[-1], Ended)
    assert not any(isinstance(event, Report | Validated) for event in events)
    after = final_weights(tmp_path / "run")[0]
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path, tiny_recipe):
    list(train(tiny_recipe, tmp_path / "whole"))
    list(train(tiny_recipe, tmp_path / "run"))
    folder, _ = newest(tmp_path / "run")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    events = list(train(tiny_recipe, tmp_path / "run"))
    assert Note(f"{folder}: damaged, not used") in events
    assert_same_run(tmp_path / "whole", tmp_path / "run")
    assert is_whole(newest(tmp_path / "run")[0])


def test_best_and_last_point_to_checkpoints_and_old_ones_go(tmp_path, tiny_recipe):
    events = list(train(tiny_recipe, tmp_path / "run"))
    validated = [event for event in events if isinstance(event, Validated)]
    best = max(validated, key=lambda event: event.validation.scores[0].value)
    assert (
        tmp_path / "run" / "best"
    ).resolve().name == f"update-{best.update:06d}" or best.validation.scores[0].value == 0
    assert (tmp_path / "run" / "last").resolve().name == f"update-{validated[-1].update:06d}"
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) <= tiny_recipe.training.keep + 1


def test_reports_have_what_was_promised(tmp_path, tiny_recipe):
    events = list(
        train(
            replace(tiny_recipe, training=replace(tiny_recipe.training, clip_norm=0.05)),
            tmp_path / "run",
        )
    )
    reports = [event for event in events if isinstance(event, Report)]
    assert [report.update for report in reports] == list(range(3, reports[0].updates + 1, 3))
    assert all(report.window.clipped_share == 1.0 for report in reports)
    row = next(row for row in metrics(tmp_path / "run") if row["kind"] == "update")
    assert row["gradient_norm"] > 0.05
    assert row["clipped_share"] == 1.0
    # The last update's gradient after clipping: its layers' norms make up the bound.
    assert math.sqrt(sum(norm**2 for norm in row["layer_norms"].values())) == pytest.approx(
        0.05, rel=1e-3
    )


def test_patience_ends_a_run_early(tmp_path, tiny_recipe):
    recipe = replace(
        tiny_recipe,
        training=replace(
            tiny_recipe.training, learning_rate=1e-12, patience=2, epochs=20, select="loss"
        ),
    )
    events = list(train(recipe, tmp_path / "run"))
    assert len([event for event in events if isinstance(event, Validated)]) < 20
    assert events[-1].finished
    assert list(train(recipe, tmp_path / "run"))[-1].finished


def test_another_recipe_in_the_same_folder_is_refused_by_its_key(tmp_path, tiny_recipe):
    list(train(tiny_recipe, tmp_path / "run", stop=stop_after(1)))
    other = replace(tiny_recipe, model=replace(tiny_recipe.model, hidden_size=32))
    with pytest.raises(
        NmtError, match=r"model.hidden_size is 16 there, 32 here\); choose another --run"
    ):
        list(train(other, tmp_path / "run"))


def test_changed_training_data_are_refused(tmp_path, tiny_recipe):
    list(train(tiny_recipe, tmp_path / "run", stop=stop_after(1)))
    for side in ("nl", "en"):
        with open(f"{tiny_recipe.data.train[0]}.{side}", "a") as out:
            out.write("nieuw\n")
    with pytest.raises(NmtError, match="the training data have changed since this run began"):
        list(train(tiny_recipe, tmp_path / "run"))


def test_two_processes_do_not_train_in_one_folder(tmp_path, tiny_recipe):
    events = train(tiny_recipe, tmp_path / "run")
    next(events)
    with pytest.raises(NmtError, match="another process is training in this folder"):
        next(train(tiny_recipe, tmp_path / "run"))
    events.close()


def test_what_is_left_to_nmt_is_written_into_the_recipe(tmp_path, tiny_recipe):
    recipe = replace(
        tiny_recipe, subwords=SubwordsConfig(), training=replace(tiny_recipe.training, epochs=0)
    )
    list(train(recipe, tmp_path / "run", stop=stop_after(1)))
    text = (tmp_path / "run" / "recipe.toml").read_text()
    size = Subwords.load(tmp_path / "run" / "subwords.model").size
    assert f"vocab_size = {size}" in text
    assert "epochs = 20" in text
    *_, ended = train(recipe, tmp_path / "run", stop=stop_after(1))
    assert ended.update == 2


def test_gradients_that_are_not_finite_skip_the_update_and_end_the_run_if_they_stay(
    tmp_path, tiny_recipe, monkeypatch
):
    real = run_module.train_updates

    def poisoned(learner, *rest):
        for update in real(learner, *rest):
            learner.model.output.weight.data.fill_(math.nan)
            yield update

    monkeypatch.setattr(run_module, "train_updates", poisoned)
    with pytest.raises(
        NmtError,
        match=(
            r"not finite in 20 updates in a row; lower training.learning_rate.* look at the last"
            r" batch: .*train.nl:[\d,]+$"
        ),
    ):
        list(
            train(
                replace(
                    tiny_recipe,
                    training=replace(tiny_recipe.training, validate_every=1000, epochs=20),
                ),
                tmp_path / "run",
            )
        )


def test_batches_of_a_place_are_those_of_the_whole_run(tmp_path, tiny_recipe):
    recipe = replace(tiny_recipe, subwords=replace(tiny_recipe.subwords, sampling=0.3))
    list(train(recipe, tmp_path / "run", stop=stop_after(1)))
    *_, materials = prepare(recipe, tmp_path / "run")
    whole = list(placed_batches(materials.store, materials.subwords, recipe, 1, 0))
    first_of_second = next(index for index, placed in enumerate(whole) if placed.epoch == 2)
    for start in (3, first_of_second + 2):
        rest = placed_batches(
            materials.store, materials.subwords, recipe, whole[start].epoch, whole[start].place
        )
        for ours, theirs in zip(rest, whole[start:], strict=True):
            assert ours[:4] == theirs[:4]
            assert all(
                torch.equal(a, b) for a, b in zip(ours.batches[0], theirs.batches[0], strict=True)
            )


def test_batches_go_to_where_the_model_is(monkeypatch):
    from nmt.data.batches import Batch
    from nmt.model.translation import Seq2Seq
    from nmt.recipe import ModelConfig, TrainingConfig
    from nmt.training.loop import Learner, make_optimizer, train_updates
    from nmt.training.plans import PlacedBatches
    from nmt.training.precision import autocast
    from nmt.training.state import TrainingState

    model = Seq2Seq(ModelConfig(embedding_size=8, hidden_size=8), 20, 20, shared=True)
    real, went_to = Batch.to, []
    monkeypatch.setattr(
        Batch, "to", lambda batch, device: went_to.append(device) or real(batch, device)
    )
    feed = iter([PlacedBatches(1, 0, True, 1, (collate([[5, 6]], [[7]]),), np.array([0]))])
    config = TrainingConfig()
    plain = autocast(torch.device("cpu"), "fp32")
    list(
        train_updates(
            Learner(model, make_optimizer(model, config), None, TrainingState(), config, plain),
            feed,
            1,
        )
    )
    assert went_to == [model.output.weight.device]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_run_on_a_gpu_trains_and_continues(tmp_path, tiny_recipe):
    recipe = replace(tiny_recipe, training=replace(tiny_recipe.training, device="cuda"))
    list(train(recipe, tmp_path / "run", stop=stop_after(4)))
    assert list(train(recipe, tmp_path / "run"))[-1].finished


def test_one_update_of_two_sentences_equals_the_mean_over_their_pieces():
    from nmt.model.translation import Seq2Seq
    from nmt.recipe import ModelConfig
    from nmt.training.gradient import batch_loss

    torch.manual_seed(1)
    model = Seq2Seq(ModelConfig(embedding_size=8, hidden_size=8, dropout=0.0), 20, 20, shared=True)
    pairs = [([5, 6, 7], [8, 9]), ([10], [11, 12, 13, 14])]
    together = batch_loss(
        model, collate([pairs[0][0], pairs[1][0]], [pairs[0][1], pairs[1][1]]), 0.1
    )
    alone = [batch_loss(model, collate([source], [target]), 0.1) for source, target in pairs]
    torch.testing.assert_close(together.smoothed, alone[0].smoothed + alone[1].smoothed)
    torch.testing.assert_close(
        together.cross_entropy, alone[0].cross_entropy + alone[1].cross_entropy
    )


def test_the_estimate_knows_what_the_run_will_be(tmp_path, tiny_recipe):
    from nmt.text.corpus import read_pairs
    from nmt.training.cost import estimate

    pairs = [
        (pair.source, pair.target) for pair in read_pairs(tiny_recipe.data.train[0], "nl", "en")
    ]
    cost = estimate(tiny_recipe, pairs, len(pairs))
    reports = [event for event in train(tiny_recipe, tmp_path / "run") if isinstance(event, Report)]
    weights = final_weights(tmp_path / "run")[0]
    assert cost.updates == reports[0].updates
    assert cost.parameters == sum(value.numel() for value in weights.values())
    assert cost.vocabulary == Subwords.load(tmp_path / "run" / "subwords.model").size
    assert cost.seconds > 0
    assert cost.memory > 5 * 4 * cost.parameters  # weights, gradients, two moments, average


def test_a_run_without_a_checkpoint_takes_a_corrected_recipe(tmp_path, tiny_recipe):
    wrong = replace(tiny_recipe, subwords=SubwordsConfig(vocab_size=100_000))
    with pytest.raises(NmtError, match=r"vocab_size is more than this text has"):
        list(train(wrong, tmp_path / "run"))
    assert list(train(tiny_recipe, tmp_path / "run"))[-1].finished
    list(train(tiny_recipe, tmp_path / "fresh"))
    assert_same_run(tmp_path / "fresh", tmp_path / "run")


def test_a_missing_dev_set_is_told_before_anything_is_written(tmp_path, tiny_recipe):
    with pytest.raises(NmtError, match="nowhere"):
        list(
            train(
                replace(tiny_recipe, data=replace(tiny_recipe.data, dev=str(tmp_path / "nowhere"))),
                tmp_path / "run",
            )
        )
    assert not (tmp_path / "run").exists()


def test_a_run_killed_before_last_pointed_to_its_checkpoint_ends_with_the_right_one(
    tmp_path, tiny_recipe
):
    list(train(tiny_recipe, tmp_path / "run"))
    newer, older = (
        (tmp_path / "run" / "last").resolve(),
        sorted((tmp_path / "run" / "checkpoints").iterdir())[0],
    )
    run_module.point(tmp_path / "run", "last", older)
    list(train(tiny_recipe, tmp_path / "run"))
    assert (tmp_path / "run" / "last").resolve() == newer != older


def test_lost_metrics_are_told_and_training_goes_on(tmp_path, tiny_recipe):
    list(train(tiny_recipe, tmp_path / "run", stop=stop_after(7)))
    size = (tmp_path / "run" / "metrics.jsonl").stat().st_size
    (tmp_path / "run" / "metrics.jsonl").unlink()
    events = list(train(tiny_recipe, tmp_path / "run"))
    path = tmp_path / "run" / "metrics.jsonl"
    assert (
        Note(
            f"{path}: {size:,} bytes shorter than when the checkpoint was written; their rows are"
            " lost"
        )
        in events
    )
    assert metrics(tmp_path / "run")[0]["update"] > 7
    assert events[-1].finished
