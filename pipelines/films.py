"""The stage that all pipelines begin with: what a film is, and its shots."""

from pathlib import Path
from typing import Any

from cinescribe import tables
from cinescribe.media.library import FilmRef
from cinescribe.media.probe import probe
from pipelines import units
from pipelines.units import Job, Passenger


def films_stage(passenger: Passenger, job: Job) -> Passenger:
    """Probe a film and find its shots."""

    def work(film: FilmRef, path: Path) -> tuple[tables.Row, dict[str, Any]]:
        from cinescribe.media.shots import find_shots

        info = probe(path)
        shots = find_shots(path) if info.width else []
        return tables.film_row(film, info, shots), {"duration": info.duration}

    # The length is not known yet; a film of 100 kB/s is watched in at most its own length.
    return units.attempt(job, "films", passenger, work, limit=passenger["bytes"] / 100_000)
