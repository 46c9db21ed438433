"""COMET (Rei et al. 2020), where the user has it: its own command in a process of its own, since
it pins other versions than nmt does."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from nmt.errors import NmtError
from nmt.scoring.bleu import Score, check_lengths

COMMAND = "comet-score"
MODEL = "Unbabel/wmt22-comet-da"
PRINTED = re.compile(r"score:\s*(-?[0-9.]+(?:[eE]-?[0-9]+)?)")


def comet_score(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], model: str = MODEL
) -> Score:
    """The system score, times 100.

    Raises:
        NmtError: `comet-score` is not installed or fails, or the lines are not equally many.
    """
    check_lengths({"the hypotheses": hypotheses, "the sources": sources}, [references])
    command = shutil.which(COMMAND)
    if command is None:
        raise NmtError(
            f"{COMMAND} is not on the PATH; install unbabel-comet in an environment of its own and"
            f" put its {COMMAND} there"
        )
    with TemporaryDirectory() as folder:
        options = [command, "--model", model, "--quiet", "--only_system"]
        for option, lines in (("-s", sources), ("-t", hypotheses), ("-r", references)):
            path = Path(folder) / option.strip("-")
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            options += [option, str(path)]
        done = subprocess.run(options, capture_output=True, text=True)
    found = PRINTED.findall(done.stdout)
    if done.returncode or not found:
        reason = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()[
            -1
        ]
        raise NmtError(
            f"{COMMAND} --model {model} failed with status {done.returncode} ({reason}); run it by"
            " hand to see more"
        )
    return Score("COMET", 100 * float(found[-1]), f"nrefs:1|model:{model}|scale:100")
