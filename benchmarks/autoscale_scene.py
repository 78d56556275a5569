"""What a scene of the autoscaling benchmark tells at its end."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.autoscale_cluster import AutoscalingCluster
from benchmarks.autoscale_watch import Recorder, Sample, nodes_of

_GONE_SECONDS = 120.0  # long for nodes that go after some seconds without work


@dataclass(slots=True)
class Result:
    """Of one scene.

    Attributes:
        name: of the scene.
        rows: what was measured: a name and a number in words.
        broken: promises that were not kept.
    """

    name: str
    rows: list[tuple[str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def promise(self, kept: bool, what: str) -> None:
        """Note `what` when it was not kept."""
        if not kept:
            self.broken.append(f"{self.name}: {what}")

    def __str__(self) -> str:
        lines = [f"| {self.name} | |", "|---|---|", *(f"| {name} | {text} |" for name, text in self.rows)]
        return "\n".join([*lines, ""])


def start(cluster: AutoscalingCluster, arguments: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """A command of Python's on the cluster, as a process whose words go to a file."""
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-u", *arguments],
            env=cluster.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def first(samples: Sequence[Sample], since: float, seen: "object") -> float | None:
    """Seconds after `since` of the first sample of which `seen` is true."""
    assert callable(seen)
    return next((round(s["seconds"] - since, 1) for s in samples if s["seconds"] >= since and seen(s)), None)


def told(seconds: float | None) -> str:
    """Seconds in words."""
    return "never" if seconds is None else f"{seconds:.0f} s"


def until_gone(recorder: Recorder, result: Result, group: str, since: float, what: str) -> None:
    """Wait until the group is at 0 again, as it must be, and tell how long that took."""
    gone = recorder.wait(lambda sample: not nodes_of(sample, group), _GONE_SECONDS)
    result.promise(gone, f"nodes were there {_GONE_SECONDS:.0f} s after {what}")
    result.rows.append(
        (f"{what}, until all nodes were gone", told(recorder.seconds - since if gone else None))
    )
