"""The extraction on real Ray and real films; the encoders are plain functions of their pixels and sound."""

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cinescribe import storage, tables
from cinescribe.media.audio import read_audio
from cinescribe.media.frames import read_frames
from pipelines import transcribe
from pipelines.extract import main
from tests.media.films import numbered_frame, tone, write_film
from tests.pipelines import encoders
from tests.pipelines.standins import Loudness

pytestmark = [pytest.mark.slow]
ROOT = Path(__file__).parents[2]
ALL = "numbers,colour,change,loudness"


def extract(films: object, out: object, names: str, *more: object) -> int:
    return main([str(films), "--out", str(out), "--encoders", names, *map(str, more)], encoders)


def start(films: object, out: object, names: str, *more: object) -> "subprocess.Popen[str]":
    """The pipeline as a process of its own."""
    command = [sys.executable, "-m", "tests.pipelines.encoders", films, "--out", out, "--encoders", names]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.Popen(
        [*map(str, command), *map(str, more)],
        cwd=ROOT,
        env=clean,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def files(out: object, *below: str) -> dict[str, bytes]:
    """All files of the tables, by their names."""
    root = Path(str(out), *below)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.parquet")}


def written(out: Path) -> list[Path]:
    return list(out.glob("features/*/*.parquet"))


def features(out: object, name: str, film_id: str) -> tables.Features:
    read = tables.read_features(str(out), name, film_id)
    assert read is not None
    return read


def errors(out: object) -> dict[tuple[str, str], str]:
    return {
        (row["film_id"], row["stage"]): row["kind"]
        for row in tables.read_table(str(out), "errors").to_pylist()
    }


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Two films with sound, and one that is empty."""
    folder = tmp_path / "films"
    folder.mkdir()
    write_film(folder / "long.mp4", frames=251, audio=tone(10.04, 48000))
    write_film(folder / "_short ü.mkv", frames=60, audio=tone(2.4, 48000, level=0.1))
    (folder / "middle.mp4").write_bytes(b"")
    return folder


@pytest.mark.usefixtures("ray_cluster")
def test_features_are_those_of_the_frames_however_the_work_is_shared(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chunked, alone, whole = tmp_path / "chunked", tmp_path / "alone", tmp_path / "whole"
    assert extract(library, chunked, ALL, "--chunk-seconds", 3, "--workers", 2) == 0
    told = capsys.readouterr().out
    assert "3 planned = 2 done + 1 failed" in told  # films
    assert "5 planned = 5 done + 0 failed" in told  # chunks of numbers
    assert "numbers: 5 Hz of 1 numbers, each of a frame; weights plain; 5 chunks" in told
    assert errors(chunked) == {("middle", "films"): "empty"}

    numbers = features(chunked, "numbers", "long")
    assert numbers.array[:, 0].tolist() == [5 * k for k in range(51)]
    np.testing.assert_array_equal(numbers.times, np.arange(51) / 5)

    film = library / "long.mp4"
    colour = read_frames(film, rate=1).frames.mean((1, 2)).astype(np.float16)
    np.testing.assert_array_equal(features(chunked, "colour", "long").array, colour)
    offsets = encoders.KINDS["change"][1].offsets
    clips = [read_frames(film, rate=2, start=offset).frames.astype(int) for offset in offsets]
    change = features(chunked, "change", "long").array
    assert len(change) == 18  # the last clip that lies within 10.04 s begins at 8.5 s
    for place, shown in enumerate(clips):
        seen = np.abs(shown[:18] - clips[0][:18]).mean((1, 2, 3)).astype(np.float16)
        np.testing.assert_array_equal(change[:, place], seen)
    sound = read_audio(film)
    level = [np.sqrt(np.mean(sound[k * 8000 : k * 8000 + 12000] ** 2)) for k in range(19)]
    np.testing.assert_allclose(features(chunked, "loudness", "long").array[:, 0], level, rtol=2e-3)

    assert extract(library, alone, ALL, "--chunk-seconds", 3, "--workers", 1, "--quiet") == 0
    for table in ("features", "films", "errors", "plan"):
        assert files(alone, table) == files(chunked, table)
    assert extract(library, whole, ALL, "--quiet") == 0
    for name in ALL.split(","):
        for film_id in ("long", "_short ü"):
            pieces, one = features(chunked, name, film_id), features(whole, name, film_id)
            np.testing.assert_array_equal(pieces.times, one.times)
            np.testing.assert_allclose(pieces.array, one.array, atol=1e-3 if name == "loudness" else 0)


@pytest.mark.usefixtures("ray_cluster")
def test_an_encoder_added_later_is_done_alone_and_a_different_one_refused(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert extract(library, out, "numbers", "--chunk-seconds", 3, "--quiet") == 0
    first = {path: path.stat().st_mtime_ns for path in out.rglob("features/*/*.parquet")}
    assert extract(library, out, "numbers,colour", "--chunk-seconds", 3) == 0
    told = capsys.readouterr().out
    assert "weights plain; 0 chunks" in told
    assert "5 of 5 chunks to do" in told
    assert tables.encoders_of(str(out)) == ["colour", "numbers"]
    assert all(path.stat().st_mtime_ns == when for path, when in first.items())
    chunks = pq.read_table(out / "plan" / "extract" / "chunks.parquet").to_pylist()
    assert {stage for row in chunks for stage in row["stages"]} == {"features/colour"}

    for different in ("numbers@2", "numbers:other", "colour,numbers@2"):
        assert extract(library, out, different, "--chunk-seconds", 3) == 2
        assert re.search("made with .*encoder numbers.*another --out", capsys.readouterr().err)
    assert extract(library, out, "numbers", "--chunk-seconds", 4) == 2
    assert "chunk_seconds 3.0, now 4.0" in capsys.readouterr().err
    assert extract(library, out, "numbers,numbers@2") == 2
    assert "both write features/numbers" in capsys.readouterr().err
    assert extract(library, out, "numbers", "--chunk-seconds", 3) == 0
    assert "Nothing to do: all 5 chunks" in capsys.readouterr().out
    runs = [json.loads(path.read_text()) for path in sorted((out / "runs").iterdir())]
    assert runs[0]["weights"] == {"numbers": {"measure": "plain"}}
    assert runs[0]["stages"]["features/numbers"] == {"planned": 5, "done": 5, "failed": 0}


@pytest.mark.usefixtures("ray_cluster")
def test_what_a_film_lacks_is_told_and_its_other_features_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "films", tmp_path / "out"
    folder.mkdir()
    write_film(folder / "mute.mp4", frames=60)
    write_film(folder / "radio.flac", frames=0, audio=tone(3, 16000), audio_rate=16000, audio_codec="flac")
    write_film(folder / "brief.mp4", frames=15, audio=tone(0.6, 48000))
    assert extract(folder, out, "colour,change,loudness") == 0
    told = capsys.readouterr().out
    assert errors(out) == {
        ("mute", "features/loudness"): "no-audio",
        ("radio", "features/colour"): "no-video",
        ("radio", "features/change"): "no-video",
        ("brief", "features/change"): "too-short",
        ("brief", "features/loudness"): "too-short",
    }
    for row in tables.read_table(str(out), "errors").to_pylist():
        assert row["message"] in told
    assert features(out, "change", "mute").array.shape == (3, 4)
    assert features(out, "loudness", "radio").array.shape == (5, 1)
    assert features(out, "colour", "brief").array.shape == (1, 3)
    assert extract(folder, out, "colour,change,loudness", "--strict") == 1
    assert "--strict" in capsys.readouterr().err


@pytest.mark.usefixtures("ray_cluster")
def test_both_pipelines_share_a_folder_and_a_changed_film_is_redone_in_each(
    library: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    speech = [str(library), "--out", str(out), "--quiet"]
    assert transcribe.main(speech, Loudness) == 0
    looked_at = files(out, "films")
    assert extract(library, out, "numbers,colour", "--chunk-seconds", 3, "--quiet") == 0
    assert files(out, "films") == looked_at
    old_etag = features(out, "numbers", "long").etag

    # longer, shorter: rows of the film as it was must go from every table, also of an encoder not asked for
    write_film(library / "long.mp4", frames=100, audio=tone(4.0, 48000))
    kept = files(out, "features", "numbers")
    assert extract(library, out, "numbers", "--chunk-seconds", 3, "--quiet") == 0
    assert features(out, "numbers", "long").array[:, 0].tolist() == [5 * k for k in range(20)]
    assert features(out, "numbers", "long").etag != old_etag
    assert tables.read_features(str(out), "colour", "long") is None
    now = files(out, "features", "numbers")
    assert all(now[name] == data for name, data in kept.items() if not name.startswith("long"))
    film = tables.read_row(str(out), "films", "long")
    assert film is not None
    assert film["duration"] == pytest.approx(4.0, abs=0.05)
    assert transcribe.main(speech, Loudness) == 0
    spoken = tables.read_row(str(out), "speech", "long")
    assert spoken is not None
    assert spoken["etag"] == film["etag"] == features(out, "numbers", "long").etag

    # seen first by the other one
    write_film(library / "long.mp4", frames=60, audio=tone(2.4, 48000))
    assert transcribe.main(speech, Loudness) == 0
    assert extract(library, out, "numbers,colour", "--chunk-seconds", 3, "--quiet") == 0
    assert len(features(out, "numbers", "long").array) == 12
    assert len(features(out, "colour", "long").array) == 3


@pytest.mark.usefixtures("ray_cluster")
def test_films_and_features_on_s3(bucket: str, library: Path) -> None:
    for film in library.iterdir():
        storage.write_bytes(f"{bucket}/of extract/{film.name}", film.read_bytes())
    out = f"{bucket}/features of extract"
    assert extract(f"{bucket}/of extract/", out, ALL, "--chunk-seconds", 3, "--quiet") == 0
    assert features(out, "numbers", "long").array[:, 0].tolist() == [5 * k for k in range(51)]
    assert len(features(out, "change", "_short ü").array) == 3
    assert errors(out) == {("middle", "films"): "empty"}
    assert tables.encoders_of(out) == sorted(ALL.split(","))


def test_weights_that_can_not_be_had_stop_the_run_before_ray_starts(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(library, tmp_path / "out", "colour,weightless") == 2
    assert "cinescribe models pull weightless" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit) as ended:
        extract(library, tmp_path / "out", "colour", "--chunk-seconds", 0)
    assert ended.value.code == 2
    assert main([str(library), "--out", str(tmp_path / "out"), "--encoders", "nonsense"]) == 2
    assert "no encoder 'nonsense'" in capsys.readouterr().err
    assert extract(library, tmp_path / "out", ",") == 2
    assert "--encoders: none is named" in capsys.readouterr().err


def test_a_killed_driver_loses_and_doubles_nothing(library: Path, tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    arguments = ("slow,change", "--chunk-seconds", 1, "--workers", 2)
    assert start(library, undisturbed, *arguments).wait(120) == 0
    moments = random.Random(7)
    kills = 0
    while True:
        process = start(library, killed, *arguments)
        goal = len(written(killed)) + 1 + moments.randrange(5)  # so many rows later
        while kills < 2 and process.poll() is None and len(written(killed)) < goal:
            time.sleep(0.01)
        if kills < 2 and process.poll() is None:
            process.kill()
            kills += 1
        told, _ = process.communicate(timeout=120)
        if process.returncode == 0:
            break
    assert kills >= 1, told
    for table in ("films", "features", "errors"):
        assert files(killed, table) == files(undisturbed, table)


def test_chunks_that_kill_or_stall_their_process_are_bounded(tmp_path: Path) -> None:
    folder, out = tmp_path / "films", tmp_path / "out"
    folder.mkdir()
    pictures = [numbered_frame(number, 128, 96) for number in (10, 200, 30, 201, 50, 202, 70)]
    write_film(folder / "a.mp4", images=[picture for picture in pictures for _ in range(25)])
    process = start(folder, out, "troubled,colour", "--chunk-seconds", 1, "--stall-seconds", 4)
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    rows = tables.read_table(str(out), "errors").to_pylist()
    assert sorted((row["stage"], row["kind"]) for row in rows) == [
        ("features/troubled", "crashed"),
        ("features/troubled", "stalled"),
        ("features/troubled", "unexpected"),
    ]
    there = features(out, "troubled", "a")
    assert there.times.tolist() == [0, 2, 4, 6]
    assert there.array[:, 0].tolist() == [10, 30, 50, 70]
    assert len(features(out, "colour", "a").array) == 7
    assert "7 planned = 4 done + 3 failed" in told
    assert "7 planned = 7 done + 0 failed" in told
