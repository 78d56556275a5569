"""Which examples a step sees: it follows from the seed and the step alone, whatever computes it.

A step's batch is cut into a fixed number of parts, which the workers share out among themselves. What is
random in a part follows from (seed, step, part), so 1 or 4 workers, and any number of restarts, make the same
steps.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from train.recipe import Pick

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def picks(seed: int, step: int, batch: int, size: int) -> list[Pick]:
    """The examples of a step (the first is 0): the epochs' shuffled orders, one after the other.

    An epoch sees every example once; a batch may reach into the next epoch.
    """
    chosen = []
    for place in range(step * batch, (step + 1) * batch):
        epoch, at = divmod(place, size)
        chosen.append(Pick(int(_order(seed, epoch, size)[at]), mixed(seed, 1, place)))
    return chosen


def part(chosen: Sequence[Pick], number: int, parts: int) -> Sequence[Pick]:
    """One of `parts` runs of examples, as equal as can be."""
    return chosen[len(chosen) * number // parts : len(chosen) * (number + 1) // parts]


def share(count: int, rank: int, world: int) -> range:
    """Which of `count` parts or items a worker does: a run of its own, as equal as can be."""
    return range(count * rank // world, count * (rank + 1) // world)


def mixed(*numbers: int) -> int:
    """A seed of 63 bits from several numbers."""
    import numpy as np

    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


@lru_cache(maxsize=2)  # a batch sees at most two epochs, but for data smaller than it
def _order(seed: int, epoch: int, size: int) -> "NDArray[np.int64]":
    import numpy as np

    return np.random.default_rng([seed, 0, epoch]).permutation(size)
