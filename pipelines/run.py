"""A run from its start to its count: the record of it, what became of each unit, the exit code."""

import json
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cinescribe import __version__, storage, tables
from cinescribe.errors import CinescribeError
from cinescribe.media.library import FilmRef
from pipelines import progress
from pipelines.command import Common
from pipelines.events import Events
from pipelines.plan import Standing
from pipelines.units import Outcome


class Record:
    """What the run was made with, as `runs/<time>.json`; written at its start and completed at its end."""

    def __init__(self, config: Common, pipeline: str, planned: int, pending: int) -> None:
        run_id = new_run_id()
        self.uri = storage.join(config.out, "runs", f"{run_id}.json")
        self.events = Events(pipeline, run_id, config.log)
        self.events.begin(planned, pending)
        self.weights: dict[str, Any] = {}
        self.content: dict[str, object] = {
            "cinescribe": __version__,
            "pipeline": pipeline,
            "python": platform.python_version(),
            "settings": asdict(config),
            "films": planned,
            "to_do": pending,
        }
        self.write({})

    def write(self, counts: Mapping[str, object]) -> None:
        """Write what is known."""
        content = {**self.content, "weights": self.weights, "stages": counts}
        storage.write_bytes(self.uri, json.dumps(content, indent=2, ensure_ascii=False).encode())


def new_run_id() -> str:
    """The time, and this process."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"


def follow(
    outcomes: Iterable[Outcome],
    report: progress.Report,
    record: Record,
    *,
    strict: bool = False,
    workers: int = 0,
) -> bool:
    """Tell what becomes of each unit as it arrives; False when a failure stopped the run (`strict`).

    Args:
        outcomes: as they arrive.
        report, record: of the run.
        strict: stop at the first failure.
        workers: processes that hold the models; 0: none beside this one.

    Raises:
        CinescribeError: a fault of the whole run, not of a film.
    """
    events = record.events
    with report, events.metrics as metrics:
        if workers:
            metrics.show("cinescribe_workers", workers)
        metrics.show("cinescribe_queue_units", report.waiting)
        for outcome in outcomes:
            if outcome.message and not outcome.stage:
                raise CinescribeError(outcome.message)
            record.weights.update(outcome.numbers.get("weights", {}))
            report.unit(outcome)
            events.unit(outcome)
            metrics.show("cinescribe_queue_units", report.waiting)
            if strict and outcome.message:
                return False
    return True


def finish(
    config: Common,
    films: Sequence[FilmRef],
    standings: Mapping[str, Standing[Any]],
    report: progress.Report,
    record: Record,
    *,
    rows: Sequence[tuple[str, str]],
    places: Iterable[tuple[str, str]],
) -> int:
    """Count, tell, and give the exit code.

    Args:
        config, films: of the run.
        standings: of each stage at its end, by the films or by their chunks.
        report, record: of the run.
        rows: what it did, for the table at the end.
        places: where things are, for that table.
    """
    failed = {_film(unit) for stands in standings.values() for unit in stands.failed}
    missing = sum(len(stands.missing) for stands in standings.values())
    if failed:
        known = [
            row
            for row in tables.read_table(config.out, "errors").to_pylist()
            if row["film_id"] in failed and row["stage"] in standings
        ]
        progress.failures(report.console, known)
    counts = {
        stage: {"planned": len(s.planned), "done": len(s.done), "failed": len(s.failed)}
        for stage, s in standings.items()
    }
    lines = [
        (stage, f"{n['planned']} planned = {n['done']} done + {n['failed']} failed")
        for stage, n in counts.items()
    ]
    if missing:
        lines.append(("not tried", str(missing)))
    tables_here = ("tables", f"{config.out} ({', '.join(standings)}, errors)")
    report.summary(rows, [*lines, *places, tables_here])
    record.write(counts)
    record.events.end(counts)
    if config.strict and failed:
        progress.complain(f"{len(failed)} of {len(films)} films failed, and --strict was given")
        return 1
    if missing:
        progress.complain(f"{missing} {report.noun} are neither done nor failed; run the same command again")
        return 1
    return 0


def _film(unit: Any) -> str:
    return str(unit[0] if isinstance(unit, tuple) else unit)
