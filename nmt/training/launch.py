"""torchrun without its traceback at a signal: `python -m nmt.training.launch [options of torchrun]
-m -- nmt train ...`.

A signal that torchrun passes on to its processes ends torchrun itself with a traceback and status
1, even where every process has saved and ended as it should. Here the status is 128 + the signal's
number, as `nmt train` has it.
"""

import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.run import main


def launch(arguments: list[str]) -> int:
    """Runs torchrun with these arguments; returns the exit status."""
    try:
        main(arguments)
    except SignalException as error:
        print(f"nmt: {error.sigval.name} received, all processes have ended", file=sys.stderr)
        return 128 + int(error.sigval)
    return 0


if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:]))
