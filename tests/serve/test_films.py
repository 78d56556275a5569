"""The library over HTTP: lists, films, tracks and pictures of moments."""

import asyncio
import contextlib
import dataclasses
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cinescribe import tables
from cinescribe.subtitles import from_vtt
from serve.decoding import Decoder
from serve.thumbnails import Thumbnails
from tests.media.films import read_number

KITCHEN, FERRY = "series one/Kitchen", "Ærø & the sea #1?"


def test_the_list_names_every_film(client):
    reply = client.get("/v1/films").json()
    assert [film["film_id"] for film in reply["films"]] == sorted([KITCHEN, FERRY])
    assert reply["next"] is None
    kitchen = next(film for film in reply["films"] if film["film_id"] == KITCHEN)
    assert kitchen["title"] == "Kitchen"
    assert kitchen["duration"] == pytest.approx(7.0, abs=0.05)
    assert (kitchen["width"], kitchen["height"], kitchen["playable"]) == (320, 180, True)
    assert {track["kind"] for track in kitchen["tracks"]} == {"captions", "descriptions"}


def test_pages_follow_one_another(client):
    first = client.get("/v1/films", params={"limit": 1}).json()
    second = client.get("/v1/films", params={"limit": 1, "after": first["next"]}).json()
    assert [film["film_id"] for film in first["films"] + second["films"]] == sorted([KITCHEN, FERRY])
    assert second["next"] is None


def test_a_part_of_the_name_is_found_whatever_its_case(client):
    found = client.get("/v1/films", params={"query": "ærØ"}).json()["films"]
    assert [film["film_id"] for film in found] == [FERRY]


@pytest.mark.parametrize("film_id", [KITCHEN, FERRY])
def test_every_address_in_a_film_leads_somewhere(client, film_id):
    listed = next(film for film in client.get("/v1/films").json()["films"] if film["film_id"] == film_id)
    for address in (listed["media"], listed["thumbnail"], *(track["src"] for track in listed["tracks"])):
        assert client.get(address).status_code == 200, address


def test_a_film_tells_who_speaks_for_how_long(client):
    film = client.get("/v1/films/series%20one%2FKitchen").json()
    assert film == client.get("/v1/films/series one/Kitchen").json()
    voices = {(voice["speaker"], voice["role"]): voice["seconds"] for voice in film["speakers"]}
    assert voices == {
        ("SPEAKER_00", "narrator"): pytest.approx(2.6),
        ("SPEAKER_01", "dialogue"): pytest.approx(1.2),
        ("SPEAKER_02", "dialogue"): pytest.approx(1.4),
    }
    assert film["language"] == "en"


def test_tracks_are_webvtt_of_their_role(client):
    reply = client.get("/v1/tracks/series one/Kitchen", params={"kind": "descriptions"})
    assert reply.headers["content-type"].startswith("text/vtt")
    cues = from_vtt(reply.text)
    assert [cue.text for cue in cues] == [
        "Emma pours boiling water into a red teapot.",
        "A dog runs across the wooden floor.",
    ]
    dialogue = from_vtt(client.get("/v1/tracks/series one/Kitchen").text)
    assert [(cue.start, cue.speaker) for cue in dialogue] == [(2.0, "SPEAKER_01"), (5.0, "SPEAKER_02")]


@pytest.mark.parametrize("seconds", [0.0, 5.4])
def test_a_thumbnail_shows_its_moment(client, seconds):
    reply = client.get("/v1/thumbnails/series one/Kitchen", params={"time": seconds, "width": 320})
    assert reply.headers["content-type"] == "image/jpeg"
    picture = np.asarray(Image.open(io.BytesIO(reply.content)))
    assert picture.shape == (180, 320, 3)
    assert read_number(picture) == round(seconds * 25)


def test_a_thumbnail_after_the_end_shows_the_end(client):
    reply = client.get("/v1/thumbnails/series one/Kitchen", params={"time": 500})
    assert read_number(np.asarray(Image.open(io.BytesIO(reply.content)))) >= 172


def test_thumbnails_are_kept_within_their_bound(connect, settings):
    small = dataclasses.replace(settings, cache_bytes=3000)
    client = connect(small)
    for second in range(3):
        reply = client.get("/v1/thumbnails/series one/Kitchen", params={"time": second})
        assert reply.status_code == 200
    again = client.get(
        "/v1/thumbnails/series one/Kitchen",
        params={"time": 2},
        headers={"if-none-match": reply.headers["etag"]},
    )
    assert again.status_code == 304
    sizes = [path.stat().st_size for path in Path(small.cache).iterdir()]
    assert 0 < sum(sizes) <= 3000


@pytest.mark.parametrize("kind", ["films", "media", "tracks", "thumbnails"])
@pytest.mark.parametrize(
    "film_id",
    [
        "nothing",
        "..%2ffilms%2fseries one/Kitchen",
        "..%2f..%2fetc%2fpasswd",
        "%2Fetc%2Fpasswd",
        "series one/Kitchen.mp4",
        "series one/Kitchen%00",
        "series one//Kitchen",
        "%2e%2e/%2e%2e/etc/passwd",
        "x" * 3000,
        "%ff%fe",
        "C:%5Cboot.ini",
    ],
)
def test_only_films_of_the_tables_exist(client, kind, film_id):
    reply = client.get(f"/v1/{kind}/{film_id}")
    assert reply.status_code in (400, 404)
    assert reply.json()["error"]["message"]
    assert "root:" not in reply.text


def test_a_damaged_row_of_speech_hides_neither_the_library_nor_its_film(connect, settings, tmp_path):
    root = tmp_path / "tables"
    shutil.copytree(settings.root, root)
    (root / "speech" / tables.file_name(KITCHEN)).write_bytes(b"PAR1 half of a row")
    client = connect(dataclasses.replace(settings, root=str(root)))
    films = {film["film_id"]: film["tracks"] for film in client.get("/v1/films").json()["films"]}
    assert films[KITCHEN] == []
    assert len(films[FERRY]) == 2
    assert client.get(f"/v1/films/{KITCHEN}").json()["speakers"] == []
    assert client.get(f"/v1/tracks/{KITCHEN}").status_code == 404


def children() -> int:
    """How many files the decoding program of this process decodes at this moment."""
    parents, programs = {}, set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if b"\0serve.decode\0" in (process / "cmdline").read_bytes():
                programs.add(int(process.name))
    own = {number for number in programs if parents[number] == os.getpid()}
    return sum(above in own for above in parents.values())


def test_who_leaves_makes_no_room_for_further_decoding(tmp_path):
    os.mkfifo(tmp_path / "never")  # opening it takes all the time there is

    async def leave() -> list[int]:
        decoder, found = Decoder(2.5, 1000, 1.0), []
        for _ in range(3):
            asked = [asyncio.create_task(decoder.frames(tmp_path / "never")) for _ in range(4)]
            while not children():
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)
            found.append(children())
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return found

    assert max(asyncio.run(leave())) <= 4


def test_pictures_that_nobody_waits_for_are_not_made(settings, tmp_path):
    class Busy:
        begun = 0
        turn = asyncio.Semaphore(1)

        async def thumbnail(self, path, time, width):
            async with self.turn:
                self.begun += 1
                await asyncio.sleep(0.05)
            return b"picture"

    async def leave() -> tuple[int, bytes]:
        busy = Busy()
        pictures = Thumbnails(settings, busy)
        row = {"uri": str(tmp_path / "film.mp4"), "etag": "1"}
        asked = [asyncio.create_task(pictures.picture(row, k, 320)) for k in range(50)]
        await asyncio.sleep(0.02)
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        return busy.begun, (await pictures.picture(row, 7, 320))[0]

    begun, picture = asyncio.run(leave())
    assert begun == 1
    assert picture == b"picture"
