"""What a schedule takes where handing out a unit takes no time, and what one that was seen lost."""

import heapq
import statistics
from collections.abc import Iterable, Sequence

Nap = tuple[float, float, str]  # a unit's beginning and end, seconds of the clock, and its worker


def listed_seconds(seconds: Iterable[float], workers: int) -> float:
    """Until the last unit is done, when whoever is free takes the next one of the list."""
    free = [0.0] * workers
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def two_stages_seconds(looks: Sequence[float], works: Sequence[float], lookers: int, workers: int) -> float:
    """Until the last film is done, when each is first looked at by one of `lookers`, then worked on.

    Args:
        looks, works: of each film in the order of the list, seconds.
        lookers, workers: who is free takes the next film; a worker one that was looked at.
    """
    looking = [0.0] * lookers
    ready = []
    for look, work in zip(looks, works, strict=True):
        ready.append((looking[0] + look, work))
        heapq.heapreplace(looking, looking[0] + look)
    free = [0.0] * workers
    for seen, work in sorted(ready):
        heapq.heapreplace(free, max(free[0], seen) + work)
    return max(free)


def ideal_seconds(seconds: Sequence[float], workers: int) -> float:
    """No order is faster: the sum divided evenly, or the longest unit."""
    return max(sum(seconds) / workers, max(seconds))


def busy_share(naps: Iterable[Nap], workers: int, seconds: float) -> float:
    """Of the workers' time in so many seconds, what they worked."""
    return sum(ended - began for began, ended, _ in naps) / (workers * seconds)


def middle_gap(naps: Iterable[Nap]) -> float:
    """Between a worker's unit and its next one, the middle of all such times; 0 when none had two."""
    last: dict[str, float] = {}
    gaps = []
    for began, ended, worker in sorted(naps):
        if worker in last:
            gaps.append(began - last[worker])
        last[worker] = ended
    return statistics.median(gaps) if gaps else 0.0
