"""Keys, sessions, other sites' pages, and what every reply carries."""

import dataclasses
import json
import shutil
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cinescribe.errors import UsageError
from serve.access import COOKIE, Keys
from serve.settings import read_keys

KEY, OTHER = "key-of-the-museum-1234", "key-of-the-archive-567"


@pytest.fixture
def locked(settings, monkeypatch):
    """Settings of a service with two keys."""
    monkeypatch.setenv("CINESCRIBE_API_KEYS", f"{KEY}, {OTHER}")
    hashes, secret = read_keys("")
    return dataclasses.replace(settings, key_hashes=hashes, session_secret=secret)


GUARDED = [
    ("GET", "/v1/films"),
    ("POST", "/v1/search"),
    ("GET", "/v1/media/series one/Kitchen"),
    ("GET", "/metrics"),
    ("GET", "/v1/thumbnails/series one/Kitchen"),
    ("GET", "/v1/nothing"),
    ("HEAD", "/v1/media/x"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer", "Bearer wrong-key-wrong-key", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer ключ"],
)
def test_without_the_key_nothing_is_told(connect, locked, method, path, authorization):
    headers = {"authorization": authorization.encode()} if authorization else {}
    reply = connect(locked).request(method, path, headers=headers)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    if method != "HEAD":
        assert reply.json()["error"]["code"] == "key"


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_with_any_of_the_keys(connect, locked, key):
    reply = connect(locked).get("/v1/films", headers={"authorization": f"bearer {key}"})
    assert reply.status_code == 200


def test_the_page_and_the_health_need_no_key(connect, locked):
    client = connect(locked)
    for path in ("/", "/healthz", "/readyz", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200, path


def test_a_session_opens_media_and_ends(connect, locked):
    client = connect(locked)
    assert client.post("/v1/session", json={"key": "wrong"}).status_code == 401
    assert client.get("/v1/films").status_code == 401
    opened = client.post("/v1/session", json={"key": KEY})
    assert opened.status_code == 204
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert KEY not in cookie
    assert client.get("/v1/media/series one/Kitchen").status_code == 200
    client.delete("/v1/session")
    assert client.get("/v1/films").status_code == 401


def test_a_forged_or_old_session_is_none(connect, locked, monkeypatch):
    keys = Keys(locked)
    good = keys.session()
    until, signature = good.split(".")
    client = connect(locked)
    for cookie in (f"{int(until) + 1}.{signature}", f"{until}.{signature[:-1]}0x", f"{until}.", "x.y", "é"):
        headers = {"cookie": f"{COOKIE}={cookie}".encode()}
        assert client.get("/v1/films", headers=headers).status_code == 401, cookie
    assert client.get("/v1/films", headers={"cookie": f"{COOKIE}={good}"}).status_code == 200
    later = time.time() + 13 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert not keys.holds(good)


def test_a_session_of_other_keys_is_none(locked, monkeypatch):
    monkeypatch.setenv("CINESCRIBE_API_KEYS", KEY)
    hashes, secret = read_keys("")
    fewer = Keys(dataclasses.replace(locked, key_hashes=hashes, session_secret=secret))
    assert not fewer.holds(Keys(locked).session())


def test_neither_keys_nor_queries_are_logged(connect, locked):
    client = connect(locked)
    headers = {"authorization": f"Bearer {KEY}"}
    client.post("/v1/search", json={"text": "my private question"}, headers=headers)
    client.get("/v1/films", params={"query": "Kitchen-private"}, headers=headers)
    client.get("/v1/films", headers={"authorization": "Bearer wrong-but-secret"})
    client.post("/v1/session", json={"key": KEY})
    told = Path(locked.log).read_text()
    for secret in (KEY, "private", "wrong-but-secret"):
        assert secret not in told
    lines = [json.loads(line) for line in told.splitlines()]
    assert [line["status"] for line in lines] == [200, 200, 401, 204]
    assert all(line["request_id"] for line in lines)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1.evil.example"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/search", "/v1/search/upload", "/v1/session"])
def test_other_sites_cannot_send(client, headers, path):
    reply = client.post(path, json={"text": "dog"}, headers=headers)
    assert reply.status_code == 403
    assert "access-control-allow-origin" not in reply.headers


def test_the_own_page_can_send(client):
    headers = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
    assert client.post("/v1/search", json={"text": "dog"}, headers=headers).status_code == 200


def test_another_name_does_not_lead_here(connect, settings):
    client = connect(dataclasses.replace(settings, names=("127.0.0.1", "localhost", "::1")))
    assert client.get("/v1/films").status_code == 200
    assert client.get("/v1/films", headers={"host": "localhost:8000"}).status_code == 200
    assert client.get("/v1/films", headers={"host": "[::1]:8000"}).status_code == 200
    for host in ("rebound.example", "127.0.0.1.example", "localhost.example:80", "[::1", ""):
        assert client.get("/v1/films", headers={"host": host}).status_code == 403, host


@pytest.mark.parametrize("path", ["/", "/v1/films", "/v1/nothing", "/v1/media/series one/Kitchen", "/docs"])
def test_every_reply_carries_its_id_and_its_policy(client, path):
    reply = client.get(path)
    assert len(reply.headers["x-request-id"]) == 32
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"


def test_a_client_may_name_its_request_but_not_at_length(client):
    assert client.get("/healthz", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert len(client.get("/healthz", headers={"x-request-id": "x" * 500}).headers["x-request-id"]) == 32
    error = client.get("/v1/films/none", headers={"x-request-id": "mine-2"}).json()["error"]
    assert error["request_id"] == "mine-2"


def test_the_docs_need_nothing_from_elsewhere(client):
    page = client.get("/docs").text
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page


@pytest.mark.parametrize("written", ["short", "has a blank in it, long enough", "ümlaut-key-ümlaut-key"])
def test_a_weak_key_is_refused(tmp_path, monkeypatch, written):
    monkeypatch.delenv("CINESCRIBE_API_KEYS", raising=False)
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{written}\n")
    with pytest.raises(UsageError, match="API key"):
        read_keys(str(file))


def test_a_keys_file_without_keys_does_not_open_the_service(tmp_path, monkeypatch):
    monkeypatch.delenv("CINESCRIBE_API_KEYS", raising=False)
    file = tmp_path / "keys"
    file.write_text("# none yet\n")
    with pytest.raises(UsageError, match="no API key"):
        read_keys(str(file))
    with pytest.raises(UsageError, match="missing"):
        read_keys(str(tmp_path / "missing"))


def test_an_application_under_a_prefix_is_guarded_too(connect, locked):
    behind = connect(locked).app

    async def prefixed(scope, receive, send):
        await behind({**scope, "root_path": "/films", "path": "/films" + scope["path"]}, receive, send)

    assert TestClient(prefixed, base_url="http://127.0.0.1").get("/v1/films").status_code == 401


def test_tables_that_cannot_be_read_any_more_keep_what_was_read(connect, settings, library, tmp_path):
    root = tmp_path / "tables"
    shutil.copytree(library / "films", root / "films")
    client = connect(dataclasses.replace(settings, root=str(root)))
    before = client.get("/v1/films").json()
    (root / "films" / "broken.parquet").write_bytes(b"nothing")
    assert client.get("/v1/films").json() == before
    broken = connect(dataclasses.replace(settings, root=str(root))).get("/v1/films")
    assert broken.status_code == 503
    assert str(tmp_path) not in broken.text
    assert "retry-after" in broken.headers
