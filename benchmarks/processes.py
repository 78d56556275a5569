"""CPU seconds and memory of all processes of a run, found by a mark in their environment."""

import os
import uuid
from pathlib import Path
from threading import Event, Thread
from types import TracebackType


class Watched:
    """While entered, samples the processes started with `environment`, twice a second.

    Attributes:
        environment: to start the run's processes with; what they start has it too.
        peak_bytes: the largest sum of their memory seen, pages that several share counted once.
    """

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        self.environment = os.environ | {"CINESCRIBE_BENCHMARK_RUN": self._mark}
        self.peak_bytes = 0
        self._used: dict[int, float] = {}
        self._ended = Event()
        self._sampler = Thread(target=self._sample, daemon=True)

    @property
    def cpu_seconds(self) -> float:
        """Of all of them, those that ended included."""
        return sum(self._used.values())

    def __enter__(self) -> "Watched":
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._sampler.join()

    def _sample(self) -> None:
        tick = os.sysconf("SC_CLK_TCK")
        while not self._ended.wait(0.5):
            together = 0
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    if self._mark.encode() in (folder / "environ").read_bytes():
                        fields = (folder / "stat").read_text().rpartition(")")[2].split()
                        self._used[int(folder.name)] = (int(fields[11]) + int(fields[12])) / tick
                        together += _memory(folder)
                except OSError:  # it ended while we looked, or is not ours to see
                    continue
            self.peak_bytes = max(self.peak_bytes, together)


def _memory(folder: Path) -> int:
    for line in (folder / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
