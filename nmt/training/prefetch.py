"""The next batches are made while the network computes, the same ones in the same order."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import TypeVar

import torch

from nmt.data.store import Store
from nmt.recipe import Recipe
from nmt.text.subwords import SubwordPair
from nmt.training.distributed import Processes
from nmt.training.plans import Maker, PlacedBatches, plans
from nmt.training.samplers import Samplers

AHEAD = 4  # updates for each thread that makes them
# processes; a GPU trains on more pieces than one of them draws, a CPU on far fewer
GPU_SAMPLERS = 4

Plan = TypeVar("Plan")
Made = TypeVar("Made")


@contextmanager
def fed_ahead(
    store: Store,
    subwords: SubwordPair,
    recipe: Recipe,
    place: tuple[int, int],
    processes: Processes,
    device: torch.device,
) -> Iterator[Iterator[PlacedBatches]]:
    """`placed_batches` from (epoch, update of the epoch) on, made ahead; while they are in use,
    threads and processes are at work."""
    with ExitStack() as stack:
        sample, threads = subwords.sample, 1
        if recipe.subwords.sampling:
            threads = GPU_SAMPLERS if device.type == "cuda" else 1
            sample = stack.enter_context(Samplers(subwords, threads)).sample
        maker = Maker(store, subwords, recipe, processes, sample)
        yield stack.enter_context(
            closing(ahead(plans(store, recipe.training, *place), maker.make, threads))
        )


def ahead(
    plans: Iterator[Plan], make: Callable[[Plan], Made], threads: int
) -> Generator[Made, None, None]:
    """`map(make, plans)`; plans are drawn in a thread, since a block's order may take seconds, and
    made in others.

    An error comes in the place of the element that it belongs to.
    """
    with ThreadPoolExecutor(1) as planner, ThreadPoolExecutor(threads) as makers:

        def begin() -> Future[Made] | None:
            for plan in plans:
                return makers.submit(make, plan)
            return None

        waiting = deque(planner.submit(begin) for _ in range(AHEAD * threads))
        try:
            while making := waiting.popleft().result():
                waiting.append(planner.submit(begin))
                yield making.result()
        finally:
            planner.shutdown(cancel_futures=True)
            makers.shutdown(cancel_futures=True)
