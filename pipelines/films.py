"""The stage that all pipelines begin with: what a film is, and its shots."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cinescribe import tables
from cinescribe.media.library import FilmRef
from cinescribe.media.probe import probe
from pipelines import cluster, command, plan, progress, units
from pipelines.command import Common
from pipelines.rounds import try_all
from pipelines.run import Record, follow
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


def prepare_films(
    config: Common, pipeline: str, films: Sequence[FilmRef], pending: Sequence[plan.Unit], record: Record
) -> bool:
    """Do the films stage where it is missing; False when a failure stopped the run (`strict`)."""
    before = plan.standing(config.out, films, (plan.SHARED,))[plan.SHARED]
    if config.strict and before.failed:
        return False
    if not pending:
        return True
    report = progress.Report(len(films), len(films) - len(pending), quiet=config.quiet)
    report.say(f"{len(pending)} of {len(films)} films to look at")
    job = command.job(config, pipeline)
    shares = cluster.share(cluster.machines(), len(pending), "features")
    unknown = [unit.film for unit in pending]

    def attempt(some: Sequence[plan.Unit]) -> bool:
        dataset = cluster.map_tasks(cluster.source(some), films_stage, shares.film_cpus, job=job)
        outcomes = cluster.outcomes(dataset)
        return follow(outcomes, report, record, strict=config.strict, workers=shares.workers)

    def missing() -> list[plan.Unit]:
        return plan.units_left(config.out, unknown, (plan.SHARED,))

    lost, why = try_all(pending, attempt, missing, report.say)
    follow(units.write_crashed(job, plan.SHARED, lost, why), report, record)
    return not (config.strict and report.totals.failures)
