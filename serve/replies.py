"""What every reply has in common: errors as JSON, without a word of the inside."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from cinescribe.errors import CinescribeError, MediaError, WeightsError
from serve import log

RETRY_AFTER = 1  # seconds a client that found the service full should wait


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="a word for programs, such as not-found")
    message: str = Field(description="a sentence for people: what to do")
    request_id: str = Field(description="as in the header x-request-id and in the service's log")


class ErrorReply(BaseModel):
    """The body of every reply that is an error."""

    error: ErrorDetail


# The errors that routes declare, by status, for the API's description.
_MEANINGS = {
    400: "the request is not understood",
    401: "a key is missing or wrong",
    403: "an address that was not allowed, a request from another site, or a library that can't be written",
    404: "no such film, track or picture",
    408: "not done in time, or the request was too slow to arrive",
    409: "somebody changed it since it was read, or what it needs is not there yet",
    413: "more than may be sent",
    415: "neither a picture nor a clip",
    416: "no such range of the film",
    422: "the request has the right form and can't be met",
    500: "a fault of the service, or of its model on this clip",
    502: "an allowed address did not give what was asked of it",
    503: "full or not ready: try again after the seconds of Retry-After",
}


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error replies of a route, for its `responses`."""
    return {status: {"model": ErrorReply, "description": _MEANINGS[status]} for status in sorted(statuses)}


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> HTTPException:
    """The exception that answers with `status` and the error's code and message."""
    return HTTPException(status, {"code": code, "message": message}, dict(headers or {}))


def full(message: str = "the service is full; try again in a moment") -> HTTPException:
    """503: too many requests at once."""
    return refusal(503, "full", message, {"Retry-After": str(RETRY_AFTER)})


def error_body(code: str, message: str, request_id: str) -> dict[str, dict[str, str]]:
    """The one form of errors."""
    return {"error": {"code": code, "message": message, "request_id": request_id}}


def install(app: FastAPI) -> None:
    """Answer every failure of `app` in the one form."""

    def reply(request: Request, status: int, code: str, message: str, headers: Any = None) -> JSONResponse:
        body = error_body(code, message, getattr(request.state, "request_id", ""))
        return JSONResponse(body, status, headers=headers)

    @app.exception_handler(StarletteHTTPException)
    async def _(request: Request, error: StarletteHTTPException) -> JSONResponse:
        if isinstance(error.detail, dict):
            code, message = error.detail["code"], error.detail["message"]
        else:
            phrase = HTTPStatus(error.status_code).phrase
            code, message = phrase.lower().replace(" ", "-"), str(error.detail or phrase)
        return reply(request, error.status_code, code, message, error.headers)

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        malformed = first["type"] == "json_invalid"
        message = f"{where}: {first['msg']}" if where and not malformed else str(first["msg"])
        if not where and first["type"] == "model_attributes_type":
            message = "the body must be a JSON object, sent with Content-Type: application/json"
        return reply(request, 400 if malformed else 422, "invalid", message)

    @app.exception_handler(CinescribeError)
    async def _(request: Request, error: CinescribeError) -> JSONResponse:
        if isinstance(error, WeightsError):  # its message names files of the server
            log.failure(request, error)
            return reply(request, 503, "weights", "a model of the service can't be had; see its log")
        if isinstance(error, MediaError):
            return reply(request, 422, error.kind, "the file can't be read as a picture or a clip")
        # What is wrong with a query is answered where it is found: this is the store or the tables.
        log.failure(request, error)
        message = "the library can't be read just now; its operator finds why in the service's log"
        return reply(request, 503, "unavailable", message, {"Retry-After": "5"})

    @app.exception_handler(Exception)
    async def _(request: Request, error: Exception) -> JSONResponse:
        log.failure(request, error)
        return reply(request, 500, "unexpected", "a fault of the service; tell its operator the request id")
