"""The pipeline on real Ray and real films; only the speech models are stood in for."""

import json
import os
from pathlib import Path

import pytest

from cinescribe import storage, tables
from cinescribe.subtitles import from_vtt, read_subtitles
from pipelines.transcribe import main
from tests.media.films import tone, write_film
from tests.pipelines.standins import Loudness, Weightless

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster")]
IDS = ["_a b/äöü 100% #1", "loud", "soft"]


def ids(out: str, table: str) -> list[str]:
    return tables.read_table(out, table)["film_id"].to_pylist()


def test_films_become_tables_and_files_and_are_done_once(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    log = tmp_path / "log.jsonl"
    command = [str(films), "--out", out, "--unnamed", "--log", str(log)]
    assert main(command, Loudness) == 0
    told = capsys.readouterr().out
    assert ids(out, "films") == ids(out, "speech") == IDS
    assert "3 planned = 3 done + 0 failed" in told
    assert all(film_id in told for film_id in IDS)
    loud = tables.read_row(out, "speech", "loud")
    assert loud is not None
    (utterance,) = tables.utterances_of(loud)
    assert utterance.role == "narrator"
    assert utterance.end == pytest.approx(1.0, abs=0.1)

    description = read_subtitles(f"{out}/files/loud.ad.vtt")
    assert [cue.text for cue in description] == [utterance.text]
    assert "Kind: descriptions" in Path(f"{out}/files/loud.ad.vtt").read_text()
    assert read_subtitles(f"{out}/files/loud.ad.unnamed.vtt")
    for ending in (".dialogue.vtt", ".dialogue.srt"):
        assert not read_subtitles(f"{out}/files/loud{ending}")
        assert read_subtitles(f"{out}/files/{IDS[0]}{ending}")
    assert Path(f"{out}/files/soft.rttm").read_text().startswith("SPEAKER soft ")

    events = [json.loads(line) for line in log.read_text().splitlines()]
    done = sorted((e["stage"], e["film_id"]) for e in events if e["event"] == "stage" and e["seconds"] > 0)
    assert done == [(stage, film_id) for stage in ("films", "speech") for film_id in IDS]

    first = {path: path.stat().st_mtime_ns for path in Path(out, "speech").iterdir()}
    assert main(command, Loudness) == 0
    assert "Nothing to do: all 3 films" in capsys.readouterr().out
    assert first == {path: path.stat().st_mtime_ns for path in Path(out, "speech").iterdir()}

    runs = [json.loads(path.read_text()) for path in sorted(Path(out, "runs").iterdir())]
    (worked,) = (run for run in runs if run["to_do"])
    assert worked["weights"] == {"asr": "none"}
    assert worked["settings"]["unnamed"] is True
    assert worked["stages"]["speech"] == {"planned": 3, "done": 3, "failed": 0}


def test_films_and_tables_on_s3(bucket: str, films: Path) -> None:
    for film in films.rglob("*.m*"):
        storage.write_bytes(f"{bucket}/in/{film.relative_to(films).as_posix()}", film.read_bytes())
    out = f"{bucket}/out put"
    assert main([f"{bucket}/in/", "--out", out, "--quiet"], Loudness) == 0
    assert sorted(ids(out, "speech")) == sorted(ids(out, "films")) == IDS
    (cue,) = from_vtt(storage.read_bytes(f"{out}/files/loud.ad.vtt").decode())
    assert cue.role == "narrator"


def test_bad_films_are_told_and_the_others_done(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    (films / "zero.mp4").write_bytes(b"")
    (films / "text.mp4").write_text("not a film\n" * 100)
    write_film(films / "mute.mp4", frames=25)
    (films / "cut.mp4").write_bytes((films / "loud.mp4").read_bytes()[:2000])
    assert main([str(films), "--out", out], Loudness) == 0
    told = capsys.readouterr().out
    errors = {row["film_id"]: row for row in tables.read_table(out, "errors").to_pylist()}
    assert {film_id: (row["stage"], row["kind"]) for film_id, row in errors.items()} == {
        "zero": ("films", "empty"),
        "text": ("films", "not-media"),
        "mute": ("speech", "no-audio"),
        "cut": ("films", "damaged"),
    }
    for film_id, row in errors.items():
        assert f"{film_id}.mp4" in row["message"]
        assert row["message"] in told
    assert ids(out, "speech") == IDS
    assert "7 planned = 4 done + 3 failed" in told
    assert "4 planned = 3 done + 1 failed" in told

    # mended, and asked for again; the others stay as they are
    write_film(films / "zero.mp4", frames=25, audio=tone(1.0, 48000))
    os.remove(films / "text.mp4")
    assert main([str(films), "--out", out, "--quiet"], Loudness) == 0
    assert sorted(ids(out, "speech")) == [*IDS, "zero"]
    assert sorted(set(ids(out, "errors"))) == ["cut", "mute", "text"]


def test_strict_stops_at_a_failure(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    for n in range(20):
        (films / f"zero{n}.mp4").write_bytes(b"")
    command = [str(films), "--out", out, "--strict"]
    assert main(command, Loudness) == 1
    assert "--strict" in capsys.readouterr().err
    assert ids(out, "errors")
    assert main(command, Loudness) == 1
    assert main(command[:-1], Loudness) == 0
    assert len(ids(out, "errors")) == 20


def test_a_changed_film_is_done_again(films: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert main([str(films), "--out", out, "--quiet"], Loudness) == 0
    before = {row["film_id"]: row for row in tables.read_table(out, "speech").to_pylist()}
    write_film(films / "loud.mp4", frames=75, audio=tone(3.0, 48000, level=0.1))
    assert main([str(films), "--out", out, "--quiet"], Loudness) == 0
    after = {row["film_id"]: row for row in tables.read_table(out, "speech").to_pylist()}
    assert after["soft"] == before["soft"]
    assert before["loud"]["utterances"][0]["role"] == "narrator"
    assert after["loud"]["utterances"][0]["role"] == "dialogue"
    assert after["loud"]["etag"] != before["loud"]["etag"]


def test_a_weight_that_is_not_there_fails_the_run_and_no_film(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main([str(films), "--out", out, "--quiet"], Weightless) == 2
    assert "cinescribe weights tiny.en" in capsys.readouterr().err
    assert ids(out, "errors") == []
    assert main([str(films), "--out", out, "--quiet"], Loudness) == 0


def test_usage_is_told_before_anything_starts(
    tmp_path: Path, films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")], Loudness) == 2
    assert "nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([str(films), "--out", str(tmp_path / "out"), "--speakers", "3-2"], Loudness)
    assert ended.value.code == 2
