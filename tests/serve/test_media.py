"""The films' bytes: ranges, validators, and nothing from outside the media roots."""

import dataclasses
import os
from pathlib import Path

import pytest

from cinescribe import storage, tables
from cinescribe.media.library import list_films
from serve.media import PIECE, open_film

ADDRESS = "/v1/media/series one/Kitchen"


@pytest.fixture
def film(library: Path) -> bytes:
    return (library.parent / "films" / "series one" / "Kitchen.mp4").read_bytes()


def test_the_whole_film(client, film):
    reply = client.get(ADDRESS)
    assert reply.status_code == 200
    assert reply.content == film
    assert reply.headers["content-type"] == "video/mp4"
    assert reply.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=-5", -5, None),
        ("bytes=100-", 100, None),
        ("bytes=50-99999999", 50, None),
        ("bytes=-99999999", 0, None),
    ],
)
def test_a_range(client, film, asked, start, end):
    reply = client.get(ADDRESS, headers={"range": asked})
    assert reply.status_code == 206
    assert reply.content == film[start:end]
    first = start % len(film)
    assert reply.headers["content-range"] == f"bytes {first}-{first + len(reply.content) - 1}/{len(film)}"
    assert int(reply.headers["content-length"]) == len(reply.content)


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_range_outside_the_film(client, film, asked):
    reply = client.get(ADDRESS, headers={"range": asked})
    assert reply.status_code == 416
    assert reply.headers["content-range"] == f"bytes */{len(film)}"


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=0-1,4-5", "pages=1-2", "bytes=a-b", "bytes=-", "bytes=٣-٤".encode()]
)
def test_a_range_that_is_none_gives_the_whole_film(client, film, asked):
    reply = client.get(ADDRESS, headers={"range": asked})
    assert reply.status_code == 200
    assert reply.content == film


def test_head_tells_without_sending(client, film):
    reply = client.head(ADDRESS)
    assert reply.status_code == 200
    assert int(reply.headers["content-length"]) == len(film)
    assert reply.content == b""
    assert client.head(ADDRESS, headers={"range": "bytes=0-9"}).headers["content-length"] == "10"


def test_what_one_has_is_not_sent_again(client, film):
    head = client.head(ADDRESS).headers
    assert client.get(ADDRESS, headers={"if-none-match": head["etag"]}).status_code == 304
    assert client.get(ADDRESS, headers={"if-none-match": '"other"'}).status_code == 200
    assert client.get(ADDRESS, headers={"if-modified-since": head["last-modified"]}).status_code == 304


def test_a_range_of_another_version_gives_the_whole_film(client, film):
    etag = client.head(ADDRESS).headers["etag"]
    same = client.get(ADDRESS, headers={"range": "bytes=0-9", "if-range": etag})
    other = client.get(ADDRESS, headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert (same.status_code, other.status_code) == (206, 200)
    assert other.content == film


@pytest.fixture
def elsewhere(tmp_path: Path, connect, settings):
    """A library whose one film is whatever a test puts at `films/film.wav`; its path, and a client."""
    path, root = tmp_path / "films" / "film.wav", tmp_path / "tables"
    path.parent.mkdir()
    path.write_bytes(os.urandom(PIECE + 1000))
    (film,) = list_films([str(path)])
    row = {
        "film_id": "film",
        "uri": film.uri,
        "etag": film.etag,
        "duration": 1.0,
        "fps": 0.0,
        "width": 0,
        "height": 0,
        "rotation": 0,
        "audio_rate": 8000,
        "shots": [],
    }
    tables.write_row(str(root), "films", "film", row)
    return path, lambda **changes: connect(dataclasses.replace(settings, root=str(root), **changes))


def test_a_range_is_sent_a_piece_at_a_time(elsewhere):
    path, client = elsewhere
    reply = client().get("/v1/media/film", headers={"range": "bytes=0-"})
    assert reply.status_code == 206
    assert reply.content == path.read_bytes()[:PIECE]
    assert reply.headers["content-range"].endswith(f"/{PIECE + 1000}")


def test_a_link_out_of_the_media_root_is_not_followed(elsewhere, tmp_path):
    path, client = elsewhere
    secret = tmp_path / "secret.txt"
    secret.write_text("very secret")
    path.unlink()
    path.symlink_to(secret)
    reply = client().get("/v1/media/film")
    assert reply.status_code == 404
    assert "secret" not in reply.text
    # Who names the folder means it.
    assert client(media_roots=(str(tmp_path),)).get("/v1/media/film").text == "very secret"


def test_a_link_within_the_media_root_is_followed(elsewhere):
    path, client = elsewhere
    data = path.read_bytes()
    path.rename(path.with_name("real.wav"))
    path.symlink_to("real.wav")
    assert client().get("/v1/media/film").content == data


def test_only_named_roots_when_some_are_named(elsewhere, tmp_path):
    path, client = elsewhere
    other = tmp_path / "other"
    other.mkdir()
    assert client(media_roots=(str(other),)).get("/v1/media/film").status_code == 404
    assert client(media_roots=(str(path.parent),)).get("/v1/media/film").status_code == 200


def test_a_pipe_or_a_missing_file_answers_at_once(elsewhere):
    path, client = elsewhere
    connected = client()
    path.unlink()
    assert connected.get("/v1/media/film").status_code == 404
    os.mkfifo(path)
    assert connected.get("/v1/media/film").status_code == 404
    assert connected.get("/v1/thumbnails/film").status_code == 404


def test_a_film_on_s3_in_ranges(bucket, tmp_path, connect, settings, film):
    storage.s3_client().put_object(Bucket="films", Key="a/Kitchen.mp4", Body=film)
    root = tmp_path / "tables"
    row = {
        "film_id": "Kitchen",
        "uri": "s3://films/a/Kitchen.mp4",
        "etag": "x",
        "duration": 7.0,
        "fps": 25.0,
        "width": 320,
        "height": 180,
        "rotation": 0,
        "audio_rate": 48000,
        "shots": [],
    }
    tables.write_row(str(root), "films", "Kitchen", row)
    client = connect(dataclasses.replace(settings, root=str(root)))
    whole = client.get("/v1/media/Kitchen")
    assert whole.content == film
    part = client.get(
        "/v1/media/Kitchen", headers={"range": "bytes=7-1006", "if-range": whole.headers["etag"]}
    )
    assert part.status_code == 206
    assert part.content == film[7:1007]
    assert client.get("/v1/thumbnails/Kitchen?time=2").headers["content-type"] == "image/jpeg"
    other = connect(dataclasses.replace(settings, root=str(root), media_roots=("s3://films/b",)))
    assert other.get("/v1/media/Kitchen").status_code == 404
    storage.s3_client().delete_object(Bucket="films", Key="a/Kitchen.mp4")
    assert client.get("/v1/media/Kitchen").status_code == 404


def test_a_film_that_nobody_reads_stays_open_for_nobody(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(10))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        opened = open_film({"uri": str(path)}, ())
        opened.read(0, 10)  # the client left before the first byte
    del opened
    assert len(os.listdir("/proc/self/fd")) <= before + 5
