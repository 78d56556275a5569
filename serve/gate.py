"""The gate before everything: how much may be sent, how slowly, and how much is on its way back.

Ray's HTTP proxy takes in whatever is sent and holds it in memory, and a replica sends as fast as it can
whoever reads. So this runs twice: in the proxy, where it guards memory (Ray is told of `middlewares` by the
environment variable that `serve.local_ray` sets), and in the application, which is then as safe by itself.
It also gives Ray's own replies (full, too late) the form that all errors have.
"""

import asyncio
import json
import os
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware

from serve.replies import RETRY_AFTER, error_body

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

UPLOAD = "/v1/search/upload"
CAPTIONS = "/v1/captions"  # takes JSON, and uploads as well
_MEDIA = "/v1/media/"
_FORM = 64 * 1024  # bytes of an upload that are not the file
_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_ASKED_OF_RAY = (
    b"x-request-timeout-seconds",
    b"x-request-disconnect-disabled",
    b"serve_multiplexed_model_id",
)
_LONGEST_TARGET = 8192  # bytes of path and query


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gate lets through.

    Attributes:
        body: most bytes of a request.
        body_seconds: most seconds until they have arrived.
        upload: most bytes of an uploaded file.
        upload_seconds: most seconds until it has arrived.
        uploads: most uploads at once; what one of them sent may lie in memory.
        reply_seconds: most seconds of any other request than an upload, in the proxy.
    """

    body: int = 2**20
    body_seconds: float = 15.0
    upload: int = 64 * 2**20
    upload_seconds: float = 60.0
    uploads: int = 8
    reply_seconds: float = 60.0


class _Refused(Exception):
    """What the gate answers instead of the application."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message = status, code, message


class Gate:
    """ASGI middleware; see the module.

    Args:
        app: what is guarded.
        limits: of what it lets through.
        proxy: it runs in Ray's proxy: it also paces films and times replies.
    """

    def __init__(self, app: App, limits: Limits | None = None, *, proxy: bool = False) -> None:
        self._app, self._limits, self._proxy = app, limits or Limits(), proxy
        self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection as ASGI asks."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})  # nothing here speaks it
                return
            await self._app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        request_id = headers.get("x-request-id", "")
        if not _ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
            headers["x-request-id"] = request_id
        limits, upload = self._limits, _is_upload(scope["path"], headers)
        body = _Body(
            receive,
            limits.upload + _FORM if upload else limits.body,
            limits.upload_seconds if upload else limits.body_seconds,
        )
        reply = _Reply(send, request_id, body)
        if upload and self._uploads >= self._limits.uploads:
            await reply.refuse(_Refused(503, "full", "too many uploads at once; try again in a moment"))
            return
        self._uploads += upload
        try:
            await self._pass(scope, body, reply, upload)
        finally:
            self._uploads -= upload

    async def _pass(self, scope: Scope, body: "_Body", reply: "_Reply", upload: bool) -> None:
        limits = self._limits
        try:
            _check_head(scope, body.most)
            if self._proxy:
                seconds = limits.upload_seconds + limits.reply_seconds if upload else limits.reply_seconds
                # Films may take their time: what is on its way is bounded by pieces instead.
                _time_in_ray(scope, 0 if scope["path"].startswith(_MEDIA) else seconds)
            if not upload:
                await body.read_all()  # a slow sender holds no place in the application
        except _Refused as refused:
            await reply.refuse(refused)
            return
        try:
            if self._proxy and scope["method"] == "GET" and scope["path"].startswith(_MEDIA):
                await body()  # the empty body of a GET
                await _film(self._app, scope, body, reply)
            else:
                await self._app(scope, body, reply)
        except Exception:
            if body.refused is None and reply.started:
                raise
        if not reply.started:
            if body.gone:
                return
            lost = _Refused(503, "lost", "the service lost the request; try again in a moment")
            await reply.refuse(body.refused or lost)


def _is_upload(path: str, headers: Headers) -> bool:
    form = headers.get("content-type", "").lower().startswith("multipart/form-data")
    return path == UPLOAD or (path == CAPTIONS and form)


def _check_head(scope: Scope, most: int) -> None:
    headers = Headers(scope=scope)
    target = len(scope.get("raw_path") or scope["path"].encode()) + len(scope.get("query_string", b""))
    if target > _LONGEST_TARGET:
        raise _Refused(414, "too-long", f"an address may have at most {_LONGEST_TARGET} bytes")
    if "\0" in scope["path"]:
        raise _Refused(400, "invalid", "the path holds a NUL")
    declared = headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdigit()):
        raise _Refused(400, "invalid", "the content-length is not a number")
    if int(declared[:20]) > most:
        raise _too_large(most)


def _too_large(most: int) -> _Refused:
    return _Refused(413, "too-large", f"the request has more than {most // 2**10} kB")


def _time_in_ray(scope: Scope, seconds: float) -> None:
    """Give the request its time in Ray, whatever the client asked of it; 0 is without an end."""
    kept = [(name, value) for name, value in scope["headers"] if name.lower() not in _ASKED_OF_RAY]
    scope["headers"] = [*kept, (_ASKED_OF_RAY[0], str(seconds).encode())]


class _Body:
    """What the client sends: counted and timed. It ends as a disconnect where it went too far."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self.most = most
        self.refused: _Refused | None = None
        self.gone = False
        self._receive, self._deadline = receive, time.monotonic() + seconds
        self._count, self._whole = 0, False
        self._kept: list[Message] = []

    async def __call__(self) -> Message:
        if self._kept:
            return self._kept.pop(0)
        if self.refused or self.gone:
            return {"type": "http.disconnect"}
        try:
            return await self._next()
        except _Refused as refused:
            self.refused = refused
            return {"type": "http.disconnect"}

    async def _next(self) -> Message:
        if self._whole:
            message = await self._receive()  # of a disconnect
        else:
            try:
                async with asyncio.timeout(self._deadline - time.monotonic()):
                    message = await self._receive()
            except TimeoutError:
                raise _Refused(408, "too-slow", "the request did not arrive in time") from None
        if message["type"] == "http.disconnect":
            self.gone = True
            return message
        self._count += len(message.get("body", b""))
        if self._count > self.most:
            raise _too_large(self.most)
        self._whole = not message.get("more_body", False)
        return message

    async def read_all(self) -> None:
        """Wait for the whole body. Raises _Refused."""
        parts: list[bytes] = []
        while not self._whole and not self.gone:
            message = await self._next()
            parts.append(message.get("body", b""))
        if self._whole:
            self._kept = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]


class _Reply:
    """What goes to the client: each reply with its request's id, each error in the one form."""

    def __init__(self, send: Send, request_id: str, body: _Body) -> None:
        self.started = False
        self._send, self._id, self._body = send, request_id, body
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            del headers["x-request-id"]
            headers["x-request-id"] = self._id
            plain = headers.get("content-type", "").startswith("text/plain")
            told = _OF_RAY.get(message["status"]) if plain else None
            if self._body.refused or told:
                self._replaced = True
                await self.refuse(self._body.refused or _Refused(message["status"], *(told or ("", ""))))
                return
            self.started = True
        if not self._replaced:
            await self._send(message)

    async def refuse(self, refused: _Refused) -> None:
        """Answer with an error of the gate's own."""
        self.started = True
        body = json.dumps(error_body(refused.code, refused.message, self._id)).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", self._id.encode()),
            (b"x-content-type-options", b"nosniff"),
        ]
        if refused.status == 503:
            headers.append((b"retry-after", str(RETRY_AFTER).encode()))
        if refused.status in (408, 413):
            headers.append((b"connection", b"close"))  # what was not read yet will not be
        await self._send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


# What Ray's proxy says in plain text, with what it knows of the inside.
_OF_RAY = {
    404: ("not-found", "there is no such address here"),
    408: ("too-late", "not done in time; try again in a moment"),
    429: ("full", "the service is full; try again in a moment"),
    500: ("unexpected", "a fault of the service; tell its operator the request id"),
    503: ("full", "the service is full or not ready; try again in a moment"),
}


async def _film(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Send what is asked of a film; the whole of it in pieces, also where the asked range leads to that."""
    headers = Headers(scope=scope)
    asked = _PLAIN_RANGE.fullmatch(headers.get("range", ""))
    if asked and int(asked[1]) <= int(asked[2] or asked[1]) and "if-range" not in headers:
        await app(scope, _Again(receive), send)
        return
    if "range" in headers:  # several, or of another version: the application knows what its answer is
        seen = _Status()
        await app({**scope, "method": "HEAD"}, _Again(receive), seen)
        if seen.status != 200:
            await app(scope, _Again(receive), send)
            return
        kept = [(name, value) for name, value in scope["headers"] if name not in (b"range", b"if-range")]
        scope = {**scope, "headers": kept}
    await _in_pieces(app, scope, receive, send)


_PLAIN_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{0,18})", re.ASCII)


class _Status:
    """Takes a reply to a HEAD."""

    status = 0

    async def __call__(self, message: Message) -> None:
        self.status = message.get("status", self.status)


async def _in_pieces(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a whole film as the application gives it in ranges: one piece after the other, as it is read."""
    at, size, etag = 0, None, ""
    while size is None or at < size:
        headers = [*scope["headers"], (b"range", f"bytes={at}-".encode())]
        if etag:
            headers.append((b"if-range", etag.encode()))
        piece = _Piece(send, at, etag)
        await app({**scope, "headers": headers}, _Again(receive), piece)
        if not piece.of_film and not at:
            return  # a refusal, or nothing changed: passed on as it is
        if piece.got == 0:
            raise RuntimeError("the film ended early")  # the connection breaks off; the client sees that
        size, etag, at = piece.size, piece.etag, at + piece.got
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Again:
    """The empty body of a GET for each of its pieces; after that what really comes."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._asked = receive, False

    async def __call__(self) -> Message:
        if self._asked:
            return await self._receive()
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}


class _Piece:
    """Takes one ranged reply; the first gives the head of the whole."""

    def __init__(self, send: Send, at: int, etag: str) -> None:
        self._send, self._at, self.etag = send, at, etag
        self.of_film, self.size, self.got = False, 0, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if message["status"] == 206:
                self.of_film = True
                self.size = int(headers["content-range"].rpartition("/")[2])
                self.etag = headers["etag"]
            elif self._at:
                return  # the film changed meanwhile
            if self._at:
                return
            if self.of_film:
                message["status"] = 200
                del headers["content-range"]
                headers["content-length"] = str(self.size)
            await self._send(message)
        elif self.of_film:
            self.got += len(message.get("body", b""))
            await self._send(
                {"type": "http.response.body", "body": message.get("body", b""), "more_body": True}
            )
        elif not self._at:
            await self._send(message)


def middlewares() -> list[Middleware]:
    """The gate for Ray's proxy, which calls this by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""
    usual = Limits()
    limits = Limits(
        upload=int(os.environ.get("CINESCRIBE_UPLOAD_BYTES", usual.upload)),
        upload_seconds=float(os.environ.get("CINESCRIBE_UPLOAD_SECONDS", usual.upload_seconds)),
    )
    return [Middleware(Gate, limits=limits, proxy=True)]
