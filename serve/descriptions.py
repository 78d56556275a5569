"""`/v1/descriptions`: what a machine described of a film, and people's corrections of it.

A correction is in the next reply and the next `/v1/tracks` of every replica: they all read the same table.
`cinescribe describe`, run again, brings it into the files, `cinescribe index` into the search.
"""

import errno
import threading
import time
from typing import Annotated

import pyarrow as pa
from fastapi import APIRouter, Header, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from cinescribe import tables
from cinescribe.describe import corrections
from cinescribe.describe.corrected import Settled, cues_of, generated_of, lines_of, placement_of, settle_row
from cinescribe.describe.corrections import Correction, Corrections, Memory
from cinescribe.describe.placement import Places
from cinescribe.describe.track import vtt
from cinescribe.errors import CinescribeError, ConflictError, UsageError
from serve import log
from serve.catalog import Catalog
from serve.description_schemas import CorrectionRequest, Description, DescriptionCue, DescriptionsReply
from serve.replies import declared, refusal

LANGUAGE = "en"  # of generated texts
NEVER = "0"  # the version of what was never corrected
_ROWS_KEPT = 64  # films whose generated description is kept in memory
_CORRECTIONS_KEPT = 50_000  # in memory
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)

FilmId = Annotated[str, Path(description="as in the list of films; slashes may stay", max_length=4096)]
Seconds = Annotated[float, Query(ge=0, le=1e7, allow_inf_nan=False, description="of the interval, as listed")]
IfMatch = Annotated[
    str | None,
    Header(
        max_length=100, description="the `version` that was seen, in quotes; else 409. Without: the newest"
    ),
]


class Film:
    """A film's generated description, read from the tables, with what is needed to place corrections."""

    def __init__(self, row: tables.Row, places: Places) -> None:
        self.row, self.places = row, places


class Descriptions:
    """Generated descriptions as people corrected them. Safe to be used by several threads.

    Args:
        root: folder or `s3://` prefix of the tables.
        catalog: of the films and their speech.
        refresh_seconds: for which a film's generated description is believed; corrections are looked up anew
            each time.
    """

    def __init__(self, root: str, catalog: Catalog, refresh_seconds: float) -> None:
        self._root, self._catalog, self._refresh = root, catalog, refresh_seconds
        self._lock = threading.Lock()
        self._names: tuple[float, frozenset[str]] = (-float("inf"), frozenset())
        self._films: dict[str, tuple[float, Film | None]] = {}
        self._memory: Memory = {}

    def has(self, film_id: str) -> bool:
        """Whether a machine described the film."""
        now = time.monotonic()
        if now - self._names[0] > self._refresh:
            try:
                self._names = now, frozenset(tables.written_names(self._root, "descriptions"))
            except (CinescribeError, OSError) as error:  # the films are listed all the same
                log.line("refresh-failed", message=str(error))
                self._names = now, self._names[1]
        return tables.file_name(film_id) in self._names[1]

    def film(self, film_id: str) -> Film:
        """The film's generated description.

        Raises:
            HTTPException: 404, there is no such film, or no machine described it.
        """
        now = time.monotonic()
        with self._lock:
            kept = self._films.get(film_id)
        if kept is None or now - kept[0] > self._refresh:
            known = self._catalog.film(film_id)
            if known is None:
                raise refusal(404, "no-film", "there is no such film in the library")
            kept = now, self._read(known)
            with self._lock:
                self._films.pop(film_id, None)
                self._films[film_id] = kept
                while len(self._films) > _ROWS_KEPT:
                    self._films.pop(next(iter(self._films)))
        if kept[1] is None:
            raise refusal(404, "no-descriptions", "no machine has described this film")
        return kept[1]

    def _read(self, known: tables.Row) -> Film | None:
        try:
            row = tables.read_row(self._root, "descriptions", known["film_id"])
            if row is None:
                return None
            generated_of(row)  # tells of a row of an older version
            settings, over_narrator = placement_of(row)
        except (pa.ArrowException, KeyError) as error:
            raise UsageError(f"the row of {known['film_id']} in descriptions is damaged: {error}") from error
        speech = self._catalog.speech(known["film_id"])
        lines = lines_of(speech["utterances"] if speech else (), over_narrator=over_narrator)
        return Film(row, Places(lines, known["duration"], settings))

    def settled(self, film_id: str) -> tuple[Film, Corrections, list[Settled]]:
        """The film's description as it stands now."""
        film = self.film(film_id)
        if len(self._memory) > _CORRECTIONS_KEPT:
            self._memory = {}
        made = corrections.read(self._root, film_id, self._memory)
        return film, made, settle_row(film.row, made, film.places)

    def vtt(self, film_id: str) -> str:
        """What is spoken, as WebVTT."""
        return vtt(cues_of(self.settled(film_id)[2]), LANGUAGE)

    def reply(self, film_id: str) -> DescriptionsReply:
        """All of it."""
        film, made, settled = self.settled(film_id)
        settings, _ = placement_of(film.row)
        return DescriptionsReply(
            film_id=film_id,
            language=LANGUAGE,
            words_per_minute=settings.words_per_minute,
            weights={pair["role"]: pair["weight"] for pair in film.row["weights"]},
            descriptions=[_description(one, made, settled, film.places) for one in settled],
        )

    def one(self, film_id: str, interval: corrections.Interval) -> Description:
        """That of an interval.

        Raises:
            HTTPException: 404, there is none.
        """
        film, made, settled = self.settled(film_id)
        for one in settled:
            if one.interval == interval:
                return _description(one, made, settled, film.places)
        raise refusal(404, "no-description", "this film has no generated description of that interval")

    def write(self, new: Correction, if_match: str | None) -> Description:
        """Keep a correction, and tell what became of it.

        Raises:
            HTTPException: 404, of what it is; 409, somebody was faster; 403 or 503, it can't be written.
        """
        self.one(new.film_id, new.interval)
        expected = None if if_match in (None, "*") else (if_match or "").removeprefix("W/").strip('"')
        try:
            corrections.write(self._root, new, "" if expected == NEVER else expected)
        except ConflictError as error:
            raise refusal(409, "changed", str(error)) from error
        except OSError as error:
            log.line("correction-not-written", film_id=new.film_id, message=str(error))
            if error.errno in _READ_ONLY:
                raise refusal(
                    403, "read-only", "the service may not write into its library; ask its operator"
                ) from error
            raise refusal(503, "not-written", "the correction could not be written; try again") from error
        except CinescribeError as error:
            log.line("correction-not-written", film_id=new.film_id, message=str(error))
            raise refusal(503, "not-written", "the correction could not be written; try again") from error
        return self.one(new.film_id, new.interval)


def router(descriptions: Descriptions) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["descriptions"])
    errors = declared(400, 401, 403, 404, 409, 422, 503)

    async def keep(
        reply: Response,
        film_id: str,
        interval: corrections.Interval,
        kind: corrections.Kind,
        asked: CorrectionRequest,
        if_match: str | None,
    ) -> Description:
        try:
            new = corrections.correction(film_id, interval, kind, asked.text, asked.author)
        except UsageError as error:
            raise refusal(422, "invalid", str(error)) from error
        written = await run_in_threadpool(descriptions.write, new, if_match)
        reply.headers["etag"] = f'"{written.version}"'
        return written

    @routes.get(
        "/descriptions/{film_id:path}",
        responses=declared(401, 404, 422, 503),
        summary="What a machine described of a film, with people's corrections",
    )
    async def listed(film_id: FilmId) -> DescriptionsReply:
        return await run_in_threadpool(descriptions.reply, film_id)

    @routes.put(
        "/descriptions/{film_id:path}",
        responses=errors,
        summary="Correct the description of an interval, or take it out",
    )
    async def correct(
        film_id: FilmId,
        start: Seconds,
        end: Seconds,
        asked: CorrectionRequest,
        reply: Response,
        if_match: IfMatch = None,
    ) -> Description:
        kind: corrections.Kind = "removed" if asked.removed else "text"
        return await keep(reply, film_id, corrections.interval_of(start, end), kind, asked, if_match)

    @routes.delete(
        "/descriptions/{film_id:path}",
        responses=errors,
        summary="Go back to the machine's description of an interval",
    )
    async def take_back(
        film_id: FilmId, start: Seconds, end: Seconds, reply: Response, if_match: IfMatch = None
    ) -> Description:
        interval = corrections.interval_of(start, end)
        return await keep(reply, film_id, interval, "machine", CorrectionRequest(), if_match)

    return routes


def _description(one: Settled, made: Corrections, settled: list[Settled], places: Places) -> Description:
    sentence, newest = one.generated.sentence, made.by_interval.get(one.interval)
    others = [other.cue for other in settled if other.cue and other is not one]
    free = places.free(sentence, others)
    return Description(
        start=one.interval[0] / 1000,
        end=one.interval[1] / 1000,
        text=one.text,
        generated=sentence.text,
        score=sentence.score,
        corrected=one.correction is not None,
        author=one.correction.author if one.correction else "",
        corrected_at=one.correction.time if one.correction else "",
        cue=DescriptionCue(start=one.cue.start, end=one.cue.end, text=one.cue.text) if one.cue else None,
        reason=one.reason,
        room=max((last - first for first, last in free), default=0) / 1000,
        version=newest.version if newest else NEVER,
    )
