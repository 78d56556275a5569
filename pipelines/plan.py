"""What a run has to do: the films it was given, less what the tables already hold.

The plan is a table of its own (`plan/<pipeline>.parquet`): the id and the etag of every film the output
folder was ever made from, and the settings it was made with. The next run compares: a film whose bytes
changed is done again, and settings that would make different rows are refused, not mixed into one table.

Pipelines that share a folder share its `films`. So a film's row there goes by its own etag, not by the plan
of whoever asks; it is read where the plans of the folder don't all know the film as it is now.

A pipeline that reads tables in place of films (no stage `films`) plans with the stamps of their rows for
etags, and is named `tables/...`, which keeps its plan from the others.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from cinescribe import storage, tables
from cinescribe.errors import UsageError
from cinescribe.media.library import FilmRef
from cinescribe.search.lock import writer_lock

SHARED = "films"  # the stage, and its table, that all pipelines begin with
Key = TypeVar("Key", str, tuple[str, int])  # of a film, or of a chunk of it


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of work: a film or a chunk of it, and the stages it still needs, in order."""

    film: FilmRef
    todo: tuple[str, ...]
    chunk: int | None = None


@dataclass(frozen=True, slots=True)
class Standing(Generic[Key]):
    """Where one stage stands: keys of the units it has to do, that have their row, and that failed."""

    planned: frozenset[Key]
    done: frozenset[Key]
    failed: frozenset[Key]

    @property
    def missing(self) -> frozenset[Key]:
        """Planned, and neither done nor failed."""
        return self.planned - self.done - self.failed


def address(out: str, pipeline: str) -> str:
    """Where the plan of a pipeline is."""
    return storage.join(out, "plan", f"{pipeline}.parquet")


def make_plan(
    out: str,
    pipeline: str,
    films: Sequence[FilmRef],
    stages: Sequence[str],
    *,
    settings: Mapping[str, object],
    files_of: Callable[[str], Iterable[str]] = lambda _: (),
    chunk_tables: Sequence[str] = (),
    settings_grow: bool = False,
    retry_failed: bool = False,
) -> list[Unit]:
    """Compare the films with what is there, take back what no longer holds, and write the plan.

    Args:
        out: the root of the tables.
        pipeline: name of the plan.
        films: what the user asked for.
        stages: in order; each is the name of the table it writes. A film goes on to a stage when it has its
            row in the one before.
        settings: what the rows depend on besides the films.
        files_of: addresses of the files that a film has besides its rows.
        chunk_tables: tables with a row a chunk, which a film that changed must leave too.
        settings_grow: settings that `out` was made without join those it was made with.
        retry_failed: films in `errors` are tried again.

    Returns:
        The units with something to do, the largest films first so that none of them is left over at the end.

    Raises:
        UsageError: `out` was made with other settings, or a film's id belongs to another film there.
    """
    # Two runs on one folder would each write a plan without what the other one added to it. (On S3 that needs
    # writes with conditions, which not every store has.)
    with nullcontext() if storage.is_s3(out) else writer_lock(storage.join(out, "plan")):
        _join_plan(
            out,
            pipeline,
            films,
            stages,
            settings=settings,
            files_of=files_of,
            chunk_tables=chunk_tables,
            settings_grow=settings_grow,
            retry_failed=retry_failed,
        )
    return units_left(out, films, stages)


def units_left(out: str, films: Sequence[FilmRef], stages: Sequence[str]) -> list[Unit]:
    """The films that are neither done nor failed, each with the stages it still needs; largest first."""
    standings = standing(out, films, stages)
    largest_first = sorted(films, key=lambda film: (-film.bytes, film.film_id))
    return [unit for film in largest_first if (unit := Unit(film, _todo(film.film_id, standings))).todo]


def _join_plan(
    out: str,
    pipeline: str,
    films: Sequence[FilmRef],
    stages: Sequence[str],
    *,
    settings: Mapping[str, object],
    files_of: Callable[[str], Iterable[str]],
    chunk_tables: Sequence[str],
    settings_grow: bool,
    retry_failed: bool,
) -> None:
    """Take back what no longer holds, and write the plan; see `make_plan`."""
    known, made_with = _read(address(out, pipeline))
    settings = json.loads(json.dumps(dict(settings)))
    if settings_grow and made_with is not None:
        _same_settings(out, made_with, {name: settings.get(name, old) for name, old in made_with.items()})
        settings = {**made_with, **settings}
    else:
        _same_settings(out, made_with, settings)
    if SHARED in stages:
        plans = _all_plans(out)
        _same_films(out, films, plans)
        _take_back_shared(out, films, plans)
    own = [stage for stage in stages if stage != SHARED]
    for film in films:
        old = known.get(film.film_id)
        if old and old.etag != film.etag:
            # Before the new etag is written down: whoever stops us here, the next run sees the change again.
            for stage in own:
                tables.delete_row(out, stage, film.film_id)
                tables.delete_row(out, "errors", tables.error_key(stage, film.film_id))
            for table in chunk_tables:
                tables.delete_chunks(out, table, film.film_id)
                tables.delete_chunks(out, "errors", tables.error_key(table, film.film_id))
            for file in files_of(film.film_id):
                storage.delete(file)
    _clear_errors(out, films, stages, everything=retry_failed)
    known.update({film.film_id: film for film in films})
    rows = [asdict(known[film_id]) for film_id in sorted(known)]
    metadata = {"settings": json.dumps(settings, sort_keys=True)}
    storage.write_bytes(address(out, pipeline), tables.encode("plan", rows, metadata))


def settings_of(out: str, pipeline: str) -> Mapping[str, object]:
    """What the folder was made with by that pipeline; empty when it was not."""
    return _read(address(out, pipeline))[1] or {}


def films_of(out: str, pipeline: str) -> Mapping[str, FilmRef]:
    """The films, by id, as that pipeline last knew them; empty when it never ran on the folder."""
    return _read(address(out, pipeline))[0]


def standing(out: str, films: Iterable[FilmRef], stages: Sequence[str]) -> dict[str, Standing[str]]:
    """Where each stage stands on these films, from one listing of each table."""
    errors = tables.written_names(out, "errors")
    planned = frozenset(film.film_id for film in films)
    standings = {}
    for stage in stages:
        names = tables.written_names(out, stage)
        done = frozenset(film_id for film_id in planned if tables.file_name(film_id) in names)
        failed = frozenset(
            film_id for film_id in planned if tables.file_name(tables.error_key(stage, film_id)) in errors
        )
        standings[stage] = Standing(planned, done, failed - done)
        planned = done
    return standings


def _todo(film_id: str, standings: Mapping[str, Standing[str]]) -> tuple[str, ...]:
    """The stages a film still needs, up to one that it failed."""
    todo: list[str] = []
    for stage, stands in standings.items():
        if film_id in stands.failed:
            break
        if todo or film_id not in stands.done:
            todo.append(stage)
    return tuple(todo)


Plan = dict[str, FilmRef]  # by the films' ids


def _all_plans(out: str) -> list[Plan]:
    """The plans of all pipelines that ran on this folder."""
    names = (name for name in storage.list_names(storage.join(out, "plan")) if name.endswith(".parquet"))
    return [_read(address(out, name.removesuffix(".parquet")))[0] for name in sorted(names)]


def _same_films(out: str, films: Iterable[FilmRef], plans: Iterable[Plan]) -> None:
    for film in films:
        for known in plans:
            old = known.get(film.film_id, film)
            if old.etag != film.etag and old.uri != film.uri:
                raise UsageError(
                    f"{film.uri}: {out} already has another film named {film.film_id!r} ({old.uri}); "
                    "give another --out"
                )


def _take_back_shared(out: str, films: Iterable[FilmRef], plans: Sequence[Plan]) -> None:
    """Delete the rows in `films` that were made from other bytes than the films have now."""
    for film in films:
        etags = {known[film.film_id].etag for known in plans if film.film_id in known}
        if not etags or etags == {film.etag}:
            continue
        try:
            row = tables.read_row(out, SHARED, film.film_id)
            stale = row is not None and row["etag"] != film.etag
        except pa.ArrowInvalid:  # not a row at all
            stale = True
        if stale:
            tables.delete_row(out, SHARED, film.film_id)
        if film.etag not in etags:  # whoever saw these bytes before has taken back what failed with others
            tables.delete_row(out, "errors", tables.error_key(SHARED, film.film_id))


def _clear_errors(out: str, films: Iterable[FilmRef], stages: Sequence[str], *, everything: bool) -> None:
    """Delete errors of films that were done after all, and all of them when they are to be tried again."""
    errors = tables.written_names(out, "errors")
    if errors:
        for stage, stands in standing(out, films, stages).items():
            for film_id in stands.planned if everything else stands.done:
                key = tables.error_key(stage, film_id)
                if tables.file_name(key) in errors:
                    tables.delete_row(out, "errors", key)


def _read(uri: str) -> tuple[dict[str, FilmRef], dict[str, object] | None]:
    try:
        table = pq.read_table(BytesIO(storage.read_bytes(uri)))
    except FileNotFoundError:
        return {}, None
    films = [FilmRef(**row) for row in table.to_pylist()]
    return {film.film_id: film for film in films}, json.loads(table.schema.metadata[b"settings"])


def _same_settings(out: str, old: Mapping[str, object] | None, new: Mapping[str, object]) -> None:
    if old is not None and old != new:
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        differences = ", ".join(f"{name} {old.get(name)!r}, now {new.get(name)!r}" for name in names)
        raise UsageError(f"{out} was made with {differences}: use the same settings or give another --out")
