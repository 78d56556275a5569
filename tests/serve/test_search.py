"""Search over HTTP, without Ray: words, pictures, clips, and everything that is none."""

import asyncio
import dataclasses
import io
import json
import os
import shutil
import signal
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from cinescribe import tables
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.encoders.visual_words import LABELS, OBJECTS
from cinescribe.media.library import FilmRef
from cinescribe.search.query import Answer, Query
from serve.app import QueryEncoder
from serve.finding import IndexState
from tests.media.films import numbered_frame, read_number, tone, write_film
from tests.serve.library import build_index

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
HOSTILE = sorted(path for path in (DATA / "hostile").rglob("*") if path.is_file())


class Listener:
    """A finder that keeps what it was asked, and finds nothing."""

    def __init__(self) -> None:
        self.asked: list[Query] = []

    async def find(self, query: Query) -> Answer:
        self.asked.append(query)
        return Answer(())

    async def state(self) -> IndexState:
        return IndexState(0, {})


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def heard(connect, settings, listener):
    """A client of a service whose finder is `listener`."""
    return connect(settings, listener)


def send(client, data: bytes, **fields: str):
    return client.post("/v1/search/upload", files={"file": ("x", data)}, data=fields)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_moment_that_was_described_comes_first(client):
    reply = client.post("/v1/search", json={"text": "a dog runs"}).json()
    first = reply["moments"][0]
    assert first["film_id"] == "series one/Kitchen"
    assert first["start"] <= 3.4 <= 4.6 <= first["end"]
    why = first["why"][0]
    assert (why["source"], why["role"], why["rank"]) == ("description", "narrator", 1)
    assert "dog" in why["matched"]
    assert sum(one["share"] for one in first["why"]) == pytest.approx(first["score"])
    assert client.get(first["thumbnail"]).headers["content-type"] == "image/jpeg"
    assert client.get(first["media"]).status_code == 200
    assert reply["took_ms"] > 0


def test_filters_hold(client):
    found = client.post(
        "/v1/search", json={"text": "boat", "films": ["series one/Kitchen"], "limit": 3}
    ).json()
    assert {moment["film_id"] for moment in found["moments"]} == {"series one/Kitchen"}
    assert len(found["moments"]) <= 3
    said = client.post(
        "/v1/search", json={"text": "lock", "sources": ["speech"], "speakers": ["SPEAKER_02"]}
    ).json()
    assert said["moments"]
    assert {why["speaker"] for moment in said["moments"] for why in moment["why"]} == {"SPEAKER_02"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": "  "},
        {"text": "x" * 2001},
        {"text": "a", "limit": 0},
        {"text": "a", "limit": 101},
        {"text": "a", "limit": "many"},
        {"text": "a", "start": -1},
        {"text": "a", "start": 5, "end": 5},
        {"text": "a", "sources": ["smell"]},
        {"text": "a", "roles": ["king"]},
        {"text": "a", "unknown": 1},
        {"text": None},
        {"text": ["a"]},
        [],
        None,
        {"text": "a", "films": ["no such film"]},
        {"text": "a", "image_uri": "https://a/b", "clip_uri": "https://a/b"},
        {"text": "a", "films": "abc"},
    ],
)
def test_a_query_that_cannot_be_meant_says_why(client, body):
    reply = client.post("/v1/search", json=body)
    assert reply.status_code == 422
    error = reply.json()["error"]
    assert error["message"]
    assert error["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"text": "a"',
        b'{"text": NaN}',
        b'{"text": "\\ud800"}',
        b"[" * 100_000,
        b'{"start": 1e999, "text": "a"}',
        b'{"text": "a", "limit": 1' + b"0" * 5000 + b"}",
        b"\0",
    ],
)
def test_malformed_json_is_refused(client, content):
    reply = client.post("/v1/search", content=content, headers={"content-type": "application/json"})
    assert reply.status_code in (400, 422)
    assert reply.json()["error"]["message"]


def test_a_form_is_not_json(client):
    reply = client.post("/v1/search", content=b'{"text": "a"}', headers={"content-type": "text/plain"})
    assert reply.status_code == 422


def test_an_uploaded_picture_reaches_the_index(heard, listener):
    reply = send(heard, png(numbered_frame(42, 160, 120)), text="kitchen", limit="7")
    assert reply.status_code == 200
    (query,) = listener.asked
    assert query.frames.shape == (1, 120, 160, 3)
    assert read_number(query.frames[0]) == 42
    assert (query.text, query.limit) == ("kitchen", 7)


def test_an_uploaded_clip_reaches_the_index_in_order(heard, listener, tmp_path):
    clip = write_film(tmp_path / "clip.mp4", frames=100, size=(640, 480)).read_bytes()
    asked = json.dumps({"films": ["x"], "sources": ["visual"]})
    assert send(heard, clip, query=asked).status_code == 200
    (query,) = listener.asked
    numbers = [read_number(frame) for frame in query.frames]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == len(numbers) >= 4
    assert max(query.frames.shape[1:3]) <= 448
    assert query.filters.films == ("x",)


def test_a_photograph_is_turned_upright(heard, listener):
    image = Image.fromarray(numbered_frame(42, 160, 120)).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise for display
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    assert send(heard, buffer.getvalue()).status_code == 200
    assert read_number(listener.asked[0].frames[0]) == 42


def test_a_picture_in_a_library_without_clip_features_says_so(client):
    reply = send(client, png(numbered_frame(1, 64, 64)))
    assert reply.status_code == 422
    assert "CLIP" in reply.json()["error"]["message"]
    assert "/" not in reply.json()["error"]["message"]


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is very large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 422),
        (b"text", 415),
        (b"#EXTM3U\nhttp://169.254.169.254/latest\n", 415),
        (b"\0" * 5000, 415),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (b"%PDF-1.4", 415),
        (b"\xff\xd8\xff\xe0" + b"x" * 99, 422),
        (b"GIF89a", 415),
        (b"RIFF\xff\xff\xff\xffWEBPVP8 ", 422),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 99, 422),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415),
    ],
    ids=range(12),
)
def test_what_is_neither_picture_nor_clip(heard, data, status):
    reply = send(heard, data)
    assert reply.status_code == status
    assert "/tmp" not in reply.text


def test_a_decompression_bomb_is_refused_by_its_size(heard):
    reply = send(heard, bomb(60_000, 60_000))
    assert reply.status_code == 422
    assert "60000 x 60000" in reply.json()["error"]["message"]


def test_a_long_clip_is_refused(connect, settings, tmp_path):
    client = connect(dataclasses.replace(settings, clip_seconds=2.0), Listener())
    clip = write_film(tmp_path / "clip.mp4", frames=75).read_bytes()
    reply = send(client, clip)
    assert reply.status_code == 422
    assert "2 s" in reply.json()["error"]["message"]


def test_sound_alone_is_no_clip(heard, tmp_path):
    sound = write_film(
        tmp_path / "sound.wav", frames=0, audio=tone(1.0, 8000), audio_rate=8000, audio_codec="pcm_s16le"
    )
    assert send(heard, sound.read_bytes()).status_code == 422


def test_a_decoder_that_takes_too_long_is_ended(connect, settings, tmp_path):
    client = connect(dataclasses.replace(settings, decode_seconds=0.01), Listener())
    clip = write_film(tmp_path / "clip.mp4", frames=10).read_bytes()
    reply = send(client, clip)
    assert reply.status_code == 422
    assert reply.json()["error"]["code"] == "stalled"
    assert client.get("/healthz").status_code == 200


@pytest.mark.skipif(not HOSTILE, reason="the collection of hostile files is not there")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hostile_media_get_an_answer_or_a_reason(heard):
    for path in HOSTILE[:: max(1, len(HOSTILE) // 12)]:
        if path.stat().st_size < 8 * 2**20:
            reply = send(heard, path.read_bytes())
            assert reply.status_code in (200, 415, 422), path.name
            assert reply.status_code == 200 or reply.json()["error"]["message"], path.name


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"junk", "multipart/form-data"),
        (b"a=b", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (
            b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nabc\r\n--x--",
            "multipart/form-data; boundary=x",
        ),
    ],
    ids=range(6),
)
def test_a_form_without_a_file(heard, content, kind):
    reply = heard.post("/v1/search/upload", content=content, headers={"content-type": kind})
    assert reply.status_code in (400, 422)
    assert reply.json()["error"]["message"]


def test_two_files_or_a_wrong_field(heard):
    two = [("file", ("a", b"x")), ("file", ("b", b"y"))]
    assert heard.post("/v1/search/upload", files=two).status_code == 400
    picture = png(numbered_frame(1, 64, 64))
    assert send(heard, picture, limit="many").status_code == 422
    assert send(heard, picture, surprise="1").status_code == 422
    assert send(heard, picture, query="{").status_code in (400, 422)
    assert send(heard, picture, image_uri="https://example.org/a.png").status_code == 422


def test_nothing_of_an_upload_stays_behind(heard, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    send(heard, png(numbered_frame(1, 640, 480)))
    send(heard, b"junk" * 10)
    assert [path for path in tmp_path.iterdir() if path.name.startswith("cinescribe-")] == []


def test_the_death_of_the_decoding_program_costs_no_later_request(heard):
    assert send(heard, png(numbered_frame(1, 64, 64))).status_code == 200
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"serve.decode" in (process / "cmdline").read_bytes() and parent(process) == os.getpid():
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue
    replies = [send(heard, png(numbered_frame(1, 64, 64))).status_code for _ in range(2)]
    assert replies[-1] == 200


def parent(process: Path) -> int:
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])


def test_what_was_recognised_after_the_start_is_found_without_a_new_start(library, settings, tmp_path):
    root = tmp_path / "tables"
    shutil.copytree(library, root)
    dog = next(label.id for label in LABELS if label.name == "golden retriever")
    film, spec = FilmRef("series one/Kitchen", "", 0, ""), EncoderSpec("objects", 1.0, len(OBJECTS), (0.5,))
    seen = np.zeros((7, spec.dim), np.float16)
    seen[:, dog] = 0.9

    async def labels() -> tuple[set[int], set[int]]:
        encoder = QueryEncoder(dataclasses.replace(settings, root=str(root), refresh_seconds=0.2), 1)
        encode = encoder.encode.__wrapped__  # batches are made in a replica only
        (before,) = await encode(encoder, ["a golden retriever"])
        row = tables.feature_row(film, (0, 0.0, 7.0), spec, 0, seen, {})
        tables.write_row(str(root), "features/objects", film.film_id, row, chunk=0)
        await asyncio.to_thread(build_index, root)
        await asyncio.sleep(1.0)
        (after,) = await encode(encoder, ["a golden retriever"])
        return set(before.labels), set(after.labels)

    before, after = asyncio.run(labels())
    assert before == set()
    assert dog in after


def test_a_body_that_is_not_sent_as_json_is_told_how(client: TestClient) -> None:
    reply = client.post("/v1/search", content='{"text": "x"}')
    assert reply.status_code == 422
    assert "Content-Type: application/json" in reply.json()["error"]["message"]
