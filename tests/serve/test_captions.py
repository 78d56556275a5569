"""Descriptions over HTTP: as the library gives them, of films and of clips, in company, and refused."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree

import httpx
import pytest
import torch
from starlette.testclient import TestClient

from cinescribe import tables
from cinescribe.describe.describer import FilmDescriber
from cinescribe.encoders import catalogue
from cinescribe.encoders.extraction import OpenFilm, extract
from cinescribe.errors import UsageError
from cinescribe.models import autoad_files
from cinescribe.models.autoad import Example
from serve.decode import Evenly, evenly
from serve.describing import Asked, Captioner, Described, LocalDescriber, Prepared, Refused, described_by
from serve.settings import Settings
from tests.media.films import numbered_frame, tone, write_film
from tests.serve.captioning import FILM, FRAMES, HZ, TEXTS, look, write_features
from tests.serve.test_search import HOSTILE, Listener, bomb, png

URL = "/v1/captions"
ISLAND = "Ærø & the sea #1?"
Connect = Callable[..., TestClient]


@pytest.fixture(scope="module")
def root(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library's tables with features of one of its two films."""
    folder = tmp_path_factory.mktemp("captions")
    (folder / "films").symlink_to(library.parent / "films")
    copytree(library, folder / "tables")
    write_features(folder / "tables")
    return folder / "tables"


@pytest.fixture(scope="module")
def captioner(root: Path, describer: Path) -> Captioner:
    known = described_by(str(describer), "")
    return Captioner(Settings(root=str(root), describing=known, threads=1, refresh_seconds=0.0))


@pytest.fixture
def own(settings: Settings, root: Path, describer: Path) -> Settings:
    return dataclasses.replace(settings, root=str(root), describing=described_by(str(describer), ""))


@pytest.fixture
def client(connect: Connect, own: Settings, captioner: Captioner) -> TestClient:
    return connect(own, Listener(), LocalDescriber(captioner))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=100, size=(320, 240))


def ask(client: TestClient, **fields: object) -> dict[str, object]:
    reply = client.post(URL, json=fields)
    assert reply.status_code == 200, reply.text
    told: dict[str, object] = reply.json()
    return told


def from_library(root: Path, model: Path, *spans: tuple[float, float], beams: int) -> list[str]:
    """What the library says of stretches of the film, one after the other."""
    read = tables.read_features(str(root), "objects", FILM)
    row = tables.read_row(str(root), "speech", FILM)
    assert read is not None
    assert row is not None
    said = FilmDescriber(model, beams=beams, threads=1)(FILM, read, spans, tables.utterances_of(row))
    return [one.text for one in said]


def test_a_stretch_of_a_film_is_described_as_the_library_does(
    client: TestClient, root: Path, describer: Path
) -> None:
    said = []
    for span in ((0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (2.7, 5.2), (6.5, 99.0)):
        told = ask(client, film=FILM, start=span[0], end=span[1])
        assert [told["text"]] == from_library(root, describer, span, beams=5)
        assert 0 < float(str(told["score"])) <= 1
        assert told["machine_made"] is True
        said.append(told["text"])
    assert said[:3] == [TEXTS[1], TEXTS[0], TEXTS[2]]
    assert (told["film"], told["start"], told["end"]) == (FILM, 6.5, pytest.approx(7.0, abs=0.05))
    assert told["features"] == {"encoder": "objects", "hz": HZ, "frames": FRAMES}
    model = FilmDescriber(describer)
    assert told["model"] == {"name": "/".join(describer.parts[-2:]), "weight": model.weight}


def test_context_is_read(client: TestClient, root: Path, describer: Path, captioner: Captioner) -> None:
    first, second = from_library(root, describer, (3.0, 4.0), (5.0, 6.0), beams=1)
    told = ask(client, film=FILM, start=5.0, end=6.0, context=[first], style="quick")
    assert (told["text"], told["style"]) == (second, "quick")
    scores = {
        ask(client, film=FILM, start=5.0, end=6.0, context=context, subtitles=lines)["score"]
        for context, lines in (([], None), (TEXTS, None), ([], []), ([], ["A dog!"]))
    }
    assert len(scores) == 4


def test_a_clip_that_is_sent_is_described_from_the_features_extract_gives(
    client: TestClient, clip: Path, describer: Path
) -> None:
    encoder = catalogue.load("objects@2", threads=1)
    (found,) = extract(OpenFilm(clip), {"objects": encoder}, {"objects": range(8)})
    seen = tables.features_of([_as_chunk(found.features)])
    for fields, span in (({}, (0.0, 4.0)), ({"start": "1", "end": "2.5"}, (1.0, 2.5))):
        with clip.open("rb") as file:
            reply = client.post(URL, files={"file": ("a.mp4", file)}, data={**fields, "subtitles": ""})
        told = reply.json()
        assert reply.status_code == 200, told
        (said,) = FilmDescriber(describer, threads=1)("clip", seen, [span], [])
        assert told["text"] == said.text
        assert told["score"] == pytest.approx(said.score, rel=0.02)  # 16-bit features, in other batches
        assert (told["film"], told["start"], told["end"]) == (None, *span)


def _as_chunk(array):  # type: ignore[no-untyped-def]
    import pyarrow as pa

    from cinescribe.media.library import FilmRef

    row = tables.feature_row(
        FilmRef("clip", "", 0, ""), (0, 0.0, len(array) / HZ), catalogue.spec("objects@2"), 0, array, {}
    )
    return pa.Table.from_pylist([row], schema=tables.schema_of("features/objects"))


def test_a_clip_at_an_address_only_where_that_is_allowed(
    connect: Connect, own: Settings, captioner: Captioner, client: TestClient, clip: Path
) -> None:
    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(clip.parent)))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    try:
        uri = f"http://127.0.0.1:{served.server_port}/clip.mp4"
        assert client.post(URL, json={"uri": uri}).status_code == 403
        allowing = dataclasses.replace(own, allow=(f"http://127.0.0.1:{served.server_port}/",))
        told = ask(connect(allowing, Listener(), LocalDescriber(captioner)), uri=uri)
        assert (told["film"], told["start"], told["end"]) == (None, 0.0, 4.0)
    finally:
        served.shutdown()
        served.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"film": FILM},
        {"film": FILM, "start": 1},
        {"film": FILM, "start": 2, "end": 2},
        {"film": FILM, "start": 3, "end": 2},
        {"film": FILM, "start": -1, "end": 2},
        {"film": FILM, "start": 7.5, "end": 9},
        {"film": FILM, "start": 0, "end": 2, "style": "poetic"},
        {"film": FILM, "start": 0, "end": 2, "context": ["x"] * 33},
        {"film": FILM, "start": 0, "end": 2, "context": ["x" * 501]},
        {"film": FILM, "start": 0, "end": 2, "subtitles": ["x"] * 33},
        {"film": FILM, "start": 0, "end": 2, "names": ["x"] * 201},
        {"film": FILM, "start": 0, "end": 2, "uri": "https://a/b"},
        {"uri": "https://a/b", "end": 0},
        {"film": FILM, "start": 0, "end": 2, "more": 1},
        [],
        None,
    ],
)
def test_what_cannot_be_meant_says_why(client: TestClient, body: object) -> None:
    reply = client.post(URL, json=body)
    assert reply.status_code == 422
    assert reply.json()["error"]["message"]


def test_long_stretches_are_refused(connect: Connect, own: Settings, captioner: Captioner) -> None:
    assert own.describing
    short = dataclasses.replace(own, describing=dataclasses.replace(own.describing, seconds=2.0))
    client = connect(short, Listener(), LocalDescriber(captioner))
    assert client.post(URL, json={"film": FILM, "start": 1, "end": 3}).status_code == 200
    reply = client.post(URL, json={"film": FILM, "start": 1, "end": 3.1})
    assert reply.status_code == 422
    assert "2 s" in reply.json()["error"]["message"]


def test_only_json_and_forms_are_taken(client: TestClient) -> None:
    assert client.post(URL, content="{", headers={"content-type": "application/json"}).status_code == 400
    reply = client.post(URL, content='{"film": "x"}', headers={"content-type": "text/plain"})
    assert reply.status_code == 422
    assert "application/json" in reply.json()["error"]["message"]
    assert client.post(URL, files={"other": ("x", b"y")}).status_code == 422
    assert client.post(URL, files={"file": ("x", b"y")}, data={"film": FILM}).status_code == 422
    stretch = {"film": FILM, "start": "0", "end": "1"}
    reply = client.post(URL, files={"context": ("before.txt", b"She sits.")}, data=stretch)
    assert reply.status_code == 422  # a file is no text
    assert "context" in reply.json()["error"]["message"]


def error_of(client: TestClient, film: str = FILM, **more: object) -> tuple[int, str, str]:
    reply = client.post(URL, json={"film": film, "start": 0, "end": 2, **more})
    error = reply.json()["error"]
    return reply.status_code, error["code"], error["message"]


def test_what_a_film_lacks_is_told(client: TestClient, root: Path) -> None:
    assert error_of(client, "nowhere")[:2] == (404, "no-film")
    status, code, message = error_of(client, ISLAND)
    assert (status, code) == (409, "no-features")
    assert "cinescribe extract" in message
    assert "objects@2" in message
    path = root / "speech" / tables.file_name(FILM)
    kept = path.read_bytes()
    path.unlink()
    try:
        status, code, message = error_of(client)
        assert (status, code) == (409, "no-speech")
        assert "cinescribe transcribe" in message
        assert client.post(URL, json={"film": FILM, "start": 0, "end": 2, "subtitles": []}).status_code == 200
    finally:
        path.write_bytes(kept)
    row = tables.read_row(str(root), "films", FILM)
    assert row is not None
    tables.write_row(str(root), "films", FILM, {**row, "etag": "another"})
    try:
        assert error_of(client)[:2] == (409, "no-features")
    finally:
        tables.write_row(str(root), "films", FILM, row)


def test_without_a_model_it_says_how_to_get_one(connect: Connect, settings: Settings) -> None:
    client = connect(settings, Listener())
    status, code, message = error_of(client)
    assert (status, code) == (404, "no-describer")
    assert "--describer" in message
    assert client.get("/readyz").json()["captions"] is False


def test_clips_need_an_encoder_that_is_known(
    connect: Connect, own: Settings, captioner: Captioner, clip: Path
) -> None:
    assert own.describing
    blind = dataclasses.replace(own, describing=dataclasses.replace(own.describing, encoder="", offsets=()))
    reply = connect(blind, Listener(), LocalDescriber(captioner)).post(
        URL, files={"file": ("a.mp4", clip.read_bytes())}
    )
    assert reply.status_code == 422
    assert "--describer-encoder" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 422),
        (b"text", 415),
        (b"#EXTM3U\nhttp://169.254.169.254/latest\n", 415),
        (b"\0\0\0\x18ftypmp42" + b"\0" * 99, 422),
        (png(numbered_frame(1, 64, 64)), 415),
        (bomb(60_000, 60_000), 415),
    ],
    ids=range(6),
)
def test_what_is_no_clip(client: TestClient, data: bytes, status: int) -> None:
    reply = client.post(URL, files={"file": ("x", data)})
    assert reply.status_code == status
    assert "/tmp" not in reply.text
    assert reply.json()["error"]["message"]


def test_a_short_clip_fits_what_may_be_sent_on_though_its_frames_come_often(tmp_path: Path) -> None:
    short = write_film(tmp_path / "short.mp4", frames=40, size=(1280, 720))
    offsets = [number / 16 for number in range(16)]  # S3D sees a clip around each second
    wanted: Evenly = {
        "start": 0.0, "end": None, "longest": 60.0, "hz": 1.0, "offsets": offsets, "frames": 8
    }  # fmt: skip
    frames, _ = evenly(short, 50_000_000, 60.0, wanted)
    assert len(frames) == 8 * 16
    assert frames.nbytes <= 64 * 2**20


def test_sound_alone_is_no_clip(client: TestClient, tmp_path: Path) -> None:
    sound = write_film(
        tmp_path / "a.wav", frames=0, audio=tone(1.0, 8000), audio_rate=8000, audio_codec="pcm_s16le"
    )
    assert client.post(URL, files={"file": ("x", sound.read_bytes())}).status_code == 422


@pytest.mark.skipif(not HOSTILE, reason="the collection of hostile files is not there")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hostile_media_get_an_answer_or_a_reason(client: TestClient) -> None:
    for path in HOSTILE:
        reply = client.post(URL, files={"file": ("x", path.read_bytes())})
        assert reply.status_code in (200, 413, 415, 422), path
        assert client.get("/healthz").status_code == 200


def asked(start: float, **more: object) -> Asked:
    return Asked(**{"style": "careful", "film": FILM, "start": start, "end": start + 1, **more})  # type: ignore[arg-type]


def test_in_company_a_clip_gets_what_it_gets_alone(captioner: Captioner) -> None:
    clips = [
        asked(0.0),
        asked(1.0, context=tuple(TEXTS)),
        asked(2.0, style="quick"),
        asked(3.0, subtitles=("Who is there, in the dark, at this time of night?",)),
        asked(4.0, context=(TEXTS[0],), style="quick"),
        asked(5.0),
    ]
    ready = [captioner.prepare(one) for one in clips]
    assert all(isinstance(one, Prepared) for one in ready)
    together = captioner.describe(ready)  # type: ignore[arg-type]
    for one, found in zip(ready, together, strict=True):
        (alone,) = captioner.describe([one])  # type: ignore[list-item]
        assert isinstance(alone, Described)
        assert isinstance(found, Described)
        assert found.text == alone.text
        assert found.score == pytest.approx(alone.score, rel=1e-3)
    assert len({one.text for one in together if isinstance(one, Described)}) == 3


def test_a_clip_that_fails_fails_alone(captioner: Captioner) -> None:
    good = captioner.prepare(asked(0.0))
    assert isinstance(good, Prepared)
    long = Prepared(Example(torch.from_numpy(look(0, 9)).float()), "careful")  # the model has 8 positions
    before, bad, after = captioner.describe([good, long, good])
    assert isinstance(bad, Refused)
    assert bad.status == 500
    assert before == after
    assert isinstance(before, Described)
    assert before.text == TEXTS[1]


def test_the_encoder_is_told_from_the_features_or_has_to_be_theirs(describer: Path, tmp_path: Path) -> None:
    known = described_by(str(describer), "")
    assert (known.encoder, known.offsets) == ("objects@2", (0.25,))
    with pytest.raises(UsageError, match="objects at 1 a second"):
        described_by(str(describer), "objects@1")
    inputs = autoad_files.Inputs("clip-ViT-S-32-alt-epoch_1-0123abcd-5hz", 5.0, 8)
    autoad_files.save(autoad_files.load(describer), tmp_path, inputs)
    assert described_by(str(tmp_path), "").encoder == ""
    for written in ("clip@5", "clip:ViT-L-14/openai@5", "s3d:joint@1"):
        spec = catalogue.spec(written)
        assert catalogue.of_table(spec.name, spec.hz) == written


# ---- the real service ---------------------------------------------------------------------------


@pytest.fixture
def http(service: str, library: Path) -> Iterator[httpx.Client]:
    write_features(library)
    with httpx.Client(base_url=service, timeout=60) as client:
        yield client


def test_the_service_describes_films_and_clips(http: httpx.Client, captioner: Captioner, clip: Path) -> None:
    assert http.get("/readyz").json()["captions"] is True
    spans = [0.0, 1.0, 2.0]

    def caption(start: float) -> httpx.Response:
        return http.post(URL, json={"film": FILM, "start": start, "end": start + 1})

    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(caption, spans))
    for start, reply in zip(spans, replies, strict=True):
        assert reply.status_code == 200, reply.text
        ready = captioner.prepare(asked(start))
        assert isinstance(ready, Prepared)
        (alone,) = captioner.describe([ready])
        assert isinstance(alone, Described)
        assert reply.json()["text"] == alone.text
    sent = http.post(URL, files={"file": ("a.mp4", clip.read_bytes())}, data={"context": TEXTS})
    assert sent.status_code == 200, sent.text
    assert sent.json()["text"]
    assert http.post(URL, files={"file": ("a.mp4", b"x" * 5000)}).status_code == 415
    assert http.post(URL, json={"film": "nowhere", "start": 0, "end": 1}).status_code == 404


def test_too_many_are_told_to_wait_and_then_it_recovers(http: httpx.Client, service: str) -> None:
    def caption(number: int) -> httpx.Response:
        asks = {"film": FILM, "start": number % 6, "end": number % 6 + 1}
        return httpx.post(service + URL, json=asks, timeout=120)

    with ThreadPoolExecutor(60) as pool:
        replies = list(pool.map(caption, range(120)))
    assert {reply.status_code for reply in replies} == {200, 503}
    for reply in replies:
        if reply.status_code == 503:
            assert int(reply.headers["retry-after"]) >= 1
            assert reply.json()["error"]["code"] == "full"
        else:
            assert reply.json()["text"]
    assert http.post(URL, json={"film": FILM, "start": 0, "end": 1}).status_code == 200
