"""The programs whose training is timed: how each one is started on the same data, and what its log
tells of an update.

All four count the same: target pieces with the end of each sentence, without its beginning and
without padding (OpenNMT-py's `n_words` and JoeyNMT's `ntokens` leave padding out of the target from
the second position on, fairseq's `ntokens` out of the target).
"""

import math
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from nmt.errors import NmtError

# updates of one report; JoeyNMT tells only the loss of the last update of a report, so that it
# reports each
WINDOW = 5


class Trainer(NamedTuple):
    """A program that trains until it is stopped."""

    name: str
    command: list[str]
    pattern: re.Pattern[
        str
    ]  # of a report: groups `update`, `loss`, and `size` (pieces an update) or `rate` (pieces a second)  # noqa: E501
    nats: Callable[[float], float]  # from the logged loss, a target piece
    before: tuple[str, ...] = ()  # run once beforehand


NMT = re.compile(r"update (?P<update>[\d,]+)/.* loss (?P<loss>[\d.]+) .* (?P<rate>[\d,]+) pieces/s")
OPENNMT = re.compile(
    r"Step +(?P<update>\d+)/.* ppl: +(?P<loss>[\d.]+);.* bsz: +\d+/ *(?P<size>\d+)/"
)
JOEYNMT = re.compile(
    r"Step: +(?P<update>\d+), Batch Loss: +(?P<loss>[\d.]+),.* Tokens per Sec: +(?P<rate>\d+)"
)
FAIRSEQ = re.compile(
    r"train_inner .* loss=(?P<loss>[\d.]+),.* wpb=(?P<size>[\d.]+),.* num_updates=(?P<update>\d+)"
)


def trainers(peers: Path, out: Path) -> list[Trainer]:
    """Ours, and those of the peers that are installed; their settings for this comparison are
    written to `out`.

    Raises:
        NmtError: a folder without peers, or a configuration that is not as expected.
    """
    out.mkdir(parents=True, exist_ok=True)
    found = [
        *(
            opennmt(peers, out, f"onmt_rnn_if{feed}", f"OpenNMT-py, input_feed {feed}")
            for feed in (1, 0)
            if (peers / "venv-onmt").exists()
        ),
        *([joeynmt(peers, out)] if (peers / "venv-joey").exists() else []),
        *([fairseq(peers, out)] if (peers / "venv-fairseq").exists() else []),
    ]
    if not found:
        raise NmtError(
            f"{peers}: none of venv-onmt, venv-joey, venv-fairseq is there; name the folder that"
            " the peers are installed in"
        )
    return [
        *(ours(peers, out, *each) for each in (("auto", 256), ("fp32", 256), ("auto", 512))),
        *found,
    ]


def ours(peers: Path, out: Path, precision: str, embedding: int) -> Trainer:
    """`nmt train` with the peers' network and optimizer settings: no warm-up, smoothing,
    averaging or rare characters."""
    settings = {
        "subwords.vocab_size": 8000, "subwords.byte_fallback": "false", "subwords.rare_characters": 0, "model.embedding_size": embedding,  # noqa: E501
        "training.precision": precision, "training.device": "cpu", "training.threads": 1, "training.batch_pieces": 2048,  # noqa: E501
        "training.learning_rate": 1e-3, "training.warmup": 0, "training.schedule": "constant", "training.label_smoothing": 0,  # noqa: E501
        "training.average_decay": 0, "training.report_every": WINDOW, "training.epochs": 100,
    }  # fmt: skip
    run, data = out / f"nmt-{precision}-{embedding}", peers / "data"
    command = [
        sys.executable,
        "-m",
        "nmt",
        "train",
        "--train",
        str(data / "train"),
        "--dev",
        str(data / "val"),
        "--source",
        "en",
    ]
    command += [
        "--target",
        "de",
        "--run",
        str(run),
        *(f"--set={key}={value}" for key, value in settings.items()),
    ]
    return Trainer(f"nmt {precision}, embeddings {embedding}", command, NMT, float)


def opennmt(peers: Path, out: Path, config: str, name: str) -> Trainer:
    changes = {
        "save_data": out / config,
        "save_model": out / config / "model",
        "report_every": WINDOW,
    }
    path = derive(peers / "configs" / f"{config}.yaml", out / f"{config}.yaml", changes)
    return Trainer(
        name, [str(peers / "venv-onmt/bin/onmt_train"), "-config", str(path)], OPENNMT, math.log
    )


def joeynmt(peers: Path, out: Path) -> Trainer:
    changes = {
        "model_dir": f'"{out / "joeynmt"}"',
        "logging_freq": 1,
        "validation_freq": 100_000,
        "overwrite": "True",
    }
    path = derive(peers / "configs" / "joey_rnn.yaml", out / "joey_rnn.yaml", changes)
    return Trainer(
        "JoeyNMT",
        [str(peers / "venv-joey/bin/python"), "-m", "joeynmt", "train", str(path)],
        JOEYNMT,
        float,
    )


def fairseq(peers: Path, out: Path) -> Trainer:
    """The architecture `lstm`; its log has the loss in bits. Its data are made from the peers'
    pieces first."""
    programs, data = peers / "venv-fairseq/bin", out / "fairseq"
    before = (
        f"{programs}/fairseq-preprocess --source-lang en --target-lang de --joined-dictionary"
        f" --workers 1 --destdir {data}"
    )
    before += f" --trainpref {peers}/data/train.sp --validpref {peers}/data/val.sp"
    command = f"""{programs}/fairseq-train {data} --arch lstm --encoder-layers 2 --decoder-layers 2 --encoder-embed-dim 256
        --decoder-embed-dim 256 --encoder-hidden-size 256 --encoder-bidirectional --decoder-hidden-size 512 --dropout 0.3
        --max-tokens 2048 --optimizer adam --lr 0.001 --clip-norm 1.0 --criterion cross_entropy --cpu --num-workers 0 --seed 1
        --log-format simple --log-interval {WINDOW} --max-update 100000 --no-save --disable-validation"""  # noqa: E501
    return Trainer(
        "fairseq lstm",
        command.split(),
        FAIRSEQ,
        lambda bits: bits * math.log(2),
        tuple(before.split()),
    )


def derive(config: Path, path: Path, changes: Mapping[str, object]) -> Path:
    """Writes a peer's YAML file to `path` with the values of some keys changed.

    Raises:
        NmtError: the file cannot be read, or does not have each of these keys once.
    """
    try:
        text = config.read_text(encoding="utf-8")
    except OSError as error:
        raise NmtError(
            f"{config}: cannot read the peer's configuration ({error.strerror}); set the peers up"
            " again"
        ) from None
    for key, value in changes.items():
        text, times = re.subn(
            rf"(?m)^( *{re.escape(key)}:).*$",
            lambda match, value=value: f"{match[1]} {value}",
            text,
        )  # type: ignore[misc]
        if times != 1:
            raise NmtError(
                f"{config}: the key {key!r} must be there once, got {times} times; this is not the"
                " configuration expected"
            )
    path.write_text(text, encoding="utf-8")
    return path
