"""Translation on one core beside OpenNMT-py's RNN: target pieces/s greedy and at beam 5, the same
sources in the same pieces.

taskset -c 1 python -m evaluation speed.onmt_translation DIR --save

DIR is that of speed.training; of it are used venv-onmt, configs/onmt_rnn_if{0,1}.yaml with their
data, data/test_2016_flickr.sp.en and data/vocab.onmt. All networks have two LSTM layers, encoder
256 a direction, decoder 512, embeddings of 256, bilinear attention, and 8,000 joint pieces; ours
with d=256 (encoder 128 a direction, decoder 256) is the small one of speed.frontier. Ours have
random weights, OpenNMT-py's five updates, and each output is held to 15 or 16 pieces and its end,
so that all write as much. Ours read at most 2,048 source pieces at a time (512 at beam 5),
OpenNMT-py 64 sentences.

All run in turn, three times; medians. Speeds are of processor time without the start: ours of the
search alone, pieces in, pieces out; OpenNMT-py's, a process that reads and writes pieces, of what
all sentences need beyond what the first 64 need.
"""

import argparse
import os
import resource
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from evaluation.speed.trainers import derive
from evaluation.speed.training import ONE_THREAD
from evaluation.speed.translation import in_turn, random_engine, translate
from nmt.errors import NmtError
from nmt.recipe import ModelConfig

WAYS = {"greedy": (1, 2048), "beam 5": (5, 512)}  # beam, our batch
SHORTEST, LONGEST = 15, 17  # OpenNMT-py's min_length leaves out the end, its max_length counts it
BATCH = 64  # OpenNMT-py's, sentences
UPDATES = 5
VOCABULARY = 8000
OURS = {  # hidden size, with a shortlist, precision
    "nmt int8, shortlist": (512, True, "int8"),
    "nmt int8, all pieces": (512, False, "int8"),
    "nmt fp32, all pieces": (512, False, "fp32"),
    "nmt d=256 int8, shortlist": (256, True, "int8"),
}


class Work(NamedTuple):
    """What a process did."""

    pieces: int  # ends counted
    seconds: float  # of processor time, start-up included


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "peers", metavar="DIR", type=Path, help="the folder that the peers are installed in"
    )


def run(out: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(1)
    peers, out = arguments.peers.resolve(), out.resolve()
    text, few = peers / "data/test_2016_flickr.sp.en", out / "few.sp.en"
    sources = read_pieces(text, peers / "data/vocab.onmt")
    few.write_text(
        "".join(text.read_text(encoding="utf-8").splitlines(keepends=True)[:BATCH]),
        encoding="utf-8",
    )
    models = {
        f"OpenNMT-py, input_feed {feed}": train(peers, out, f"onmt_rnn_if{feed}") for feed in (1, 0)
    }
    engines = {
        name: random_engine(
            ModelConfig(embedding_size=256, hidden_size=size), VOCABULARY, short, precision
        )
        for name, (size, short, precision) in OURS.items()
    }
    measures: dict[str, Any] = {}
    for way, (beam, batch_pieces) in WAYS.items():
        contestants: dict[str, Callable[[], float]] = {}
        for name, engine in engines.items():
            translate(engine, sources[:BATCH], beam, batch_pieces)
            contestants[name] = partial(translate, engine, sources, beam, batch_pieces)
        for name, model in models.items():
            contestants[name] = partial(
                peer_speed, peers, model, few, text, out / "translation", beam
            )
        measures |= {
            f"{way}: {name}": value for name, value in with_ratios(in_turn(contestants)).items()
        }
    return {"measures": measures}


def read_pieces(text: Path, vocabulary: Path) -> list[list[int]]:
    """The numbers of a text's pieces in OpenNMT-py's vocabulary, behind our four special ones;
    unknown pieces have number 1, as ours.

    Raises:
        NmtError: a file that cannot be read.
    """
    try:
        names = [
            line.split("\t")[0] for line in vocabulary.read_text(encoding="utf-8").splitlines()
        ]
        numbers = {name: 4 + n for n, name in enumerate(names[: VOCABULARY - 4])}
        return [
            [numbers.get(piece, 1) for piece in line.split(" ")]
            for line in text.read_text(encoding="utf-8").splitlines()
        ]
    except OSError as error:
        raise NmtError(
            f"{error.filename}: cannot read the peers' data ({error.strerror}); set the peers up"
            " again"
        ) from None


def train(peers: Path, out: Path, config: str) -> Path:
    """A checkpoint of OpenNMT-py after some updates: its weights do not matter."""
    changes = {
        "save_data": out / config,
        "save_model": out / config / "model",
        "train_steps": UPDATES,
        "save_checkpoint_steps": UPDATES,
        "report_every": UPDATES,
    }
    path = derive(peers / "configs" / f"{config}.yaml", out / f"{config}.yaml", changes)
    call([str(peers / "venv-onmt/bin/onmt_train"), "-config", str(path)])
    return out / config / f"model_step_{UPDATES}.pt"


def peer_speed(peers: Path, model: Path, few: Path, many: Path, output: Path, beam: int) -> float:
    """Pieces a second of processor time, without what a process needs to start and for the first
    sentences."""
    command = [
        str(peers / "venv-onmt/bin/onmt_translate"),
        "-model",
        str(model),
        "-output",
        str(output),
        "-gpu",
        "-1",
    ]
    command += [
        "-beam_size",
        str(beam),
        "-batch_size",
        str(BATCH),
        "-min_length",
        str(SHORTEST),
        "-max_length",
        str(LONGEST),
    ]
    done = []
    for text in (few, many):
        seconds = call([*command, "-src", str(text)])
        done.append(Work(count_pieces(output.read_text(encoding="utf-8")), seconds))
    return speed_between(*done)


def count_pieces(text: str) -> int:
    """Pieces of all lines with their ends; a line of LONGEST pieces was cut off and has none."""
    return sum(min(len(line.split()) + 1, LONGEST) for line in text.splitlines())


def speed_between(few: Work, many: Work) -> float:
    """Pieces a second of what the one did beyond the other."""
    return (many.pieces - few.pieces) / (many.seconds - few.seconds)


def call(command: Sequence[str]) -> float:
    """Processor seconds of a command and its children.

    Raises:
        NmtError: it cannot be started, or fails.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, **ONE_THREAD}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise NmtError(
            f"{command[0]}: cannot start OpenNMT-py ({error.strerror}); DIR must be the folder that"
            " the peers are installed in"
        ) from None
    if done.returncode:
        last = done.stdout.strip().rpartition("\n")[2]
        raise NmtError(f"{command[0]} failed ({last}); set the peers up again")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def with_ratios(speeds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The speeds, and how many times as fast as each of OpenNMT-py's networks each of ours is."""
    found: dict[str, Any] = dict(speeds)
    for own in OURS:
        for peer in [name for name in speeds if name not in OURS]:
            ratio = speeds[own]["value"] / speeds[peer]["value"]
            noise = ratio * sum(
                speeds[name]["noise"] / speeds[name]["value"] for name in (own, peer)
            )
            found[f"{own} / {peer}"] = {
                "value": round(ratio, 2),
                "noise": round(noise, 2),
                "unit": "times its speed",
            }
    return found
