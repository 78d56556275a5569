"""CPU seconds and memory of all processes of a run, found by a mark in their environment or by parents."""

import os
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
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
        while not self._ended.wait(0.5):
            together = 0
            for pid in parents():
                try:
                    if self._mark.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                        self._used[pid] = cpu_seconds(pid)
                        together += memory(pid).get("Pss", 0)
                except OSError:  # it ended while we looked, or is not ours to see
                    continue
            self.peak_bytes = max(self.peak_bytes, together)


@dataclass(slots=True)
class Process:
    """One process of a run: its memory in bytes, its CPU time.

    Attributes:
        pid: its number.
        cpu_seconds: that it had used when it was last seen.
        names: what it called itself, and at how many samples: Ray's workers say what they work at.
        samples: of each its time in seconds, what was done of the run, PSS (its pages, those that several
            share divided among them), RSS (all its pages) and those that are its own and of no file.
    """

    pid: int
    cpu_seconds: float = 0.0
    names: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[float, float, int, int, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it did for the longest, besides waiting."""
        busy = {name: count for name, count in self.names.items() if name != "ray::IDLE"}
        return max(busy, key=lambda name: busy[name]) if busy else "ray::IDLE"


def sample_tree(
    root: int, done: Callable[[], float], ended: Callable[[], bool], every: float = 1.0
) -> dict[int, Process]:
    """The memory of a process and all that come from it, until it ends.

    Args:
        root: pid of the process.
        done: how much of the run is done by now.
        ended: whether the process has ended.
        every: seconds between two looks.
    """
    processes: dict[int, Process] = {}
    began = time.monotonic()
    while not ended():
        now, so_far = time.monotonic() - began, done()
        for pid in _family(root, processes):
            try:
                used, sizes, name = cpu_seconds(pid), memory(pid), _name(pid, root)
            except OSError:  # it ended while we looked
                continue
            if sizes:
                process = processes.setdefault(pid, Process(pid))
                process.names[name] += 1
                process.cpu_seconds = used
                process.samples.append((now, so_far, sizes["Pss"], sizes["Rss"], sizes["Anonymous"]))
        time.sleep(max(0.0, every - (time.monotonic() - began - now)))
    return processes


def _family(root: int, known: dict[int, Process]) -> set[int]:
    """A process and all that come from it; one that is known stays so when its parent has ended."""
    parent_of = parents()
    family = ({root} | known.keys()) & parent_of.keys()
    while more := {pid for pid, parent in parent_of.items() if parent in family} - family:
        family |= more
    return family


def _name(pid: int, root: int) -> str:
    """What a process is, in a word or two."""
    if pid == root:
        return "driver"
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    line = b" ".join(words).decode(errors="replace").strip()
    if line.startswith("ray::"):
        return line
    program = Path(words[0].decode(errors="replace")).name
    script = re.search(r"([\w.]+)\.py\b", line)
    return script[1] if program.startswith("python") and script else program


def parents() -> dict[int, int]:
    """Of every process that there is, which one started it."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):  # it ended while we looked
                found[int(name)] = int(_stat(int(name))[1])
    return found


def cpu_seconds(pid: int) -> float:
    """That a process used until now; OSError where it has ended."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict[str, int]:
    """Bytes of a process by the names that the kernel has for them; {} or OSError where it has ended."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, _ in fields}


def _stat(pid: int) -> list[str]:
    """What the kernel tells of a process, from its state on; its name, which may hold anything, is before."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
