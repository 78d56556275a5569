"""Corrections of generated descriptions over HTTP."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cinescribe import tables
from cinescribe.subtitles import from_vtt
from serve.settings import Settings
from tests.serve.described import (
    ADDRESS,
    CAT,
    FERRY,
    KITCHEN,
    MAN,
    POT,
    SENTENCES,
    describe_kitchen,
    lock_corrections,
)


@pytest.fixture
def described(library: Path, tmp_path: Path) -> Path:
    """Tables with a generated description."""
    return describe_kitchen(library, tmp_path / "tables")


@pytest.fixture
def client(connect: Callable[[Settings], TestClient], settings: Settings, described: Path) -> TestClient:
    return connect(replace(settings, root=str(described)))


def track(client: TestClient) -> list[tuple[float, str]]:
    reply = client.get(f"/v1/tracks/{KITCHEN}", params={"kind": "generated"})
    assert reply.headers["content-type"].startswith("text/vtt")
    assert "Kind: descriptions" in reply.text
    return [(cue.start, cue.text) for cue in from_vtt(reply.text)]


def test_what_the_machine_said_is_listed_with_its_score_and_place(client: TestClient) -> None:
    reply = client.get(ADDRESS).json()
    assert [(one["start"], one["end"], one["text"], one["score"]) for one in reply["descriptions"]] == [
        (one.start, one.end, one.text, one.score) for one in SENTENCES
    ]
    assert [one["reason"] for one in reply["descriptions"]] == ["", "", "too-long"]
    assert [bool(one["cue"]) for one in reply["descriptions"]] == [True, True, False]
    assert {one["corrected"] for one in reply["descriptions"]} == {False}
    assert reply["descriptions"][1]["room"] == pytest.approx(1.4)  # between the lines, 0.2 s from each
    tracks = client.get("/v1/films/series one/Kitchen").json()["tracks"]
    machine = [one for one in tracks if one["machine_made"]]
    assert [(one["kind"], one["label"]) for one in machine] == [("descriptions", "Machine-made description")]
    assert client.get(machine[0]["src"]).status_code == 200
    others = client.get(f"/v1/films/{FERRY.replace('?', '%3F').replace('#', '%23')}").json()["tracks"]
    assert not any(one["machine_made"] for one in others)


def test_a_correction_is_in_the_track_at_once_and_can_be_taken_back(client: TestClient) -> None:
    before = track(client)
    assert before == [(0.0, "A woman pours water into a pot."), (3.4, "A cat walks over the floor.")]
    reply = client.put(ADDRESS, params=CAT, json={"text": "A dog crosses\nthe floor.", "author": "Ada"})
    assert reply.status_code == 200
    one = reply.json()
    assert (one["text"], one["generated"], one["author"]) == (
        "A dog crosses the floor.",
        "A cat walks over the floor.",
        "Ada",
    )
    assert one["cue"] == {"start": 3.4, "end": 4.4, "text": "A dog crosses the floor."}
    assert reply.headers["etag"] == f'"{one["version"]}"'
    assert track(client) == [before[0], (3.4, "A dog crosses the floor.")]
    assert client.get(ADDRESS).json()["descriptions"][1] == one

    assert client.put(ADDRESS, params=POT, json={"removed": True}).json()["reason"] == "removed"
    assert track(client) == [(3.4, "A dog crosses the floor.")]
    assert client.put(ADDRESS, params=MAN, json={"text": "He sits."}).json()["reason"] == "taken"
    client.put(ADDRESS, params=CAT, json={"removed": True})
    assert track(client) == [(4.4, "He sits.")]
    for interval in (POT, CAT, MAN):
        assert client.delete(ADDRESS, params=interval).json()["corrected"] is False
    assert track(client) == before


def test_a_text_without_room_is_kept_and_the_reason_told(client: TestClient) -> None:
    words = "A brown dog with a long tail crosses the wooden floor of the kitchen."
    one = client.put(ADDRESS, params=CAT, json={"text": words}).json()
    assert (one["text"], one["cue"], one["reason"]) == (words, None, "too-long")
    assert [start for start, _ in track(client)] == [0.0]


def test_who_saw_an_older_state_gets_a_conflict(client: TestClient) -> None:
    seen = client.get(ADDRESS).json()["descriptions"][1]["version"]
    tag = {"if-match": f'"{seen}"'}
    first = client.put(ADDRESS, params=CAT, json={"text": "A dog runs."}, headers=tag)
    assert first.status_code == 200
    second = client.put(ADDRESS, params=CAT, json={"text": "A horse runs."}, headers=tag)
    assert (second.status_code, second.json()["error"]["code"]) == (409, "changed")
    assert client.delete(ADDRESS, params=CAT, headers=tag).status_code == 409
    assert client.get(ADDRESS).json()["descriptions"][1]["text"] == "A dog runs."
    now = {"if-match": first.headers["etag"]}
    assert client.put(ADDRESS, params=CAT, json={"text": "A horse runs."}, headers=now).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": ""}, 422),
        ({"text": "x" * 501}, 422),
        ({"text": "A bell \x07 rings."}, 422),
        ({"text": "A dog.", "removed": True}, 422),
        ({"text": "A dog.", "author": "x" * 101}, 422),
        ({"text": "A dog.", "film_id": "other"}, 422),
        ({"text": ["A dog."]}, 422),
    ],
)
def test_what_cannot_be_meant_is_refused(client: TestClient, body: Any, status: int) -> None:
    reply = client.put(ADDRESS, params=CAT, json=body)
    assert reply.status_code == status
    assert reply.json()["error"]["message"]
    assert client.get(ADDRESS).json()["descriptions"][1]["corrected"] is False


def test_what_is_not_there_cannot_be_corrected(client: TestClient) -> None:
    body = {"text": "A dog runs."}
    assert client.put(ADDRESS, params={"start": 2.5, "end": 4.0}, json=body).status_code == 404
    assert client.put(ADDRESS, params={"start": "nan", "end": 4.0}, json=body).status_code == 422
    assert client.put(ADDRESS, json=body).status_code == 422
    for film_id in ("nothing", "..%2f..%2fetc%2fpasswd", FERRY.replace("?", "%3F").replace("#", "%23")):
        assert client.get(f"/v1/descriptions/{film_id}").status_code == 404
        assert client.put(f"/v1/descriptions/{film_id}", params=CAT, json=body).status_code == 404
        assert client.get(f"/v1/tracks/{film_id}", params={"kind": "generated"}).status_code == 404


def test_pages_of_other_sites_and_plain_forms_can_change_nothing(client: TestClient) -> None:
    body = '{"text": "A horse runs."}'
    json_type = {"content-type": "application/json"}
    for headers in (
        {**json_type, "origin": "https://elsewhere.example"},
        {**json_type, "sec-fetch-site": "cross-site"},
    ):
        assert client.put(ADDRESS, params=CAT, content=body, headers=headers).status_code == 403
        assert client.delete(ADDRESS, params=CAT, headers=headers).status_code == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        reply = client.put(ADDRESS, params=CAT, content=body, headers={"content-type": kind})
        assert reply.status_code == 422
    assert client.get(ADDRESS).json()["descriptions"][1]["corrected"] is False


def test_with_keys_none_but_their_owners_read_or_write(
    connect: Callable[[Settings], TestClient], settings: Settings, described: Path
) -> None:
    key = "a key for the tests of corrections"
    hashes = (sha256(key.encode()).hexdigest(),)
    client = connect(replace(settings, root=str(described), key_hashes=hashes, session_secret="5e" * 32))
    body = {"text": "A dog runs."}
    assert client.get(ADDRESS).status_code == 401
    assert client.put(ADDRESS, params=CAT, json=body).status_code == 401
    bearer = {"authorization": f"Bearer {key}"}
    assert client.put(ADDRESS, params=CAT, json=body, headers=bearer).status_code == 200


def test_a_library_that_cannot_be_written_says_so(client: TestClient, described: Path) -> None:
    lock_corrections(described)
    reply = client.put(ADDRESS, params=CAT, json={"text": "A dog runs."})
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "read-only")
    assert str(described) not in reply.text


def test_a_damaged_correction_does_not_tell_of_the_inside(client: TestClient, described: Path) -> None:
    client.put(ADDRESS, params=CAT, json={"text": "A dog runs."})
    (file,) = (described / "corrections").glob("*.parquet")
    file.write_bytes(b"nothing")
    reply = client.get(ADDRESS)
    assert reply.status_code == 503
    assert str(described) not in reply.text


def test_a_damaged_description_is_the_operators_to_mend(client: TestClient, described: Path) -> None:
    path = described / "descriptions" / tables.file_name(KITCHEN)
    whole = path.read_bytes()
    for at in range(4, len(whole) // 2, 499):  # within the pages
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        path.write_bytes(bytes(broken))
        assert client.get(ADDRESS).status_code in (200, 503)
