"""The gate before the service: how much may be sent, how slowly, how it is told."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request

from serve.gate import UPLOAD, Gate, Limits
from serve.media import PIECE, open_film, respond

SMALL = Limits(body=1000, body_seconds=0.2, upload=10_000, upload_seconds=0.3, uploads=2)


def scope(path: str = "/v1/search", method: str = "POST", headers: dict[str, str] | None = None) -> dict:
    named = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return {
        "type": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "method": method,
        "headers": named,
    }


async def ask(gate, body: AsyncIterator[bytes], **request) -> tuple[int, dict, bytes]:
    """Status, headers and body of the reply to a request whose body comes in blocks."""
    sent = []

    async def receive():
        try:
            return {"type": "http.request", "body": await anext(body), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await gate(scope(**request), receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(message.get("body", b"") for message in sent)


async def blocks(count: int, size: int = 100, pause: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(pause)
        yield b"x" * size


async def reader(scope, receive, send):
    """An application that reads everything and answers how much it was."""
    total, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        total += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(total).encode()})


@pytest.mark.parametrize("path", ["/v1/search", UPLOAD])
def test_what_is_within_the_limits_passes(path):
    status, headers, body = asyncio.run(ask(Gate(reader, SMALL), blocks(5), path=path))
    assert (status, body) == (200, b"500")
    assert len(headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/v1/search", "/v1/films", "/", UPLOAD])
def test_an_endless_request_ends_and_memory_stays_flat(path):
    tracemalloc.start()
    status, headers, body = asyncio.run(ask(Gate(reader, SMALL), blocks(10**9, 10_000), path=path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert status == 413
    assert headers["connection"] == "close"
    assert json.loads(body)["error"]["request_id"] == headers["x-request-id"]
    assert peak < 2 * 2**20


@pytest.mark.parametrize("path", ["/v1/search", UPLOAD])
def test_a_trickling_request_ends(path):
    status, headers, body = asyncio.run(ask(Gate(reader, SMALL), blocks(10**9, 1, pause=0.01), path=path))
    assert status == 408
    assert headers["connection"] == "close"
    assert json.loads(body)["error"]["code"] == "too-slow"


def test_a_declared_length_is_believed_when_too_large():
    async def untouched(scope, receive, send):
        raise AssertionError("the application was asked")

    status, _, _ = asyncio.run(ask(Gate(untouched, SMALL), blocks(0), headers={"content-length": "1001"}))
    assert status == 413


def test_a_declared_length_that_is_too_small_does_not_help():
    request = {"headers": {"content-length": "5"}}
    status, _, _ = asyncio.run(ask(Gate(reader, SMALL), blocks(1000), **request))
    assert status == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "", "abc", "٣"])
def test_a_declared_length_that_is_none(length):
    status, _, _ = asyncio.run(ask(Gate(reader, SMALL), blocks(1), headers={"content-length": length}))
    assert status == 400


@pytest.mark.parametrize(("path", "status"), [("/v1/films/\0", 400), ("/" + "x" * 9000, 414)])
def test_odd_addresses(path, status):
    assert asyncio.run(ask(Gate(reader, SMALL), blocks(0), path=path))[0] == status


def test_too_many_uploads_at_once_are_told_to_wait():
    async def run():
        gate = Gate(reader, SMALL)
        slow = [asyncio.create_task(ask(gate, blocks(10, 10, pause=0.02), path=UPLOAD)) for _ in range(2)]
        await asyncio.sleep(0.05)
        third = await ask(gate, blocks(1), path=UPLOAD)
        other = await ask(gate, blocks(1))
        both = await asyncio.gather(*slow)
        return third, other, both, await ask(gate, blocks(1), path=UPLOAD)

    third, other, both, after = asyncio.run(run())
    assert third[0] == 503
    assert int(third[1]["retry-after"]) >= 1
    assert [other[0], both[0][0], both[1][0], after[0]] == [200, 200, 200, 200]


def rays(status: int, text: bytes):
    """An application that answers as Ray's proxy does."""

    async def app(scope, receive, send):
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    return app


@pytest.mark.parametrize("status", [404, 408, 429, 500, 503])
def test_rays_own_replies_get_the_form_of_all_errors(status):
    inside = b"Deployment(name='Ingress', app='cinescribe') Traceback (most recent call last)"
    told, headers, body = asyncio.run(ask(Gate(rays(status, inside), proxy=True), blocks(0)))
    assert told == status
    error = json.loads(body)["error"]
    assert error["request_id"] == headers["x-request-id"]
    assert b"Deployment" not in body
    assert int(headers["content-length"]) == len(body)
    assert (status == 503) == ("retry-after" in headers)


def test_a_reply_that_never_came_is_told():
    async def nothing(scope, receive, send):
        return

    status, headers, _ = asyncio.run(ask(Gate(nothing, proxy=True), blocks(0)))
    assert status == 503
    assert "retry-after" in headers


def test_a_client_cannot_choose_its_time_in_ray():
    async def shown(scope, receive, send):
        found = [value for name, value in scope["headers"] if name == b"x-request-timeout-seconds"]
        found += [value for name, value in scope["headers"] if name == b"x-request-disconnect-disabled"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b" ".join(found)})

    gate = Gate(shown, Limits(reply_seconds=7), proxy=True)
    headers = {"x-request-timeout-seconds": "99999", "x-request-disconnect-disabled": "?1"}
    assert asyncio.run(ask(gate, blocks(0), headers=headers))[2] == b"7"
    assert asyncio.run(ask(gate, blocks(0), path="/v1/media/x"))[2] == b"0"


FILM = bytes(range(256)) * 40


def pieces(etags: list[str], piece: int = 1000):
    """An application that sends a film in ranges of `piece` bytes, its validator changing as given."""

    async def app(scope, receive, send):
        asked = dict(scope["headers"]).get(b"range", b"").decode()
        condition = dict(scope["headers"]).get(b"if-range", b"").decode()
        etag = etags.pop(0) if len(etags) > 1 else etags[0]
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if condition and condition != etag:
            headers = [(b"etag", etag.encode()), (b"content-length", str(len(FILM)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": FILM})
            return
        part = FILM[start : start + piece]
        headers = [
            (b"etag", etag.encode()),
            (b"content-length", str(len(part)).encode()),
            (b"content-range", f"bytes {start}-{start + len(part) - 1}/{len(FILM)}".encode()),
        ]
        await send({"type": "http.response.start", "status": 206, "headers": headers})
        await send({"type": "http.response.body", "body": part})

    return app


def test_a_whole_film_is_sent_in_pieces():
    gate = Gate(pieces(['"a"']), proxy=True)
    status, headers, body = asyncio.run(ask(gate, blocks(0), path="/v1/media/x", method="GET"))
    assert status == 200
    assert body == FILM
    assert int(headers["content-length"]) == len(FILM)
    assert "content-range" not in headers


def test_a_film_that_changes_meanwhile_breaks_off():
    gate = Gate(pieces(['"a"', '"a"', '"b"']), proxy=True)
    with pytest.raises(RuntimeError, match="ended early"):  # the server then closes the connection
        asyncio.run(ask(gate, blocks(0), path="/v1/media/x", method="GET"))


@pytest.mark.parametrize(
    "headers",
    [
        {"range": "bytes=0-1,5-6"},
        {"range": "bytes=9-1"},
        {"range": "x=1"},
        {"range": "bytes=1-", "if-range": "x"},
    ],
)
def test_a_range_that_leads_to_the_whole_film_is_sent_in_pieces_too(tmp_path, headers):
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(PIECE + 1000))
    most = 0

    async def app(scope, receive, send):
        sent = 0

        async def counted(message):
            nonlocal most, sent
            sent += len(message.get("body", b""))
            most = max(most, sent)
            await send(message)

        reply = respond(Request(scope), open_film({"uri": str(path)}, ()))
        await reply({**scope, "asgi": {"spec_version": "2.4"}}, receive, counted)

    request = {"path": "/v1/media/x", "method": "GET", "headers": headers}
    status, told, body = asyncio.run(ask(Gate(app, proxy=True), blocks(0), **request))
    assert (status, body) == (200, path.read_bytes())
    assert int(told["content-length"]) == len(body)
    assert most <= PIECE  # all that one reply of the application puts on its way
