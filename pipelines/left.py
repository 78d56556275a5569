"""How long films are, and what the pipelines still have to do of them: seconds of film by stage."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from cinescribe import storage, tables
from cinescribe.errors import MediaError
from cinescribe.media.cache import FilmCache
from cinescribe.media.library import FilmRef, list_films
from cinescribe.media.probe import probe
from pipelines import command, plan

_SAMPLE = 3  # films on S3 that are fetched to learn how many bytes a second has
_THREADS = 4  # probe reads all of a file's packets: it waits for the disk


@dataclass(frozen=True, slots=True)
class Measured:
    """A film and its length.

    Attributes:
        film: as listed.
        seconds: it lasts.
        pixels: a second of its picture has; 0 without one.
        guessed: by its size, from others.
    """

    film: FilmRef
    seconds: float
    pixels: float
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What a pipeline has to do.

    Attributes:
        pipeline: its name.
        films: films that it has something to do of.
        units: films, or chunks of them.
        hours: of film; a film that two stages need counts once.
        seconds: of film, by stage.
        longest: the same of the longest unit, which no two workers share.
        seen: the stages that look at the picture.
        pixels: a second of these films has, on average.
    """

    pipeline: str
    films: int
    units: int
    hours: float
    seconds: Mapping[str, float]
    longest: Mapping[str, float]
    seen: frozenset[str]
    pixels: float


def measure_films(inputs: Sequence[str], out: str) -> tuple[list[Measured], list[str]]:
    """The films with their lengths, and the messages of those that can't be read.

    Raises:
        UsageError: an input matches nothing (see `list_films`).
    """
    films = list_films(inputs)
    known = _known(out, films)
    unknown = [film for film in films if film.film_id not in known]
    remote = [film for film in unknown if storage.is_s3(film.uri)]
    here = [film for film in unknown if not storage.is_s3(film.uri)]
    # The middle ones by size: what lies at the ends is often a trailer, or damaged.
    by_size = sorted(remote, key=lambda film: film.bytes)
    first = max(0, (len(by_size) - _SAMPLE) // 2)
    sample = by_size[first : first + _SAMPLE]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip((f.film_id for f in here + sample), pool.map(_look, here + sample), strict=True))
    known |= {film_id: told for film_id, told in found.items() if not isinstance(told, str)}
    faults = [told for told in found.values() if isinstance(told, str)]
    rest = [film for film in remote if film.film_id not in found]
    of_s3 = [film for film in films if film.film_id in known and storage.is_s3(film.uri)]
    bytes_, seconds = sum(film.bytes for film in of_s3), sum(known[film.film_id][0] for film in of_s3)
    pixels = sum(known[film.film_id][1] for film in of_s3) / max(1, len(of_s3))
    measured = [Measured(film, *known[film.film_id]) for film in films if film.film_id in known]
    if rest and not (bytes_ and seconds):
        faults += [
            f"{film.uri}: its length is not known, for none of the films looked at is one" for film in rest
        ]
    else:
        measured += [Measured(film, film.bytes * seconds / bytes_, pixels, guessed=True) for film in rest]
    return sorted(measured, key=lambda one: one.film.film_id), faults


def films_on_paper(count: int, hours: float) -> list[Measured]:
    """Films that nobody has listed yet, all of one length; of their picture nothing is known (0 pixels)."""
    seconds = hours * 3600 / count
    refs = (FilmRef(f"{number:06}", "", 0, "") for number in range(count))
    return [Measured(film, seconds, 0.0) for film in refs]


def _known(out: str, films: Iterable[FilmRef]) -> dict[str, tuple[float, float]]:
    """Seconds, and pixels a second, of the films that were looked at before and are as they were."""
    if not out:
        return {}
    names = tables.written_names(out, plan.SHARED)
    there = [film for film in films if tables.file_name(film.film_id) in names]
    with ThreadPoolExecutor(16) as pool:
        rows = pool.map(lambda film: tables.read_row(out, plan.SHARED, film.film_id), there)
        return {
            film.film_id: (row["duration"], row["width"] * row["height"] * row["fps"])
            for film, row in zip(there, rows, strict=True)
            if row and row["etag"] == film.etag
        }


def _look(film: FilmRef) -> tuple[float, float] | str:
    """Seconds, and pixels a second, of a film; or why nobody knows."""
    cache = FilmCache(command.cache_folder(), int(50e9))
    try:
        with cache.local(film.uri) as path:
            info = probe(path)
            return info.duration, info.width * info.height * info.fps
    except MediaError as error:
        return str(error)


Units = dict[str, list[dict[str, float]]]  # of each film its units: seconds by stage


def works(
    out: str, films: Sequence[Measured], pipelines: Sequence[str], encoders: Sequence[str]
) -> list[Work]:
    """What each of the pipelines has to do of these films, given what is in `out` ("": nothing)."""
    made: dict[str, Units] = {}
    for pipeline in pipelines:
        # All but the index begin with the table of films, which who comes first has to make.
        looks = (plan.SHARED,) if not made else ()
        if pipeline == "transcribe":
            made[pipeline] = _by_film(out, films, pipeline, (*looks, "speech"))
        elif pipeline == "extract":
            made[pipeline] = _chunks(out, films, encoders)
            for film_id, units in (_by_film(out, films, pipeline, looks) if looks else {}).items():
                made[pipeline].setdefault(film_id, []).extend(units)
        elif pipeline == "describe":
            made[pipeline] = _by_film(out, films, pipeline, (*looks, "descriptions"))
        else:
            made[pipeline] = _index(out, films, {film_id for units in made.values() for film_id in units})
    seconds = sum(one.seconds for one in films)
    pixels = sum(one.pixels * one.seconds for one in films) / seconds if seconds else 0.0
    seen = _seen(encoders)
    return [_work(pipeline, units, seen, pixels) for pipeline, units in made.items()]


def _seen(encoders: Sequence[str]) -> frozenset[str]:
    """The stages that look at the picture: shots, and encoders that don't listen."""
    from cinescribe.encoders import catalogue

    specs = map(catalogue.spec, encoders)
    return frozenset({plan.SHARED, *(tables.FEATURES + spec.name for spec in specs if spec.offsets)})


def _work(pipeline: str, units: Units, seen: frozenset[str], pixels: float) -> Work:
    every = [unit for some in units.values() for unit in some]
    hours = sum(max(_sums(some).values()) for some in units.values()) / 3600
    longest = max(every, key=lambda unit: sum(unit.values()), default={})
    return Work(pipeline, len(units), len(every), hours, _sums(every), longest, seen, pixels)


def _sums(units: Iterable[Mapping[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for unit in units:
        for stage, seconds in unit.items():
            sums[stage] = sums.get(stage, 0.0) + seconds
    return sums


def _by_film(out: str, films: Sequence[Measured], pipeline: str, stages: Sequence[str]) -> Units:
    """Stages with a row a film."""
    refs = [one.film for one in films]
    standings = plan.standing(out, refs, stages) if out else {}
    changed = _changed(out, pipeline, refs)
    failed = {film_id for stands in standings.values() for film_id in stands.failed} - changed
    units: Units = {}
    for one in films:
        film_id = one.film.film_id
        todo = [
            stage
            for stage in stages
            if film_id in changed or not (stage in standings and film_id in standings[stage].done)
        ]
        if todo and film_id not in failed:
            units[film_id] = [dict.fromkeys(todo, one.seconds)]
    return units


def _chunks(out: str, films: Sequence[Measured], encoders: Sequence[str]) -> Units:
    """The chunks that an encoder misses."""
    from cinescribe.encoders import catalogue
    from cinescribe.encoders.chunks import chunks, features_in
    from pipelines.chunk_plan import CHUNK_SECONDS

    specs = {spec.name: spec for spec in map(catalogue.spec, encoders)}
    settings = plan.settings_of(out, "extract") if out else {}
    length = float(str(settings.get("chunk_seconds", CHUNK_SECONDS)))
    stages = {name: tables.FEATURES + name for name in specs}
    there = {stage: tables.written_names(out, stage) if out else set() for stage in stages.values()}
    errors = tables.written_names(out, "errors") if out else set()
    changed = _changed(out, "extract", [one.film for one in films])

    @lru_cache(maxsize=1)  # films on paper are of one length
    def pieces(seconds: float) -> list[tuple[int, dict[str, float]]]:
        """Numbers of the chunks of so long a film, and of each its seconds by stage."""
        return [
            (
                chunk.number,
                {
                    stages[name]: chunk.end - chunk.start
                    for name, spec in specs.items()
                    if features_in(spec, chunk.number, length, seconds)
                },
            )
            for chunk in chunks(round(seconds, 6), length)
        ]

    units: Units = {}
    for one in films:
        film_id = one.film.film_id
        anew = not out or film_id in changed
        for number, piece in pieces(one.seconds):
            unit = {
                stage: seconds
                for stage, seconds in piece.items()
                if anew or not _settled(film_id, number, stage, there[stage], errors)
            }
            if unit:
                units.setdefault(film_id, []).append(unit)
    return units


def _settled(film_id: str, chunk: int, stage: str, there: set[str], errors: set[str]) -> bool:
    """Whether the chunk is done or failed; a film that an encoder can't do at all failed as a whole."""
    key = tables.error_key(stage, film_id)
    failed = {tables.file_name(key), tables.file_name(key, chunk)} & errors
    return bool(failed) or tables.file_name(film_id, chunk) in there


def _index(out: str, films: Sequence[Measured], fresh: set[str]) -> Units:
    """Films that are not in the index, or will have new rows."""
    from cinescribe.search.store import Store

    there = set(Store(out).films()) if out else set()
    return {
        one.film.film_id: [{"index": one.seconds}]
        for one in films
        if one.film.film_id in fresh or one.film.film_id not in there
    }


def _changed(out: str, pipeline: str, films: Iterable[FilmRef]) -> set[str]:
    """Films whose bytes are others than the pipeline knew."""
    known = plan.films_of(out, pipeline) if out else {}
    return {film.film_id for film in films if known.get(film.film_id, film).etag != film.etag}
