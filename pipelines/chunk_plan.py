"""What an extraction has to do: the chunks of the films, and of each the encoders that still miss it.

The plan is written as `plan/extract/chunks.parquet`, a row a chunk. Each run makes it anew, from the films'
durations and from what has its row: lengths and rates are the same on one folder, so the chunks are too.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cinescribe import storage, tables
from cinescribe.encoders.chunks import chunks, features_in
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import MediaErrorKind
from cinescribe.media.library import FilmRef
from pipelines.plan import Standing, Unit

ChunkKey = tuple[str, int]  # film, number of the chunk
CHUNK_SECONDS = 60.0  # of a chunk, unless a run says else


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """The chunks of a run.

    Attributes:
        units: those with something to do, the largest films first.
        standings: by the encoder's stage `features/<name>`. A film that an encoder can't do counts as one
            chunk, number -1, that failed.
        durations: of the films, seconds.
        length: of the chunks, seconds.
    """

    units: list[Unit]
    standings: dict[str, Standing[ChunkKey]]
    durations: dict[str, float]
    length: float

    def seconds(self, key: ChunkKey) -> float:
        """How much film a chunk is."""
        return max(0.0, min(self.length, self.durations[key[0]] - key[1] * self.length))


def make_chunk_plan(
    out: str,
    films: Iterable[FilmRef],
    specs: Mapping[str, EncoderSpec],
    length: float,
    *,
    retry_failed: bool = False,
) -> ChunkPlan:
    """Compare the chunks of the films with what is there; films without their row in `films` are left out.

    Films that an encoder can't do at all, being too short or without picture or sound, get their row in
    `errors` here.

    Args:
        out: the root of the tables.
        films: of the run.
        specs: of the encoders, by name.
        length: of a chunk, seconds.
        retry_failed: chunks in `errors` are tried again.
    """
    films = sorted(films, key=lambda film: (-film.bytes, film.film_id))
    rows = _film_rows(out, films)
    errors = tables.written_names(out, "errors")
    todo: dict[ChunkKey, list[str]] = {}
    standings = {}
    for name, spec in specs.items():
        stage = tables.FEATURES + name
        there = tables.written_names(out, stage)
        planned: set[ChunkKey] = set()
        done: set[ChunkKey] = set()
        failed: set[ChunkKey] = set()
        for film in films:
            if (row := rows.get(film.film_id)) is None:
                continue
            error = tables.error_key(stage, film.film_id)
            if (fault := _fault(film, row, name, spec)) is not None:
                planned.add((film.film_id, -1))
                failed.add((film.film_id, -1))
                if tables.file_name(error) not in errors:
                    tables.write_row(out, "errors", error, tables.error_row(film.film_id, stage, *fault))
                continue
            for chunk in chunks(row["duration"], length):
                if not features_in(spec, chunk.number, length, row["duration"]):
                    continue
                key = film.film_id, chunk.number
                planned.add(key)
                has_failed = tables.file_name(error, chunk.number) in errors
                is_done = tables.file_name(film.film_id, chunk.number) in there
                if has_failed and (is_done or retry_failed):
                    tables.delete_row(out, "errors", error, chunk.number)
                if is_done:
                    done.add(key)
                elif has_failed and not retry_failed:
                    failed.add(key)
                else:
                    todo.setdefault(key, []).append(stage)
        standings[stage] = Standing(frozenset(planned), frozenset(done), frozenset(failed))
    by_id = {film.film_id: (place, film) for place, film in enumerate(films)}
    in_order = sorted(todo, key=lambda key: (by_id[key[0]][0], key[1]))
    durations = {film_id: row["duration"] for film_id, row in rows.items()}
    units = [Unit(by_id[key[0]][1], tuple(todo[key]), key[1]) for key in in_order]
    return ChunkPlan(units, standings, durations, length)


def write(out: str, plan: ChunkPlan) -> None:
    """Write the plan down: the chunks to do, each with its stages."""
    rows: list[tables.Row] = [
        {
            "film_id": unit.film.film_id,
            "etag": unit.film.etag,
            "chunk": unit.chunk,
            "stages": list(unit.todo),
        }
        for unit in plan.units
    ]
    storage.write_bytes(storage.join(out, "plan", "extract", "chunks.parquet"), tables.encode("chunks", rows))


def _fault(film: FilmRef, row: tables.Row, name: str, spec: EncoderSpec) -> tuple[MediaErrorKind, str] | None:
    """Why an encoder can't do a film, None when it can."""
    if spec.offsets and not row["width"]:
        return "no-video", f"{film.uri}: holds sound only. {name} needs a film with a picture."
    if not spec.offsets and not row["audio_rate"]:
        return "no-audio", f"{film.uri}: has no sound. {name} needs a film with an audio stream."
    if not spec.count(row["duration"]):
        return (
            "too-short",
            f"{film.uri}: lasts {row['duration']:.2f} s; {name} needs {spec.reach:.2f} s for one feature.",
        )
    return None


def _film_rows(out: str, films: Sequence[FilmRef]) -> dict[str, tables.Row]:
    names = tables.written_names(out, "films")
    ids = [film.film_id for film in films if tables.file_name(film.film_id) in names]
    with ThreadPoolExecutor(16) as pool:
        rows = pool.map(lambda film_id: tables.read_row(out, "films", film_id), ids)
        return {film_id: row for film_id, row in zip(ids, rows, strict=True) if row is not None}
