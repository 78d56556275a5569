"""Addresses in queries: only what was allowed, wherever names and redirects lead."""

import dataclasses
import http.server
import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import HTTPException
from PIL import Image

from cinescribe import storage
from cinescribe.errors import UsageError
from serve.addresses import check_allowed, fetch, is_allowed, is_public
from tests.serve.test_search import Listener

ALLOWED = ("https://media.example.org/stills/", "s3://bucket/prefix")


@pytest.mark.parametrize(
    "address",
    [
        "https://media.example.org/stills/a.png",
        "https://media.example.org:443/stills/a/b.png?x=1",
        "HTTPS://MEDIA.example.org/stills/a.png",
        "s3://bucket/prefix/a.png",
        "https://media.example.org./stills/a",
    ],
)
def test_what_begins_with_an_allowed_address(address):
    assert is_allowed(address, ALLOWED)


@pytest.mark.parametrize(
    "address",
    [
        "http://media.example.org/stills/a.png",
        "https://media.example.org/other/a.png",
        "https://media.example.org/stillsecret/a.png",
        "https://media.example.org:8443/stills/a.png",
        "https://media.example.org.evil.example/stills/a.png",
        "https://evil.example/media.example.org/stills/a.png",
        "https://media.example.org@evil.example/stills/a.png",
        "https://user:pw@media.example.org/stills/a.png",
        "https://media.example.org/stills/../admin",
        "https://media.example.org/stills/%2e%2e/admin",
        "https://media.example.org/stills/..%2fadmin",
        "https://media.example.org\\@evil.example/stills/a",
        "https://media.example.org/stills/a\r\nHost: evil",
        "https://media.example.org/stills/a b",
        "//media.example.org/stills/a",
        "file:///etc/passwd",
        "/etc/passwd",
        "concat:https://media.example.org/stills/a",
        "ftp://media.example.org/stills/a",
        "gopher://media.example.org/stills/a",
        "data:image/png;base64,AAAA",
        "s3://bucket/prefixed/a.png",
        "s3://other/prefix/a",
        "s3://bucket/a",
        "s3://bucket/prefix/../a",
        "https://[::1",
        "https://media.example.org:abc/stills/",
        "",
        "https://media.example.org/stills/a%00.png",
        "https:///stills/a",
    ],
)
def test_what_does_not(address):
    assert not is_allowed(address, ALLOWED)
    with pytest.raises(HTTPException) as refused:
        fetch(address, ALLOWED, Path("/dev/null"), 1000, 5.0)
    assert refused.value.status_code == 403


def test_nothing_is_allowed_by_default(client):
    for uri in (
        "http://127.0.0.1/a",
        "http://169.254.169.254/latest/meta-data",
        "https://example.org/a",
        "s3://b/k",
    ):
        for field in ("image_uri", "clip_uri"):
            assert client.post("/v1/search", json={field: uri}).status_code == 403, uri


@pytest.mark.parametrize("number", ["93.184.216.34", "2606:2800:220:1::1"])
def test_public_numbers(number):
    assert is_public(number)


@pytest.mark.parametrize(
    "number",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "::127.0.0.1",
    ],
)
def test_numbers_that_are_not_public(number):
    assert not is_public(number)


class Pages(http.server.BaseHTTPRequestHandler):
    """`/ok/...` answers, `/to?X` redirects to X, `/large` sends without end, `/slow` hardly sends."""

    asked: list[str] = []  # noqa: RUF012
    picture = b""

    def do_GET(self):
        Pages.asked.append(self.path)
        if self.path.startswith("/ok/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2])
            self.end_headers()
            return
        self.send_response(404 if self.path == "/ok/none" else 200)
        self.end_headers()
        try:
            if self.path == "/ok/large":
                while True:
                    self.wfile.write(b"x" * 65536)
            elif self.path == "/ok/slow":
                for _ in range(100):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    threading.Event().wait(0.1)
            else:
                self.wfile.write(Pages.picture)
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    """A web server on this machine."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(buffer, "PNG")
    Pages.picture = buffer.getvalue()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def got(
    address: str, allow: tuple[str, ...], target: Path, most_bytes: int = 10**6, seconds: float = 5.0
) -> int:
    """200, or the status that fetching ends with."""
    try:
        fetch(address, allow, target, most_bytes, seconds)
    except HTTPException as error:
        return error.status_code
    return 200


def test_a_private_number_that_was_allowed_by_name(pages, tmp_path, connect, settings):
    allow = (f"{pages}/ok/",)
    assert got(f"{pages}/ok/a.png", allow, tmp_path / "a") == 200
    assert (tmp_path / "a").read_bytes() == Pages.picture
    listener = Listener()
    client = connect(dataclasses.replace(settings, allow=allow), listener)
    assert client.post("/v1/search", json={"image_uri": f"{pages}/ok/a.png"}).status_code == 200
    assert (listener.asked[0].frames == (255, 0, 0)).all()
    assert client.post("/v1/search", json={"clip_uri": f"{pages}/ok/none"}).status_code == 502


def test_a_name_that_leads_to_a_private_number(pages, tmp_path):
    port = pages.rpartition(":")[2]
    Pages.asked.clear()
    assert got(f"http://localhost:{port}/ok/a", (f"http://localhost:{port}/",), tmp_path / "a") == 403
    assert Pages.asked == []


@pytest.mark.parametrize("number", ["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "fd00::1"])
def test_a_name_with_one_public_and_one_private_number(tmp_path, monkeypatch, number):
    def resolved(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (n, port)) for n in ("93.184.216.34", number)]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("connected"))
    assert got("https://media.example.org/stills/a", ALLOWED, tmp_path / "a") == 403


def test_the_number_that_was_looked_at_is_the_one_connected_to(tmp_path, monkeypatch):
    answers = iter(["93.184.216.34", "127.0.0.1"])  # a name that answers differently the second time
    connected = []

    def resolved(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connection(address, *_):
        connected.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(socket, "create_connection", connection)
    assert got("https://media.example.org/stills/a", ALLOWED, tmp_path / "a") == 502
    assert connected == [("93.184.216.34", 443)]


def test_redirects_are_checked_at_every_hop(pages, tmp_path):
    allow = (f"{pages}/ok/",)
    Pages.asked.clear()
    assert got(f"{pages}/ok/to?{pages}/ok/a", allow, tmp_path / "a") == 200
    for target in (
        f"{pages}/secret",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "//localhost/ok/",
        "http://[::ffff:127.0.0.1]/ok/",
        "/secret",
        "../secret",
    ):
        assert got(f"{pages}/ok/to?{target}", allow, tmp_path / "a") == 403, target
    assert not any("secret" in path for path in Pages.asked if not path.startswith("/ok/to?"))
    assert got(f"{pages}/ok/to?/ok/to?/ok/to?/ok/to?/ok/to?/ok/a", allow, tmp_path / "a") == 502


def test_too_much_and_too_slow(pages, tmp_path):
    allow = (f"{pages}/ok/",)
    assert got(f"{pages}/ok/large", allow, tmp_path / "a", most_bytes=10**6) == 413
    assert (tmp_path / "a").stat().st_size <= 10**6
    assert got(f"{pages}/ok/slow", allow, tmp_path / "a", seconds=0.5) == 408


def test_objects_on_s3(bucket, tmp_path):
    storage.s3_client().put_object(Bucket="films", Key="stills/a.png", Body=b"picture")
    storage.s3_client().put_object(Bucket="films", Key="secret/a.png", Body=b"secret")
    allow = ("s3://films/stills",)
    assert got("s3://films/stills/a.png", allow, tmp_path / "a") == 200
    assert (tmp_path / "a").read_bytes() == b"picture"
    assert got("s3://films/stills/a.png", allow, tmp_path / "a", most_bytes=3) == 413
    assert got("s3://films/stills/none.png", allow, tmp_path / "a") == 502
    assert got("s3://films/secret/a.png", allow, tmp_path / "a") == 403


@pytest.mark.parametrize(
    "prefix", ["file:///", "/etc", "example.org", "https://", "https://user:pw@example.org/", "*"]
)
def test_what_an_operator_cannot_allow(prefix):
    with pytest.raises(UsageError, match="--allow"):
        check_allowed([prefix])
