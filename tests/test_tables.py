import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinescribe import storage, tables
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import UsageError
from cinescribe.media.library import FilmRef
from cinescribe.media.probe import AudioTrack, MediaInfo
from cinescribe.speech.clean import CleanSpeech
from cinescribe.speech.narrator import SpeakerEvidence
from cinescribe.utterance import Utterance, Word
from tests.s3 import s3_server

FILM = FilmRef("folder/Ein Film ü", "/films/folder/Ein Film ü.mp4", 12345, "12345-1")
UTTERANCES = (
    Utterance(0.5, 2.0, "Anna nods.", "SPEAKER_00", "narrator", (Word(0.5, 1.0, "Anna", 0.9),), 0.9),
    Utterance(2.0, 2.5, "", "", "unknown"),
)


def speech(seconds: float = 1.0) -> CleanSpeech:
    return CleanSpeech(
        utterances=UTTERANCES,
        language="en",
        language_probability=0.99,
        narrator_confidence=0.8,
        evidence=(SpeakerEvidence("SPEAKER_00", 2, 1.5, 0.0, True, "never says I"),),
        suppressed={"silence": 2, "repetition": 1},
        damaged_seconds=0.25,
        weights={"asr": "tiny.en"},
        seconds={"asr": seconds},
    )


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty place for tables: a folder, and a bucket of a real HTTP server."""
    if request.param == "local":
        yield str(tmp_path / "a folder")
        return
    with s3_server("tables", "secret-of-the-test") as address:
        yield f"{address}/a prefix"


def test_speech_comes_back_as_it_was_written(root: str) -> None:
    tables.write_row(root, "speech", FILM.film_id, tables.speech_row(FILM, speech()))
    (row,) = tables.read_table(root, "speech").to_pylist()
    assert tuple(tables.utterances_of(row)) == UTTERANCES
    assert row == tables.read_row(root, "speech", FILM.film_id)
    assert (row["etag"], row["damaged_seconds"], row["language"]) == ("12345-1", 0.25, "en")
    assert row["evidence"][0]["reason"] == "never says I"
    assert row["suppressed"] == [{"rule": "repetition", "words": 1}, {"rule": "silence", "words": 2}]


def test_film_row_has_the_rate_of_the_stream_that_is_read(root: str) -> None:
    tracks = (
        AudioTrack(1, "aac", 44100, 2, "stereo", "", "", False, False),
        AudioTrack(2, "aac", 48000, 2, "stereo", "", "", True, False),
    )
    info = MediaInfo(9.5, 25.0, False, 640, 360, 90, 0.1, "h264", tracks, "mov", 0, 1, 0, True)
    tables.write_row(root, "films", FILM.film_id, tables.film_row(FILM, info, [(0.0, 4.0), (4.0, 9.5)]))
    (row,) = tables.read_table(root, "films").to_pylist()
    assert (row["audio_rate"], row["duration"], row["rotation"]) == (48000, 9.5, 90)
    assert row["shots"][1] == {"start": 4.0, "end": 9.5}


def test_a_unit_done_twice_is_once_in_the_table(root: str) -> None:
    for kind in ("damaged", "crashed"):
        row = tables.error_row("a/b", "speech", kind, "why")
        tables.write_row(root, "errors", tables.error_key("speech", "a/b"), row)
    tables.write_row(
        root, "errors", tables.error_key("films", "a/b"), tables.error_row("a/b", "films", "empty", "why")
    )
    rows = tables.read_table(root, "errors").to_pylist()
    assert [(row["stage"], row["kind"]) for row in rows] == [("films", "empty"), ("speech", "crashed")]
    tables.delete_row(root, "errors", tables.error_key("speech", "a/b"))
    tables.delete_row(root, "errors", tables.error_key("speech", "a/b"))  # nothing there is fine
    assert tables.written_names(root, "errors") == {tables.file_name("films/a/b")}


def test_rows_are_in_the_order_of_their_ids_and_empty_tables_have_their_columns(root: str) -> None:
    assert tables.read_table(root, "errors").schema == tables.SCHEMAS["errors"]
    for film_id in ("b", "_a", "a b", "ä", ".c"):
        tables.write_row(root, "errors", film_id, tables.error_row(film_id, "films", "empty", "why"))
    ids = tables.read_table(root, "errors")["film_id"].to_pylist()
    assert ids == sorted(ids)
    assert len(ids) == 5


def test_what_is_not_a_row_is_named(root: str) -> None:
    storage.write_bytes(storage.join(root, "speech", "half.parquet"), b"PAR1")
    with pytest.raises(UsageError, match=r"half\.parquet.*delete it"):
        tables.read_table(root, "speech")
    with pytest.raises(UsageError, match="no table 'word'"):
        tables.read_table(root, "word")
    assert tables.read_row(root, "films", "none") is None


SPEC = EncoderSpec("colour", hz=2.5, dim=3, offsets=(0.0,))


def write_features(root: str, film_id: str, chunk: int, first: int, values: np.ndarray) -> None:
    film = FilmRef(film_id, f"/films/{film_id}.mp4", 1, "e")
    seconds = (chunk, 10.0 * chunk, 10.0 * chunk + 10.0)
    row = tables.feature_row(film, seconds, SPEC, first, values, {"image": "colours"})
    tables.write_row(root, "features/colour", film_id, row, chunk)


def test_features_of_a_film_come_back_whole_from_its_own_files_only(root: str) -> None:
    values = np.arange(60 * 3, dtype=np.float16).reshape(60, 3)
    values[7] = np.nan
    for chunk in (1, 0):  # in any order
        write_features(root, "a", chunk, 25 * chunk, values[25 * chunk : 25 * chunk + 25])
    write_features(root, "a", 3, 75, values[50:])  # chunk 2 is missing
    write_features(root, "a@00000", 0, 0, values[:2])
    write_features(root, "x" * 300, 0, 0, values[:1])
    storage.write_bytes(storage.join(root, "features/colour", "b@00000.parquet"), b"never opened")
    read = tables.read_features(root, "colour", "a")
    assert read is not None
    assert (read.hz, read.etag, read.weights) == (2.5, "e", {"image": "colours"})
    assert read.array.dtype == np.float16
    np.testing.assert_array_equal(read.array, values)
    np.testing.assert_array_equal(read.times, np.r_[np.arange(50), np.arange(75, 85)] / 2.5)
    several = tables.read_features_of(root, "colour", ["a@00000", "x" * 300, "none"])
    assert {film_id: len(of.times) for film_id, of in several.items()} == {"a@00000": 2, "x" * 300: 1}
    assert tables.read_features(root, "colour", "none") is None
    assert tables.read_features(root, "other", "a") is None
    assert tables.encoders_of(root) == ["colour"]
    with pytest.raises(UsageError, match="features/ENCODER"):
        tables.read_features(root, "../colour", "a")


def test_features_without_any_keep_their_dimension(tmp_path: Path) -> None:
    write_features(str(tmp_path), "a", 0, 0, np.zeros((0, 3), np.float16))
    read = tables.read_features(str(tmp_path), "colour", "a")
    assert read is not None
    assert read.array.shape == (0, 3)
    assert tables.encoders_of(str(tmp_path / "nowhere")) == []


def test_a_table_of_features_reads_like_the_others(root: str) -> None:
    for chunk in (2, 0, 1):
        write_features(root, "a", chunk, 25 * chunk, np.ones((25, 3), np.float16))
    table = tables.read_table(root, "features/colour")
    assert table["chunk"].to_pylist() == [0, 1, 2]
    assert tables.read_table(root, "features/none").schema == tables.SCHEMAS["features"]


def test_errors_of_s3_say_what_to_do_and_hold_no_secret(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not storage.is_s3(root):
        pytest.skip("S3 only")
    with pytest.raises(UsageError, match="NoSuchBucket") as caught:
        storage.write_bytes("s3://elsewhere/x", b"")
    assert "secret-of-the-test" not in str(caught.value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    storage.s3_client.cache_clear()
    with pytest.raises(UsageError, match="credentials"):
        storage.read_bytes(storage.join(root, "x"))


def test_more_rows_than_one_listing_of_s3_holds(root: str) -> None:
    if not storage.is_s3(root):
        pytest.skip("S3 only")
    for n in range(1003):
        storage.write_bytes(storage.join(root, "films", f"{n}.parquet"), b"")
    assert len(tables.written_names(root, "films")) == 1003


def test_timings_do_not_change_a_row() -> None:
    assert tables.encode("speech", [tables.speech_row(FILM, speech(1.0))]) == tables.encode(
        "speech", [tables.speech_row(FILM, speech(2.0))]
    )


def test_a_missing_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="message"):
        tables.write_row(str(tmp_path), "errors", "a", {"film_id": "a", "stage": "films", "kind": "empty"})
    assert not list(tmp_path.rglob("*"))


def test_other_readers_see_whole_rows_only(tmp_path: Path) -> None:
    tables.write_row(str(tmp_path), "speech", "_a", tables.speech_row(FILM, speech()))
    (tmp_path / "speech" / ".left-by-a-kill.tmp").write_bytes(b"PAR1 half")
    assert pq.read_table(tmp_path / "speech").num_rows == 1
    assert tables.read_table(str(tmp_path), "speech").num_rows == 1


def test_a_failed_write_leaves_the_old_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "row"
    storage.write_bytes(str(target), b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        storage.write_bytes(str(target), b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


@given(IDS, IDS, st.integers(0, 100_000), st.integers(0, 100_000))
def test_names_of_chunks_tell_films_and_chunks_apart(one: str, other: str, n: int, m: int) -> None:
    same = (one, n) == (other, m)
    assert (tables.file_name(one, n) == tables.file_name(other, m)) == same
    assert tables.file_name(one, n) != tables.file_name(other)


@given(IDS, IDS)
def test_file_names_are_safe_and_tell_ids_apart(one: str, other: str) -> None:
    name = tables.file_name(one)
    assert len(name.encode()) <= 210
    assert name[0] not in "._"
    assert not set(name) & set('/\\:*?"<>|\n\0 ')
    assert (name == tables.file_name(other)) == (one == other)
