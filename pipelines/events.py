"""What happens in a run, told to programs: to Prometheus (`pipelines.metrics`) and to the log.

A line of the log is an event: `run` at the start and `run-end`, `stage` for each stage of each film or chunk,
done or failed, and `run-failed` for what ended the command and is no film's fault (`pipelines.command`). All
have the pipeline's name and, once a run has begun, its id.
"""

import time
from collections.abc import Mapping

from cinescribe import log
from pipelines.metrics import Metrics
from pipelines.units import Outcome


class Events:
    """Of one run.

    Args:
        pipeline: its name.
        run_id: the name of its file in `runs/`.
        path: of the log; "": none.
    """

    def __init__(self, pipeline: str, run_id: str, path: str) -> None:
        if path:
            log.open_log(path, run_id=run_id, pipeline=pipeline)
        self._log = bool(path)
        self.metrics = Metrics(pipeline)
        self._began = time.monotonic()

    def begin(self, films: int, waiting: int) -> None:
        """The run knows what it has to do: of its films so many."""
        self._line("run", films=films, waiting=waiting)

    def unit(self, outcome: Outcome) -> None:
        """A film or a chunk left the pipeline."""
        numbers = outcome.numbers
        ends: list[dict[str, object]] = list(numbers.get("stages", ()))
        if outcome.message and not any(end["stage"] == outcome.stage and end["kind"] for end in ends):
            ends.append({"stage": outcome.stage, "kind": outcome.kind, "seconds": 0.0})  # a process killed
        for end in ends:
            self._stage(outcome, str(end["stage"]), str(end["kind"]), float(str(end["seconds"])))
        for where in ("hits", "misses"):
            self.metrics.count(f"cinescribe_cache_{where}_total", numbers.get(f"cache_{where}", 0))
        placed = numbers.get("cues", 0)
        self.metrics.count("cinescribe_cues_total", placed, outcome="placed")
        if "cues" in numbers:
            left = numbers["sentences"] - placed
            self.metrics.count("cinescribe_cues_total", left, outcome="left_out")

    def end(self, stages: Mapping[str, Mapping[str, int]]) -> None:
        """The run is over, with so many planned, done and failed by stage."""
        self._line("run-end", stages=stages, seconds=round(time.monotonic() - self._began, 3))

    def _stage(self, outcome: Outcome, stage: str, kind: str, seconds: float) -> None:
        what = "films" if outcome.chunk is None else "chunks"
        became = "failed" if kind else "done"
        duration = outcome.numbers.get("duration", 0.0)
        metrics = self.metrics
        metrics.count(f"cinescribe_{what}_total", stage=stage, outcome=became)
        metrics.count("cinescribe_stage_busy_seconds_total", seconds, stage=stage)
        if kind:
            metrics.count("cinescribe_errors_total", stage=stage, kind=kind)
        else:
            metrics.count("cinescribe_video_seconds_total", duration, stage=stage)
        chunk = {} if outcome.chunk is None else {"chunk": outcome.chunk}
        why = {"message": outcome.message} if kind and stage == outcome.stage else {}
        self._line(
            "stage", film_id=outcome.film_id, **chunk, stage=stage, outcome=became, kind=kind,
            seconds=seconds, video_seconds=duration, **why,
        )  # fmt: skip

    def _line(self, event: str, **facts: object) -> None:
        if self._log:
            log.line(event, **facts)
