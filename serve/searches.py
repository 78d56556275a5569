"""`/v1/search`: words, pictures and clips in, moments out."""

import asyncio
import dataclasses
import json
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from cinescribe.errors import MediaError
from cinescribe.search.query import Answer, Query
from serve import uploads
from serve.decoding import Decoder
from serve.films import address, thumbnail, title
from serve.finding import Finder, Refusal
from serve.metrics import Metrics
from serve.replies import declared, refusal
from serve.schemas import FoundMoment, SearchReply, SearchRequest, Why
from serve.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LISTS = ("films", "speakers", "roles", "sources")  # form fields that may be given several times
_BRACKETS = re.compile(r" ?\((?:[^()]|\([^()]*\))*\)")
_ERRORS = declared(400, 401, 403, 408, 413, 422, 502, 503)


def router(finder: Finder, decoder: Decoder, metrics: Metrics, settings: Settings) -> APIRouter:
    """The routes, over whatever finds moments."""
    routes = APIRouter(prefix="/v1", tags=["search"])

    async def reply(query: Query, began: float) -> SearchReply:
        metrics.waiting.inc()
        try:
            async with asyncio.timeout(settings.search_seconds):
                answer = await finder.find(query)
        except TimeoutError:
            raise refusal(408, "too-late", "the search took too long; try again in a moment") from None
        finally:
            metrics.waiting.dec()
        if isinstance(answer, Refusal):
            raise refusal(422, "query", answer.message)
        return _reply(answer, began)

    @routes.post("/search", responses=_ERRORS, summary="Find moments by words, or by a picture's address")
    async def search(asked: SearchRequest) -> SearchReply:
        began = time.perf_counter()
        query = asked.query()
        if uri := asked.image_uri or asked.clip_uri:
            with tempfile.TemporaryDirectory(prefix="cinescribe-") as folder:
                file = Path(folder) / "fetched"
                await uploads.save_from(uri, file, settings)
                query = dataclasses.replace(query, frames=await _frames(decoder, file))
        _check_asks(query)
        return await reply(query, began)

    @routes.post(
        "/search/upload",
        responses={**_ERRORS, **declared(415)},
        summary="Find moments by a picture or clip",
        openapi_extra={"requestBody": _upload_body()},
    )
    async def upload(request: Request) -> SearchReply:
        began = time.perf_counter()
        async with request.form(max_files=1, max_fields=64, max_part_size=2**16) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise refusal(422, "invalid", "file: a picture or clip is missing")
            asked = _of_form({name: form.getlist(name) for name in form if name != "file"})
            if asked.image_uri or asked.clip_uri:
                raise refusal(422, "invalid", "give a file or an address, not both")
            with tempfile.TemporaryDirectory(prefix="cinescribe-") as folder:
                path = Path(folder) / "uploaded"
                await uploads.save(file, path, settings.upload_bytes)
                query = dataclasses.replace(asked.query(), frames=await _frames(decoder, path))
        return await reply(query, began)

    return routes


async def _frames(decoder: Decoder, path: Path) -> "NDArray[np.uint8]":
    """The frames of an uploaded or fetched file, its failures as replies."""
    try:
        return await decoder.frames(path)
    except MediaError as error:
        raise uploads.refused(error, path) from error


def _check_asks(query: Query) -> None:
    if not query.text.strip() and query.frames is None:
        raise refusal(422, "invalid", "text: say what to look for, or give a picture or a clip")


def _of_form(fields: Mapping[str, list[Any]]) -> SearchRequest:
    """The request that form fields stand for: `query` as JSON, or each field by itself.

    Raises:
        RequestValidationError: a field is unknown or not what it should be.
    """
    try:
        if "query" in fields:
            return SearchRequest.model_validate_json(str(fields["query"][0]))
        values: dict[str, Any] = {}
        for name, given in fields.items():
            texts = [str(one) for one in given]
            values[name] = texts if name in _LISTS else texts[-1]
            if name in ("start", "end", "image_uri", "clip_uri") and texts[-1] in ("", "null"):
                values[name] = None
        return SearchRequest.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        ) from error


def _reply(answer: Answer, began: float) -> SearchReply:
    moments = [
        FoundMoment(
            film_id=moment.film_id,
            title=title(moment.film_id),
            start=moment.start,
            end=moment.end,
            score=moment.score,
            reranked=moment.reranked,
            why=[Why.of(evidence) for evidence in moment.why],
            thumbnail=thumbnail(moment.film_id, (moment.start + moment.end) / 2),
            media=address("media", moment.film_id),
        )
        for moment in answer.moments
    ]
    took = round(1000 * (time.perf_counter() - began), 2)
    notes = [_without_places(note) for note in answer.notes]
    return SearchReply(moments=moments, notes=notes, took_ms=took)


def _without_places(note: str) -> str:
    """A note without what stands in brackets of where on the server something is missing."""
    return _BRACKETS.sub(lambda found: "" if re.search(r"[/\\]", found[0]) else found[0], note)


def _upload_body() -> dict[str, Any]:
    """The form of an upload, for the API's description."""
    fields = json.loads(json.dumps(SearchRequest.model_json_schema()["properties"]))
    form = {name: field for name, field in fields.items() if not name.endswith("_uri")}
    properties = {
        "file": {"type": "string", "format": "binary", "description": "a picture or a clip"},
        "query": {"type": "string", "description": "all further fields as one JSON object"},
        **form,
    }
    schema = {"type": "object", "properties": properties, "required": ["file"]}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
