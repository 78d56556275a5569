"""What a run tells Prometheus, through Ray: beside Ray's own metrics, with `ray_` before each name.

The driver counts, for it hears of every film, also of one that killed its worker. Ray's agent on the driver's
machine serves the numbers with all others of that machine. A pipeline that works without Ray has nobody who
serves them, so there nothing is counted; the log and `runs/` tell the same.
"""

import sys
import threading
from types import TracebackType
from typing import Any, Literal, NamedTuple

_BEAT = 5.0  # seconds; Ray forgets a gauge that was not set since it last looked, every ten


class Kind(NamedTuple):
    """Of a metric: its type, what it counts, its labels."""

    type: Literal["counter", "gauge"]
    counts: str
    labels: tuple[str, ...]


METRICS = {
    "cinescribe_films_total": Kind(
        "counter", "films that a stage has done or given up", ("pipeline", "stage", "outcome")
    ),
    "cinescribe_chunks_total": Kind(
        "counter", "chunks of films that a stage has done or given up", ("pipeline", "stage", "outcome")
    ),
    "cinescribe_video_seconds_total": Kind(
        "counter", "seconds of film that a stage has done", ("pipeline", "stage")
    ),
    "cinescribe_stage_busy_seconds_total": Kind(
        "counter", "seconds that workers spent in a stage, by their clocks", ("pipeline", "stage")
    ),
    "cinescribe_errors_total": Kind(
        "counter", "films or chunks that failed", ("pipeline", "stage", "kind")
    ),
    "cinescribe_cache_hits_total": Kind("counter", "films on S3 found on the machine", ("pipeline",)),
    "cinescribe_cache_misses_total": Kind("counter", "films fetched from S3", ("pipeline",)),
    "cinescribe_cues_total": Kind(
        "counter", "sentences of descriptions, placed or left out", ("pipeline", "outcome")
    ),
    "cinescribe_queue_units": Kind("gauge", "films or chunks that wait or are worked on", ("pipeline",)),
    "cinescribe_workers": Kind("gauge", "processes that hold the models", ("pipeline",)),
}  # fmt: skip


class Metrics:
    """The metrics of one run. While entered, its gauges are there."""

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._made: dict[str, Any] = {}
        self._gauges: dict[str, float] = {}
        self._ended = threading.Event()

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        if amount > 0 and (metric := self._metric(name)):
            metric.inc(amount, tags={"pipeline": self._pipeline, **labels})

    def show(self, name: str, value: float) -> None:
        """Set a gauge, for as long as this is entered."""
        self._gauges[name] = value
        if metric := self._metric(name):
            metric.set(value, tags={"pipeline": self._pipeline})

    def __enter__(self) -> "Metrics":
        self._ended = threading.Event()
        threading.Thread(target=self._beat, args=(self._ended,), name="metrics", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(_BEAT):
            for name, value in dict(self._gauges).items():
                self.show(name, value)

    def _metric(self, name: str) -> Any:
        """Ray's metric of that name; None where Ray does not run."""
        ray = sys.modules.get("ray")  # where nobody imported it, it does not run
        if ray is None or not ray.is_initialized():
            return None
        if name not in self._made:
            from ray.util import metrics

            known = METRICS[name]
            make = metrics.Counter if known.type == "counter" else metrics.Gauge
            self._made[name] = make(name, description=known.counts, tag_keys=known.labels)
        return self._made[name]
