"""What is seen of a growing cluster, twice a second: nodes, processes at work, and how far the work is."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks.autoscale_cluster import AutoscalingCluster

Sample = dict[str, Any]  # "seconds", "scene", "nodes", "processes", and what the scene tells
# How Ray names the processes of what is scaled; the prefix and what we call it.
_PROCESSES = {
    "ray::MapWorker(": "film workers",
    "ray::RayTrainWorker": "training workers",
    "ray::ServeReplica:cinescribe:Ingress": "Ingress",
    "ray::ServeReplica:cinescribe:QueryEncoder": "QueryEncoder",
    "ray::ServeReplica:cinescribe:Search": "Search",
}


class Recorder:
    """While entered, samples twice a second.

    Attributes:
        samples: in order of time.
        events: moments that something was done to the cluster: "seconds" and "what".
        scene: what is going on; told with each sample.
        tell: gives a scene's own numbers, for each sample.
    """

    def __init__(self, cluster: AutoscalingCluster) -> None:
        self.samples: list[Sample] = []
        self.events: list[dict[str, Any]] = []
        self.scene = "start"
        self.tell: Callable[[], Mapping[str, Any]] = dict
        self._cluster, self._began = cluster, time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Recorder":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        """Since the recording began."""
        return round(time.monotonic() - self._began, 1)

    def note(self, what: str) -> None:
        """Note what was done to the cluster now."""
        self.events.append({"seconds": self.seconds, "what": what})

    def wait(self, happens: Callable[[Sample], bool], seconds: float) -> bool:
        """Wait for a sample of which `happens` is true; False when none came in so many seconds."""
        end, seen = time.monotonic() + seconds, len(self.samples)
        while time.monotonic() < end:
            new = self.samples[seen:]
            seen += len(new)
            if any(happens(sample) for sample in new):
                return True
            time.sleep(0.2)
        return False

    def write(self, path: Path) -> None:
        """All of it, as JSON."""
        path.write_text(json.dumps({"events": self.events, "samples": self.samples}, indent=0))

    def _run(self) -> None:
        import ray

        while not self._over.wait(0.5):
            nodes = Counter(
                node["Labels"]["ray.io/node-group"]
                for node in ray.nodes()
                if node["Alive"] and node["Resources"].get("CPU")
            )
            sample = {"seconds": self.seconds, "scene": self.scene, "nodes": dict(nodes)}
            self.samples.append({**sample, "processes": dict(self._processes()), **self.tell()})

    def _processes(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for process in self._cluster.processes():
            with contextlib.suppress(psutil.Error):
                title = " ".join(process.cmdline())
                found.update(name for prefix, name in _PROCESSES.items() if title.startswith(prefix))
        return found


def nodes_of(sample: Sample, group: str) -> int:
    """How many nodes of the group lend something."""
    return int(sample["nodes"].get(group, 0))


def of(sample: Sample, *names: str) -> int:
    """How many processes of these names there are."""
    return sum(int(sample["processes"].get(name, 0)) for name in names)
