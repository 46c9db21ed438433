"""What tests of training share."""

import json
from dataclasses import replace

import torch
from safetensors.torch import load_file

from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig
from nmt.run_folder import RunFolder

TIMED = ("pieces_per_second",)


def stop_after(count):
    """A stop request after so many updates."""
    calls = iter(range(1, 10**6))
    return lambda: next(calls) >= count


def final_weights(run):
    last = RunFolder(run).last
    return load_file(last / "model.safetensors"), load_file(last / "averaged.safetensors")


def metrics(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMED} for row in rows]


def assert_same_run(first, second):
    for ours, theirs in zip(final_weights(first), final_weights(second), strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            assert torch.equal(value, theirs[name]), name
    assert metrics(first) == metrics(second)
    assert RunFolder(first).best.name == RunFolder(second).best.name


def with_training(recipe, **changes):
    return replace(recipe, training=replace(recipe.training, **changes))


def small_network(**settings):
    """A network of 20 pieces without dropout, the same one at each call."""
    torch.manual_seed(1)
    return Seq2Seq(
        ModelConfig(**{"embedding_size": 8, "hidden_size": 8, "dropout": 0.0, **settings}),
        20,
        20,
        shared=True,
    )
