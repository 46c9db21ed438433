"""One trial: train, translate the dev set in each way, choose by dev, translate the test sets once.

Every step is a command of nmt and leaves a file; a step whose file is there is not made again, and
`nmt train` resumes by itself. So an interrupted experiment goes on with the same command.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evaluation.quality.plan import Corpus, Plan, Trial
from nmt.errors import NmtError
from nmt.files import write_atomically
from nmt.run_folder import RunFolder
from nmt.scoring.bleu import Score, corpus_scores

DONE = "trained.json"


class Way(NamedTuple):
    """How translations are searched for."""

    beam: int
    length_alpha: float

    @property
    def name(self) -> str:
        return f"beam-{self.beam}.alpha-{self.length_alpha:g}"


class Place(NamedTuple):
    """Where a trial's files are."""

    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def done(self) -> Path:
        """Written when training has ended by itself."""
        return self.folder / DONE

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def dev(self, way: Way) -> Path:
        return self.folder / f"dev.{way.name}.txt"

    def test(self, test: str, way: Way) -> Path:
        return self.folder / f"test.{Path(test).name}.{way.name}.txt"


class Program(NamedTuple):
    """The nmt that trains and translates: this one, or that of another checkout."""

    checkout: Path

    def call(self, log: Path, *arguments: str) -> None:
        """Run `nmt ARGUMENTS`, its messages added to `log`.

        Raises:
            NmtError: the command failed; the error has its last line.
        """
        environment = {**os.environ, "PYTHONPATH": str(self.checkout)}
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            done = subprocess.run(
                [sys.executable, "-m", "nmt", *arguments], stdout=file, stderr=file, env=environment
            )
        if done.returncode:
            last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
            raise NmtError(
                f"nmt {arguments[0]} ended with status {done.returncode} ({last}); see {log}"
            )

    def commit(self) -> str:
        """The checkout's commit, ending in '-dirty' where its files differ from it."""
        return "".join(
            subprocess.run(
                ["git", "describe", "--always", "--dirty", "--exclude=*"],
                cwd=self.checkout,
                capture_output=True,
                text=True,
                check=False,
            ).stdout.split()
        )


def place_of(out: Path, trial: Trial) -> Place:
    return Place(out / trial.name)


def ways(plan: Plan) -> list[Way]:
    return [Way(beam, alpha) for beam in plan.beams for alpha in plan.length_alphas]


def train_command(trial: Trial, run: Path) -> list[str]:
    """The arguments of `nmt` that train this trial, or go on with it."""
    corpus, rung = trial.corpus, trial.rung
    settings = [*rung.settings, f"training.seed={trial.seed}"]
    return [
        "train",
        *([str(rung.base)] if rung.base else []),
        *(part for text in corpus.train for part in ("--train", text)),
        *("--dev", corpus.dev, "--source", corpus.source, "--target", corpus.target),
        *(part for setting in settings for part in ("--set", setting)),
        *("--run", str(run)),
    ]


def work(trial: Trial, plan: Plan, place: Place, program: Program) -> None:
    """Whatever is missing of a trial, in order.

    Raises:
        NmtError: a command of nmt failed.
    """
    if not place.done.exists():
        program.call(place.log, *train_command(trial, place.run))
        write_atomically(place.done, json.dumps({"commit": program.commit()}) + "\n")
    corpus = trial.corpus
    for way in ways(plan):
        translate(program, place, corpus.dev, corpus, way, place.dev(way))
    if corpus.test:
        chosen = choose(plan, trial, place)[0]
        for test in corpus.test:
            translate(program, place, test, corpus, chosen, place.test(test, chosen))


def translate(
    program: Program, place: Place, text: str, corpus: Corpus, way: Way, target: Path
) -> None:
    """Translate a file in fp32; nothing to do where the translation is there."""
    if target.exists():
        return
    program.call(
        place.log,
        *("translate", str(place.run), "--precision", "fp32", "--beam", str(way.beam)),
        *("--length-alpha", f"{way.length_alpha:g}"),
        *("-i", f"{text}.{corpus.source}", "-o", str(target)),
    )


def lines_of(path: Path) -> list[str]:
    """The lines of a text as nmt counts them: only a line feed ends one."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NmtError(f"{path}: cannot be read as text ({error})") from None
    return text.removesuffix("\n").replace("\r\n", "\n").split("\n")


def scores_of(output: Path, text: str, corpus: Corpus, confidence: bool) -> list[Score]:
    """BLEU and chrF2 of a translation of `text`."""
    references = lines_of(Path(f"{text}.{corpus.target}"))
    return corpus_scores(
        lines_of(output), [references], confidence=confidence, tokeniser=corpus.tokeniser
    )


def choose(plan: Plan, trial: Trial, place: Place) -> tuple[Way, dict[str, float]]:
    """The way with the best dev BLEU, the first of equal ones, and the dev BLEU of each."""
    corpus = trial.corpus
    found = {
        way: scores_of(place.dev(way), corpus.dev, corpus, confidence=False)[0].value
        for way in ways(plan)
    }
    best = max(found, key=lambda way: found[way])
    return best, {way.name: round(value, 2) for way, value in found.items()}


def missing(trial: Trial, plan: Plan, place: Place) -> Iterator[str]:
    """What is left to do of a trial, in words."""
    if not place.done.exists():
        yield training_left(place)
        return
    left = [way for way in ways(plan) if not place.dev(way).exists()]
    if left:
        yield f"dev by {len(left)} of {len(ways(plan))} ways of search"
        return
    if trial.corpus.test:
        chosen = choose(plan, trial, place)[0]
        left_tests = [test for test in trial.corpus.test if not place.test(test, chosen).exists()]
        if left_tests:
            yield f"{len(left_tests)} test sets"


def training_left(place: Place) -> str:
    rows: Sequence[dict[str, Any]] = RunFolder(place.run).metrics()
    if not rows:
        return "training, not begun"
    best = [row["scores"][0]["value"] for row in rows if row["kind"] == "validation"]
    reached = f", best dev score {max(best):.2f}" if best else ""
    return f"training, at update {rows[-1]['update']:,}{reached}"
