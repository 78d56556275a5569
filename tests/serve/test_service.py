"""The real service: Ray Serve, its proxy, real HTTP."""

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from cinescribe.media.library import FilmRef
from serve.media import PIECE
from tests.media.films import tone, write_film
from tests.serve.library import write_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def http(service):
    with httpx.Client(base_url=service, timeout=60) as client:
        yield client


def connection(service: str) -> socket.socket:
    host, port = service.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def memory(role: str) -> int:
    """Bytes that Ray's processes of a role hold in memory."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if role.encode() in command:
                total += int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue
    return total


def test_a_question_over_http(http):
    assert http.get("/readyz").json()["films"] >= 2
    reply = http.post("/v1/search", json={"text": "a dog runs"}).json()
    assert reply["moments"][0]["film_id"] == "series one/Kitchen"
    assert len(http.get("/healthz").headers.get_list("x-request-id")) == 1
    text = http.get("/metrics").text.replace('method="POST",', "")
    assert 'route="/v1/search",status="200"' in text.replace('",route', '",route')
    assert "cinescribe_index_rows" in text


def test_a_film_that_came_meanwhile_is_found_and_sent_whole(http, library):
    path = library.parent / "films" / "later.wav"
    sound = tone(120.0, 48000, level=0.1)
    write_film(path, frames=0, audio=sound, audio_codec="pcm_s16le")
    data = path.read_bytes()
    assert len(data) > 2 * PIECE
    write_rows(library, FilmRef("later", str(path), len(data), "1"))
    deadline = time.monotonic() + 60
    while (whole := http.get("/v1/media/later")).status_code == 404 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert whole.content == data
    assert int(whole.headers["content-length"]) == len(data)
    part = http.get("/v1/media/later", headers={"range": f"bytes={PIECE - 5}-{PIECE + 4}"})
    assert part.status_code == 206
    assert part.content == data[PIECE - 5 : PIECE + 5]


def test_an_endless_upload_ends_and_memory_stays_flat(service, http):
    before = memory("ray::")
    block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0
    with connection(service) as raw:
        raw.sendall(
            b"POST /v1/search/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        raw.sendall(f"{len(head):x}\r\n".encode() + head + b"\r\n")
        try:
            while sent < 2**30:
                raw.sendall(block)
                sent += 0x10000
        except OSError:
            pass
        try:
            reply = raw.recv(65536)
        except OSError:
            reply = b""  # it closed with our blocks unread, and so the reply was lost
    assert sent < 2**29
    assert reply == b"" or b" 413 " in reply.split(b"\r\n")[0]
    assert memory("ray::") - before < 400 * 2**20
    assert http.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/v1/search", "/v1/search/upload"])
def test_a_lying_length_is_refused_unread(service, path):
    with connection(service) as raw:
        raw.sendall(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n".encode()
        )
        assert b" 413 " in raw.recv(65536).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/v1/media/../../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/%2e%2e/serve/app.py",
        "/../app.py",
        "/page/../app.py",
    ],
)
def test_nothing_outside_the_page_is_served(service, path):
    with connection(service) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        reply = b"".join(iter(lambda: raw.recv(65536), b""))
    assert reply.split(b" ")[1] in (b"400", b"404")
    assert b"root:" not in reply
    assert b"import " not in reply


def test_too_many_at_once_are_told_to_wait_and_then_it_recovers(http, service):
    def ask(number: int) -> httpx.Response:
        return httpx.post(f"{service}/v1/search", json={"text": f"a dog runs {number}"}, timeout=120)

    with ThreadPoolExecutor(100) as pool:
        replies = list(pool.map(ask, range(200)))
    statuses = {reply.status_code for reply in replies}
    assert statuses <= {200, 503}
    assert statuses == {200, 503}  # eight at once and eight in the queue
    for reply in replies:
        if reply.status_code == 503:
            assert int(reply.headers["retry-after"]) >= 1
            assert reply.json()["error"]["code"] == "full"
        else:
            assert reply.json()["moments"]
    time.sleep(1)
    assert http.post("/v1/search", json={"text": "a dog runs"}).json()["moments"]


def test_a_lost_replica_is_replaced(http, service):
    import ray

    named = [a for a in ray.util.list_named_actors(all_namespaces=True) if "#Search#" in a["name"]]
    assert named
    for actor in named:
        ray.kill(ray.get_actor(actor["name"], namespace=actor["namespace"]), no_restart=True)
    deadline = time.monotonic() + 120
    while (reply := http.post("/v1/search", json={"text": "a dog runs"})).status_code != 200:
        assert reply.status_code in (408, 503)
        assert reply.json()["error"]["request_id"]
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert reply.json()["moments"][0]["film_id"] == "series one/Kitchen"


def test_the_log_has_a_line_for_each_request(http, service_log):
    http.get("/v1/films/series one/Kitchen", headers={"x-request-id": "find-me"})
    deadline = time.monotonic() + 30  # it is written after the reply
    while not (lines := [line for line in service_log.read_text().splitlines() if "find-me" in line]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (line,) = lines
    assert '"film_id": "series one/Kitchen"' in line
    assert '"status": 200' in line
