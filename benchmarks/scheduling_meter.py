"""Processor seconds and memory of the processes of a simulated run, sampled while it goes."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType

from benchmarks.processes import cpu_seconds, memory, parents

_EVERY = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Used:
    """Processor seconds until `time`, of the driver, of Ray's processes, of the workers."""

    time: float
    driver: float
    machines: float
    workers: float


class Meter:
    """While entered, samples this process, the given ones, and those that the given ones started.

    Args:
        machines: processes that run the simulated machines; what they start are workers.

    Attributes:
        driver_bytes, machines_bytes: the most that were seen, memory of their own.
        worker_bytes: the most that one worker had of its own; `workers` how many there were then.
    """

    def __init__(self, machines: Sequence[int]) -> None:
        self._machines = frozenset(machines)
        self._samples: list[Used] = []
        self._seen: dict[int, float] = {}  # of workers, those that ended too
        self._ended = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self.driver_bytes = self.machines_bytes = self.worker_bytes = self.workers = 0

    def __enter__(self) -> "Meter":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def since(self, moment: float) -> Used:
        """What was used from the first sample after `moment` until the last."""
        first = next((one for one in self._samples if one.time >= moment), self._samples[-1])
        last = self._samples[-1]
        return Used(
            last.time - first.time,
            last.driver - first.driver,
            last.machines - first.machines,
            last.workers - first.workers,
        )

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY):
            self._sample()
        self._sample()

    def _sample(self) -> None:
        workers = [pid for pid, parent in parents().items() if parent in self._machines - {os.getpid()}]
        for pid in workers:
            self._seen[pid] = _cpu(pid) or self._seen.get(pid, 0.0)
        machines = sum(map(_cpu, self._machines))
        self._samples.append(Used(time.time(), _cpu(os.getpid()), machines, sum(self._seen.values())))
        self.driver_bytes = max(self.driver_bytes, own_bytes(os.getpid()))
        self.machines_bytes = max(self.machines_bytes, sum(map(own_bytes, self._machines)))
        if workers and len(self._samples) % 15 == 5:
            self.worker_bytes = max(self.worker_bytes, *map(own_bytes, workers))
            self.workers = len(workers)


def _cpu(pid: int) -> float:
    try:
        return cpu_seconds(pid)
    except OSError:  # it ended
        return 0.0


def own_bytes(pid: int) -> int:
    """Memory that no other process shares; 0 where it ended."""
    try:
        return sum(size for name, size in memory(pid).items() if name.startswith("Private_"))
    except OSError:
        return 0
