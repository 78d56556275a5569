"""`/v1/films`, `/v1/media`, `/v1/tracks`, `/v1/thumbnails`: the library, and what a player needs of it."""

from collections import defaultdict
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from cinescribe import tables
from cinescribe.subtitles import to_vtt
from serve.catalog import Catalog
from serve.descriptions import LANGUAGE, Descriptions
from serve.media import container_is_playable, open_film, respond
from serve.replies import declared, refusal
from serve.schemas import FilmDetail, FilmsReply, FilmSummary, Track, Voice
from serve.settings import Settings
from serve.thumbnails import Thumbnails

FilmId = Annotated[str, Path(description="as in the list of films; slashes may stay", max_length=4096)]
_LABELS = {"captions": "Dialogue", "descriptions": "Audio description"}
_MACHINE = "Machine-made description"
_ROLES = {"dialogue": ("dialogue", "unknown"), "descriptions": ("narrator",)}


def title(film_id: str) -> str:
    """What people call a film: the last part of its id."""
    return PurePosixPath(film_id).name.replace("_", " ") or film_id


def address(kind: str, film_id: str, query: str = "") -> str:
    """The path of a film's media, track or thumbnail."""
    return f"/v1/{kind}/{quote(film_id, safe='/')}" + (f"?{query}" if query else "")


def thumbnail(film_id: str, time: float) -> str:
    """The address of the picture at a time of a film."""
    return address("thumbnails", film_id, f"time={max(time, 0.0):.1f}")


def router(
    catalog: Catalog, descriptions: Descriptions, thumbnails: Thumbnails, settings: Settings
) -> APIRouter:
    """The routes, over a catalog of films and what was generated of them."""
    routes = APIRouter(prefix="/v1", tags=["films"])

    async def row_of(film_id: str) -> tables.Row:
        row = await run_in_threadpool(catalog.film, film_id)
        if row is None:
            raise refusal(404, "no-film", "there is no such film in the library")
        return row

    @routes.get("/films", responses=declared(401, 422), summary="The films, by id")
    def films(
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        after: Annotated[str | None, Query(max_length=4096, description="`next` of the reply before")] = None,
        query: Annotated[str, Query(max_length=200, description="part of the id")] = "",
    ) -> FilmsReply:
        page = catalog.page(limit, after, query)
        return FilmsReply(films=[_summary(row, catalog, descriptions) for row in page.rows], next=page.next)

    @routes.get(
        "/films/{film_id:path}", responses=declared(401, 404, 422), summary="A film: tracks and voices"
    )
    async def film(film_id: FilmId) -> FilmDetail:
        row = await row_of(film_id)
        return await run_in_threadpool(_detail, row, catalog, descriptions)

    @routes.api_route(
        "/media/{film_id:path}",
        methods=["GET", "HEAD"],
        responses={
            200: {"description": "the film", "content": {"video/*": {}, "audio/*": {}}},
            206: {
                "description": "a range of it, at most 4 MiB: ask for the next",
                "content": {"video/*": {}},
            },
            304: {"description": "it is the one you have"},
            **declared(401, 404, 416, 422),
        },
        response_class=Response,
        summary="The film itself, whole or in ranges",
        operation_id="media",
    )
    async def media(film_id: FilmId, request: Request) -> Response:
        row = await row_of(film_id)
        opened = await run_in_threadpool(open_film, row, settings.media_roots)
        return respond(request, opened)

    @routes.get(
        "/tracks/{film_id:path}",
        responses={200: {"description": "WebVTT", "content": {"text/vtt": {}}}, **declared(401, 404, 422)},
        response_class=Response,
        summary="What is said or described, as WebVTT",
    )
    async def track(
        film_id: FilmId,
        kind: Annotated[
            Literal["dialogue", "descriptions", "generated"],
            Query(description="descriptions: by the film's own narrator; generated: by a machine, corrected"),
        ] = "dialogue",
    ) -> Response:
        await row_of(film_id)
        if kind == "generated":
            text = await run_in_threadpool(descriptions.vtt, film_id)
        else:
            speech = await run_in_threadpool(catalog.speech, film_id)
            if speech is None:
                raise refusal(404, "no-track", "the film was not transcribed yet")
            text = await run_in_threadpool(_vtt, speech, kind)
        return Response(
            text, media_type="text/vtt; charset=utf-8", headers={"cache-control": "private, no-cache"}
        )

    @routes.get(
        "/thumbnails/{film_id:path}",
        responses={
            200: {"description": "a picture", "content": {"image/jpeg": {}}},
            304: {"description": "it is the one you have"},
            **declared(401, 404, 422),
        },
        response_class=Response,
        summary="A picture of a moment",
    )
    async def picture(
        film_id: FilmId,
        request: Request,
        time: Annotated[float, Query(ge=0, le=1e7, allow_inf_nan=False, description="seconds")] = 0.0,
        width: Annotated[int, Query(ge=16, le=1280, description="pixels, rounded up to a few sizes")] = 320,
    ) -> Response:
        data, etag = await thumbnails.picture(await row_of(film_id), time, width)
        headers = {"etag": etag, "cache-control": "private, max-age=3600"}
        if request.headers.get("if-none-match") == etag:
            return Response(None, 304, headers)
        return Response(data, media_type="image/jpeg", headers=headers)

    return routes


def _summary(row: tables.Row, catalog: Catalog, descriptions: Descriptions) -> FilmSummary:
    film_id = row["film_id"]
    tracks = _tracks(film_id, catalog.roles(film_id))
    if descriptions.has(film_id):
        source = address("tracks", film_id, "kind=generated")
        tracks.append(
            Track(kind="descriptions", language=LANGUAGE, label=_MACHINE, src=source, machine_made=True)
        )
    return FilmSummary(
        film_id=film_id,
        title=title(film_id),
        duration=row["duration"],
        fps=row["fps"],
        width=row["width"],
        height=row["height"],
        playable=container_is_playable(row["uri"]),
        thumbnail=thumbnail(film_id, row["duration"] / 4),
        media=address("media", film_id),
        tracks=tracks,
    )


def _tracks(film_id: str, roles: tuple[str, frozenset[str]]) -> list[Track]:
    language, spoken = roles
    kinds: tuple[tuple[Any, str], ...] = (("captions", "dialogue"), ("descriptions", "descriptions"))
    return [
        Track(
            kind=kind, language=language, label=_LABELS[kind], src=address("tracks", film_id, f"kind={name}")
        )
        for kind, name in kinds
        if spoken.intersection(_ROLES[name])
    ]


def _detail(row: tables.Row, catalog: Catalog, descriptions: Descriptions) -> FilmDetail:
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    speech = catalog.speech(row["film_id"])
    for utterance in speech["utterances"] if speech else ():
        seconds[utterance["speaker"], utterance["role"]].append(utterance["end"] - utterance["start"])
    voices = [
        Voice(speaker=speaker, role=role, seconds=round(sum(lengths), 3), utterances=len(lengths))
        for (speaker, role), lengths in sorted(seconds.items(), key=lambda item: -sum(item[1]))
    ]
    return FilmDetail(
        **_summary(row, catalog, descriptions).model_dump(),
        rotation=row["rotation"],
        audio_rate=row["audio_rate"],
        shots=len(row["shots"]),
        language=speech["language"] if speech else "",
        speakers=voices,
    )


def _vtt(speech: tables.Row, kind: str) -> str:
    utterances = [u for u in tables.utterances_of(speech) if u.role in _ROLES[kind]]
    cues: Literal["captions", "descriptions"] = "captions" if kind == "dialogue" else "descriptions"
    return to_vtt(utterances, cues, speech["language"])
