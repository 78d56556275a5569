"""`/v1/captions`: a clip in, its description by the machine out."""

import asyncio
import dataclasses
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from cinescribe.errors import MediaError
from serve import uploads
from serve.catalog import Catalog
from serve.decoding import Decoder
from serve.describing import Asked, Described, Describer, Refused
from serve.replies import declared, refusal
from serve.schemas import CaptionFeatures, CaptionModel, CaptionReply, CaptionRequest
from serve.settings import Describing, Settings

_LISTS = ("context", "subtitles", "names")  # form fields that may be given several times
_ERRORS = declared(400, 401, 403, 404, 408, 409, 413, 415, 422, 500, 502, 503)


def router(describer: Describer | None, catalog: Catalog, decoder: Decoder, settings: Settings) -> APIRouter:
    """The route, over whatever describes clips; without it the route says how to get one."""
    routes = APIRouter(prefix="/v1", tags=["captions"])
    known = settings.describing

    async def of_film(asked: CaptionRequest, film: str) -> Asked:
        assert known is not None
        row = await run_in_threadpool(catalog.film, film)
        if row is None:
            raise refusal(404, "no-film", "there is no such film in the library")
        start, end = asked.start or 0.0, min(asked.end or 0.0, row["duration"])
        if not start < end:
            raise refusal(422, "invalid", f"start: the film ends at {row['duration']:.2f} s")
        if end - start > known.seconds:
            raise refusal(
                422, "invalid", f"at most {known.seconds:.0f} s are described at once; give a shorter stretch"
            )
        return dataclasses.replace(_asked(asked), film=film, start=start, end=end)

    async def of_file(asked: CaptionRequest, path: Path) -> Asked:
        assert known is not None
        try:
            frames, start, end = await decoder.evenly(
                path,
                {
                    "start": asked.start or 0.0,
                    "end": asked.end,
                    "longest": known.seconds,
                    "hz": known.hz,
                    "offsets": known.offsets,
                    "frames": known.frames,
                },
            )
        except MediaError as error:
            raise uploads.refused(error, path) from error
        return dataclasses.replace(_asked(asked), start=start, end=end, frames=frames)

    async def take_in(request: Request) -> Asked:
        """What is to be described, with the frames of a clip that was sent or fetched."""
        with tempfile.TemporaryDirectory(prefix="cinescribe-") as folder:
            path = Path(folder) / "clip"
            if _kind(request) == "multipart/form-data":
                async with request.form(max_files=1, max_fields=256, max_part_size=2**16) as form:
                    file = form.get("file")
                    others = {name: form.getlist(name) for name in form if name != "file"}
                    if odd := [
                        name for name in others if not all(isinstance(one, str) for one in others[name])
                    ]:
                        raise refusal(422, "invalid", f"{odd[0]}: is a text; only `file` is sent as a file")
                    asked = _of_form(others)
                    if isinstance(file, UploadFile):
                        if asked.film is not None or asked.uri is not None:
                            raise refusal(422, "invalid", "give a file, a film or an address: one of them")
                        _check_clips(known)
                        await uploads.save(file, path, settings.upload_bytes)
                        return await of_file(asked, path)
            else:
                asked = await _of_json(request)
            if asked.film is not None:
                return await of_film(asked, asked.film)
            if asked.uri is None:
                raise refusal(422, "invalid", "film: say which, with start and end; or send a clip as `file`")
            _check_clips(known)
            await uploads.save_from(asked.uri, path, settings)
            return await of_file(asked, path)

    @routes.post(
        "/captions",
        responses=_ERRORS,
        summary="Describe a stretch of a film, or a clip",
        openapi_extra={"requestBody": _bodies()},
    )
    async def caption(request: Request) -> CaptionReply:
        began = time.perf_counter()
        if describer is None or known is None:
            raise refusal(
                404, "no-describer", "nothing describes clips here; start the service with --describer MODEL"
            )
        asked = await take_in(request)
        try:
            async with asyncio.timeout(settings.caption_seconds):
                answer = await describer.describe(asked)
        except TimeoutError:
            raise refusal(408, "too-late", "the description took too long; try again in a moment") from None
        if isinstance(answer, Refused):
            headers = {"Retry-After": "5"} if answer.status == 503 else {}
            raise refusal(answer.status, answer.code, answer.message, headers)
        return _reply(asked, answer, known, began)

    return routes


def _asked(asked: CaptionRequest) -> Asked:
    """What is common to films and files."""
    subtitles = None if asked.subtitles is None else tuple(asked.subtitles)
    return Asked(asked.style, context=tuple(asked.context), subtitles=subtitles, names=tuple(asked.names))


def _check_clips(known: Describing | None) -> None:
    if known is None or not known.offsets:
        raise refusal(
            422,
            "no-encoder",
            "only films of the library can be described here: the service does not know what encodes clips "
            "for its model; its operator names it with --describer-encoder",
        )


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _of_json(request: Request) -> CaptionRequest:
    """The request of a JSON body. Raises RequestValidationError and HTTPException."""
    if _kind(request) != "application/json":  # what a page of another site could send unasked is none
        raise refusal(
            422, "invalid", "the body must be a JSON object, sent with Content-Type: application/json"
        )
    try:
        return CaptionRequest.model_validate_json(await request.body())
    except ValidationError as error:
        raise _told(error) from error


def _of_form(fields: Mapping[str, list[Any]]) -> CaptionRequest:
    """The request that form fields stand for: an empty one is as none, of a list as []. Raises as above."""
    values: dict[str, Any] = {}
    for name, given in fields.items():
        texts = [str(one) for one in given if one != ""]
        if name in _LISTS:
            values[name] = texts
        elif texts:
            values[name] = texts[-1]
    try:
        return CaptionRequest.model_validate(values)
    except ValidationError as error:
        raise _told(error) from error


def _told(error: ValidationError) -> RequestValidationError:
    return RequestValidationError(
        [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
    )


def _reply(asked: Asked, answer: Described, known: Describing, began: float) -> CaptionReply:
    return CaptionReply(
        text=answer.text,
        score=answer.score,
        film=asked.film or None,
        start=asked.start,
        end=asked.end,
        style=asked.style,
        model=CaptionModel(name=answer.model, weight=answer.weight),
        features=CaptionFeatures(encoder=known.features, hz=known.hz, frames=known.frames),
        took_ms=round(1000 * (time.perf_counter() - began), 2),
    )


def _bodies() -> dict[str, Any]:
    """JSON, or a form with a file, for the API's description."""
    schema = json.loads(json.dumps(CaptionRequest.model_json_schema()))
    file = {"type": "string", "format": "binary", "description": "a clip, in place of film and uri"}
    form = {
        "type": "object",
        "properties": {"file": file, **schema["properties"]},
        "additionalProperties": False,
    }
    return {
        "required": True,
        "content": {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}},
    }
