"""The whole HTTP application, given requests as they stand on the wire; nothing is decoded or described."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from cinescribe import tables
from cinescribe.errors import MediaError, UsageError
from cinescribe.search.query import Answer, Query
from serve.describing import Asked, Described
from serve.finding import IndexState
from serve.gate import App
from serve.settings import Describing, Settings

_HEADER = re.compile(rb"([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\n\0]*?)[ \t]*", re.ASCII)
_TELLS = re.compile(r"Traceback|site-packages|File \"|/input\.mp4|\.py\b")  # of the inside


class Nothing:
    """A finder that finds nothing, a describer that says one thing, a decoder that decodes nothing."""

    def __init__(self, *_: object) -> None:
        pass

    async def find(self, query: Query) -> Answer:
        assert 1 <= query.limit <= 100
        return Answer(())

    async def state(self) -> IndexState:
        return IndexState(0, {})

    async def describe(self, asked: Asked) -> Described:
        assert asked.start < asked.end
        return Described("A dog runs.", 0.5, "autoad/best", "0123456789abcdef")

    async def frames(self, path: Path) -> Any:
        raise MediaError("not-media", f"{path}: not a picture")

    async def evenly(self, path: Path, wanted: object) -> Any:
        raise MediaError("not-media", f"{path}: not a clip")

    async def thumbnail(self, path: Path, time: float, width: int) -> bytes:
        raise MediaError("no-video", f"{path}: has no picture")


class Application:
    """The service over one film, `a`, of 1000 bytes; what it is asked runs to its end."""

    def __init__(self, folder: Path) -> None:
        from serve import service

        film = folder / "films" / "input.mp4"
        film.parent.mkdir()
        film.write_bytes(bytes(1000))
        row = {
            "film_id": "a", "uri": str(film), "etag": "1", "duration": 9.0, "fps": 25.0, "width": 64,
            "height": 48, "rotation": 0, "audio_rate": 0, "shots": [{"start": 0.0, "end": 9.0}],
        }  # fmt: skip
        tables.write_row(str(folder / "tables"), "films", "a", row)
        settings = Settings(
            root=str(folder / "tables"), cache=str(folder / "cache"), log=str(folder / "log"),
            refresh_seconds=1e6, describing=Describing("", "clip", 5.0, 8, "clip", (0.0,)),
        )  # fmt: skip
        real, service.Decoder = service.Decoder, Nothing  # type: ignore[assignment, misc]
        try:
            self._app: App = service.guarded(settings, Nothing(), describer=Nothing())
        finally:
            service.Decoder = real  # type: ignore[misc]
        self._loop = asyncio.Runner()

    def ask(self, path: Path) -> None:
        """Answer the request in a file.

        Raises:
            UsageError: it is refused, or no request that an HTTP server would hand on.
            AssertionError: a fault of the service, or a reply that is not as promised.
        """
        head, _, body = path.read_bytes().replace(b"\r\n", b"\n", 30).partition(b"\n\n")
        first, *lines = head.split(b"\n")
        parts = first.split(b" ")
        headers = [match.groups() for line in lines if (match := _HEADER.fullmatch(line))]
        if len(parts) != 2 or not parts[0].isalpha() or not parts[1].startswith(b"/"):
            raise UsageError("no request")
        status, told, reply = self._loop.run(_ask(self._app, parts[0], parts[1], headers, body))
        assert status < 500, (status, reply[:500])
        if told.get("content-type", "").startswith(("application/json", "text/plain")):
            assert not _TELLS.search(reply.decode()), reply[:500]
        if status >= 400:
            if parts[0] != b"HEAD" and told.get("content-type") == "application/json":
                error = json.loads(reply)["error"]
                assert error["code"]
                assert error["request_id"] == told["x-request-id"]
            raise UsageError(f"refused: {status}")


async def _ask(
    app: App, method: bytes, target: bytes, headers: list[Any], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    raw, _, query = target.partition(b"?")
    scope = {
        "type": "http", "http_version": "1.1", "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": method.decode().upper(), "path": unquote_to_bytes(raw).decode("utf-8", "replace"),
        "raw_path": raw, "query_string": query, "root_path": "", "scheme": "http", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000), "headers": [(name.lower(), value) for name, value in headers],
    }  # fmt: skip
    waiting, sent = [body], []

    async def receive() -> dict[str, Any]:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
    return start["status"], told, b"".join(message.get("body", b"") for message in sent)
