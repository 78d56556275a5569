"""One unit of work on a worker: try it, write its row, or write down why not.

A unit travels through the stages of a pipeline as one row of a Ray dataset, one row to a block. The result of
its work does not: the worker writes it into the stage's table. So nothing is lost when the driver dies, and
what flows through Ray is small.
"""

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cinescribe import storage, tables
from cinescribe.errors import MediaError, UsageError, WeightsError
from cinescribe.media.cache import FilmCache
from cinescribe.media.library import FilmRef
from pipelines.plan import Unit
from pipelines.watchdog import Watchdog

Passenger = dict[str, Any]  # a unit as a row of a Ray dataset
Work = Callable[
    [FilmRef, Path], tuple[tables.Row, Mapping[str, Any]]
]  # -> the table's row, numbers for a person

TRIES = 3  # of a unit that kills its worker


@dataclass(frozen=True, slots=True)
class Job:
    """What the workers of a run share.

    Attributes:
        out: root of the tables.
        plan: address of the plan, which a worker must be able to see.
        cache_folder, cache_bytes: node-local copies of films on S3.
        stall_seconds: how long a unit may stand still.
    """

    out: str
    plan: str
    cache_folder: str
    cache_bytes: int
    stall_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a unit left the pipeline.

    Attributes:
        film_id: the unit.
        stage, kind, message: of its failure, empty when it went well. A message without a stage is a fault of
            the whole run (weights that can't be had, an output folder the worker can't see).
        numbers: what the stages of this run tell about it.
    """

    film_id: str
    stage: str
    kind: str
    message: str
    numbers: dict[str, Any]


def board(unit: Unit) -> Passenger:
    """A unit as the row that travels."""
    return {
        **asdict(unit.film),
        "todo": ",".join(unit.todo),
        "stage": "",
        "kind": "",
        "message": "",
        "numbers": "{}",
    }


def leave(passenger: Passenger) -> Outcome:
    """What became of the unit, from the row that arrived."""
    fields = {name: passenger[name] for name in ("film_id", "stage", "kind", "message")}
    return Outcome(**fields, numbers=json.loads(passenger["numbers"]))


def attempt(job: Job, stage: str, passenger: Passenger, work: Work, limit: float) -> Passenger:
    """Do one stage of one unit and write its row into the table of that name.

    Args:
        job: of the run.
        stage: name of the stage and its table.
        passenger: the unit; one that has failed or has nothing to do here passes through.
        work: gets the film and its local path.
        limit: seconds the work may take, besides the patience of the job.
    """
    if passenger["message"] or stage not in passenger["todo"].split(","):
        return passenger
    try:
        return _attempt(job, stage, passenger, work, limit)
    except Exception as error:  # no film is at fault, so the run stops; to Ray it would be a lost film
        return {**passenger, "message": str(error) or repr(error)}


def _attempt(job: Job, stage: str, passenger: Passenger, work: Work, limit: float) -> Passenger:
    film = FilmRef(**{name: passenger[name] for name in ("film_id", "uri", "bytes", "etag")})
    key = tables.error_key(stage, film.film_id)

    def failed(kind: str, message: str) -> Passenger:
        row = tables.error_row(film.film_id, stage, kind, message)
        tables.write_row(job.out, "errors", key, row)
        return {**passenger, **row}

    def stalled(reason: str) -> None:
        failed("stalled", f"{film.uri}: {reason}; look at this film, or allow more with --stall-seconds")

    _see(job.plan)
    if (earlier := tables.read_row(job.out, "errors", key)) is not None:
        return {**passenger, **earlier}  # it stalled in the process before this one
    try:
        with (
            FilmCache(Path(job.cache_folder), job.cache_bytes).local(film.uri) as path,
            Watchdog(job.stall_seconds, job.stall_seconds + limit, stalled),
        ):
            row, numbers = work(film, path)
    except MediaError as error:
        return failed(error.kind, str(error))
    except (UsageError, WeightsError):
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return failed("unexpected", f"{film.uri}: {what} ({where}); please report it")
    tables.write_row(job.out, stage, film.film_id, row)
    tables.delete_row(job.out, "errors", key)
    return {**passenger, "numbers": json.dumps(json.loads(passenger["numbers"]) | dict(numbers))}


def write_crashed(job: Job, stage: str, films: Sequence[FilmRef]) -> list[Outcome]:
    """Record the units that never came back: each try of them killed its process."""
    outcomes = []
    for film in films:
        message = (
            f"{film.uri}: killed its process each of the {TRIES} times it was tried (a crash in a decoder, "
            "or out of memory); look at this film, or use a machine with more memory and --retry-failed"
        )
        row = tables.error_row(film.film_id, stage, "crashed", message)
        tables.write_row(job.out, "errors", tables.error_key(stage, film.film_id), row)
        outcomes.append(Outcome(**row, numbers={}))
    return outcomes


@lru_cache(maxsize=1)
def _see(plan: str) -> None:
    """A worker that does not see the driver's files must not blame the films or write where no one looks."""
    if not storage.exists(plan):
        import platform

        raise UsageError(
            f"{plan}: not to be seen from {platform.node()}; with several machines give an --out that all of "
            "them share (s3:// or a network folder)"
        )
