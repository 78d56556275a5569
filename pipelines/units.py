"""One unit of work on a worker: try it, write its row, or write down why not.

A unit travels through the stages of a pipeline as one row of a Ray dataset, one row to a block. The result of
its work does not: the worker writes it into the stage's table. So nothing is lost when the driver dies, and
what flows through Ray is small.
"""

import json
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from cinescribe import storage, tables
from cinescribe.errors import CinescribeError, MediaError, UsageError, WeightsError
from cinescribe.media.cache import FilmCache
from cinescribe.media.library import FilmRef
from pipelines.plan import Unit
from pipelines.watchdog import Watchdog

Passenger = dict[str, Any]  # a unit as a row of a Ray dataset
Numbers = Mapping[str, Any]  # for a person
Work = Callable[[FilmRef, Path], tuple[tables.Row, Numbers]]  # -> the table's row
# gets the stages too -> of each its row, or why there is none, as soon as that is known
ManyWork = Callable[[FilmRef, Path, Sequence[str]], Iterable[tuple[str, tables.Row | Exception, Numbers]]]
Made = TypeVar("Made")

TRIES = 3  # of a unit that kills its worker
KILLED = (
    f"killed its process each of the {TRIES} times it was tried (a crash in a decoder, or out of memory); "
    "look at this film, or use a machine with more memory and --retry-failed"
)


@dataclass(frozen=True, slots=True)
class Job:
    """What the workers of a run share.

    Attributes:
        out: root of the tables.
        plan: address of the plan, which a worker must be able to see.
        cache_folder, cache_bytes: node-local copies of films on S3.
        stall_seconds: how long a unit may stand still.
        films: whether the work reads the films themselves, or else tables alone.
    """

    out: str
    plan: str
    cache_folder: str
    cache_bytes: int
    stall_seconds: float
    films: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a unit left the pipeline.

    Attributes:
        film_id, chunk: the unit; a whole film has no chunk.
        stage, kind, message: of its failure, empty when it went well. A message without a stage is a fault of
            the whole run (weights that can't be had, an output folder the worker can't see).
        numbers: what the stages of this run tell about it. "stages": of each that was tried its name, the
            kind of its failure or "", and the seconds it took.
    """

    film_id: str
    chunk: int | None
    stage: str
    kind: str
    message: str
    numbers: dict[str, Any]


def board(unit: Unit) -> Passenger:
    """A unit as the row that travels."""
    return {
        **asdict(unit.film),
        "chunk": -1 if unit.chunk is None else unit.chunk,
        "todo": ",".join(unit.todo),
        "stage": "",
        "kind": "",
        "message": "",
        "numbers": "{}",
    }


def leave(passenger: Passenger) -> Outcome:
    """What became of the unit, from the row that arrived."""
    fields = {name: passenger[name] for name in ("film_id", "stage", "kind", "message")}
    return Outcome(**fields, chunk=_chunk(passenger), numbers=json.loads(passenger["numbers"]))


def _chunk(passenger: Passenger) -> int | None:
    return None if passenger["chunk"] < 0 else int(passenger["chunk"])


def made(make: Callable[[], Made]) -> tuple[Made | None, str]:
    """What a worker is made of, or why it can't be made: told with its first unit, for Ray buries that."""
    try:
        return make(), ""
    except Exception as error:
        return None, str(error) if isinstance(error, CinescribeError) else repr(error)


def attempt(job: Job, stage: str, passenger: Passenger, work: Work, limit: float) -> Passenger:
    """Do one stage of one unit and write its row into the table of that name.

    Args:
        job: of the run.
        stage: name of the stage and its table.
        passenger: the unit; one that has failed or has nothing to do here passes through.
        work: gets the film and its local path.
        limit: seconds the work may take, besides the patience of the job.
    """
    if stage not in passenger["todo"].split(","):
        return passenger

    def one(film: FilmRef, path: Path, _: Sequence[str]) -> list[tuple[str, tables.Row, Numbers]]:
        return [(stage, *work(film, path))]

    return attempt_many(job, (stage,), passenger, one, limit)


def attempt_many(
    job: Job,
    stages: Sequence[str],
    passenger: Passenger,
    work: ManyWork,
    limit: float,
    running: Callable[[], str] = str,
) -> Passenger:
    """Do several stages of one unit at once; each has its row, or its error, as if it were alone.

    Args:
        job, passenger, limit: as of `attempt`.
        stages: to do.
        work: gives of each stage its row.
        running: the stage that is computed at this moment, "" when it may be any: it is to blame for a stall.
    """
    if passenger["message"]:
        return passenger
    try:
        return _attempt(job, stages, passenger, work, limit, running)
    except Exception as error:  # no film is at fault, so the run stops; to Ray it would be a lost film
        return {**passenger, "message": str(error) or repr(error)}


def _attempt(
    job: Job,
    stages: Sequence[str],
    passenger: Passenger,
    work: ManyWork,
    limit: float,
    running: Callable[[], str],
) -> Passenger:
    film = FilmRef(**{name: passenger[name] for name in ("film_id", "uri", "bytes", "etag")})
    chunk = _chunk(passenger)
    keys = {stage: tables.error_key(stage, film.film_id) for stage in stages}
    told = json.loads(passenger["numbers"])
    failure: tables.Row = {}
    left: list[str] = []  # stages whose end is not known yet
    ended: dict[str, str] = {}  # those whose end is: the kind of the failure, or ""
    began = time.perf_counter()

    def failed(stage: str, kind: str, message: str) -> None:
        nonlocal failure
        ended[stage] = kind
        failure = tables.error_row(film.film_id, stage, kind, message)
        tables.write_row(job.out, "errors", keys[stage], failure, chunk)

    def stalled(reason: str) -> None:
        message = f"{film.uri}: {reason}; look at this film, or allow more with --stall-seconds"
        for stage in [running()] if running() in left else left:
            failed(stage, "stalled", message)

    _see(job.plan)
    for stage in stages:
        earlier = tables.read_row(job.out, "errors", keys[stage], chunk)
        if earlier is None:
            left.append(stage)
        else:
            failure = earlier  # it stalled in the process before this one
            ended[stage] = earlier["kind"]
    cache = FilmCache(Path(job.cache_folder), job.cache_bytes)
    try:
        with (
            cache.local(film.uri) if job.films else nullcontext(Path(film.uri)) as path,
            Watchdog(job.stall_seconds, job.stall_seconds + limit, stalled),
        ):
            for stage, result, numbers in work(film, path, tuple(left)) if left else ():
                if isinstance(result, Exception):
                    failed(stage, *_reason(film, result))
                else:
                    tables.write_row(job.out, stage, film.film_id, result, chunk)
                    tables.delete_row(job.out, "errors", keys[stage], chunk)
                    told |= dict(numbers)
                    ended[stage] = ""
                left.remove(stage)
    except (UsageError, WeightsError):
        raise
    except Exception as error:
        for stage in left:
            failed(stage, *_reason(film, error))
    # Encoders that share a chunk share its decoding too: nobody can tell whose the seconds were.
    seconds = round((time.perf_counter() - began) / max(1, len(ended)), 3)
    told["stages"] = told.get("stages", []) + [
        {"stage": stage, "kind": kind, "seconds": seconds} for stage, kind in ended.items()
    ]
    if storage.is_s3(film.uri) and job.films:
        told["cache_misses"] = told.get("cache_misses", 0) + cache.fetched
        told["cache_hits"] = told.get("cache_hits", 0) + (0 if cache.fetched else 1)
    return {**passenger, **failure, "numbers": json.dumps(told)}


def _reason(film: FilmRef, error: Exception) -> tuple[str, str]:
    """Kind and message of a failure."""
    if isinstance(error, MediaError):
        return error.kind, str(error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    # torch's own, on a GPU and on a CPU
    if isinstance(error, MemoryError) or "OutOfMemoryError" in what or "can't allocate memory" in what:
        return "crashed", (
            f"{film.uri}: needs more memory than there was ({what}); use fewer --workers, or a machine with "
            "more memory, and --retry-failed"
        )
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return "unexpected", f"{film.uri}: {what} ({where}); please report it"


def write_crashed(job: Job, stage: str, lost: Iterable[Unit], why: str) -> list[Outcome]:
    """Record the units that never came back, and why they are given up."""
    outcomes = []
    for unit in lost:
        film = unit.film
        row = tables.error_row(film.film_id, stage, "crashed", f"{film.uri}: {why}")
        tables.write_row(job.out, "errors", tables.error_key(stage, film.film_id), row, unit.chunk)
        outcomes.append(Outcome(**row, chunk=unit.chunk, numbers={}))
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
