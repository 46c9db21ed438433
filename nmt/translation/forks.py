"""A process forked after a model was loaded, by a preloading server say, can translate with it.

The threads of OpenMP's pool are not copied by a fork, and torch would wait for them forever. So the
child computes in one thread.
"""

import os

import torch


def _compute_alone() -> None:
    torch.set_num_threads(1)


os.register_at_fork(after_in_child=_compute_alone)
