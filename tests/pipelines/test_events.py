"""What a run tells programs: a line a stage in the log, counts in Prometheus."""

import dataclasses
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from cinescribe import storage
from cinescribe.errors import MediaError
from cinescribe.media.library import FilmRef, list_films
from pipelines import index, transcribe, units
from pipelines.command import Common
from pipelines.events import Events
from pipelines.films import films_stage
from pipelines.metrics import METRICS
from pipelines.plan import Unit
from pipelines.progress import Report
from pipelines.run import Record, follow
from pipelines.units import Job, Outcome
from tests.media.films import tone, write_film


class Counted:
    """Stands where Ray's metrics are: sums what is counted, by name and labels."""

    def __init__(self, pipeline: str) -> None:
        self.sums: dict[tuple[str, ...], float] = {}
        self.shown: dict[str, float] = {}

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        assert {"pipeline", *labels} == set(METRICS[name].labels)
        key = (name.removeprefix("cinescribe_"), *labels.values())
        self.sums[key] = self.sums.get(key, 0.0) + amount

    def show(self, name: str, value: float) -> None:
        assert METRICS[name].type == "gauge"
        self.shown[name] = value

    def __enter__(self) -> "Counted":
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A log's path; it is closed afterwards."""
    yield tmp_path / "log.jsonl"
    logger = logging.getLogger("cinescribe.events")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "plan").touch()
    return Job(str(tmp_path / "out"), str(tmp_path / "plan"), str(tmp_path), 0, stall_seconds=60)


def lines_of(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_run_tells_of_each_film_what_became_of_it(
    tmp_path: Path, job: Job, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.events.Metrics", Counted)
    films = tmp_path / "films"
    films.mkdir()
    write_film(films / "good.mp4", frames=25, audio=tone(1.0, 48000))
    (films / "broken.mp4").write_bytes(b"not a film")
    refs = list_films([str(films)])
    record = Record(Common(inputs=(str(films),), out=job.out, log=str(log), quiet=True), "transcribe", 2, 2)
    arrived = (units.leave(films_stage(units.board(Unit(ref, ("films",))), job)) for ref in refs)
    assert follow(arrived, Report(2, 0, quiet=True), record, workers=3)
    record.events.end({"films": {"planned": 2, "done": 1, "failed": 1}})

    told = lines_of(log)
    assert [line["event"] for line in told] == ["run", "stage", "stage", "run-end"]
    assert {line["pipeline"] for line in told} == {"transcribe"}
    assert {line["run_id"] for line in told} == {Path(record.uri).stem}
    bad, good = told[1:3]
    assert (bad["film_id"], bad["stage"], bad["outcome"], bad["kind"]) == (
        "broken",
        "films",
        "failed",
        "not-media",
    )
    assert "broken.mp4" in bad["message"]
    assert (good["film_id"], good["outcome"], good["kind"], good["video_seconds"]) == (
        "good",
        "done",
        "",
        1.0,
    )
    assert good["seconds"] > 0
    counted = record.events.metrics
    assert isinstance(counted, Counted)
    assert counted.sums["films_total", "films", "done"] == counted.sums["films_total", "films", "failed"] == 1
    assert counted.sums["video_seconds_total", "films"] == 1.0
    assert counted.sums["errors_total", "films", "not-media"] == 1
    assert counted.shown == {"cinescribe_workers": 3, "cinescribe_queue_units": 0}


def test_encoders_that_share_a_chunk_share_its_seconds_and_fail_alone(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.events.Metrics", Counted)
    film = FilmRef("film", "/nowhere/film.mp4", 1, "etag")
    stages = ("features/one", "features/two")
    fault = MediaError("no-audio", "no sound")
    passenger = units.attempt_many(
        job,
        stages,
        units.board(Unit(film, stages, 4)),
        lambda film, path, left: iter([(stages[0], fault, {}), (stages[1], fault, {})]),
        limit=60,
    )
    events = Events("extract", "now", "")
    events.unit(units.leave(passenger))
    sums = events.metrics.sums
    assert (
        sums["chunks_total", "features/one", "failed"] == sums["chunks_total", "features/two", "failed"] == 1
    )
    assert sums["errors_total", "features/two", "no-audio"] == 1
    busy = [sums["stage_busy_seconds_total", stage] for stage in stages]
    assert busy[0] == busy[1] > 0
    assert ("video_seconds_total", "features/one") not in sums


def test_a_film_that_killed_its_worker_is_counted_too(
    job: Job, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.events.Metrics", Counted)
    events = Events("transcribe", "now", str(log))
    film = FilmRef("bad", "/nowhere/bad.mp4", 1, "etag")
    for outcome in units.write_crashed(job, "speech", [Unit(film, ("speech",))], units.KILLED):
        events.unit(outcome)
    assert events.metrics.sums["errors_total", "speech", "crashed"] == 1
    (line,) = lines_of(log)
    assert (line["film_id"], line["kind"], line["outcome"]) == ("bad", "crashed", "failed")


def test_sentences_and_the_cache_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.events.Metrics", Counted)
    events = Events("describe", "now", "")
    numbers = {"stages": [{"stage": "descriptions", "kind": "", "seconds": 2.0}], "duration": 60.0}
    numbers |= {"sentences": 5, "cues": 3, "cache_hits": 1, "cache_misses": 0}
    events.unit(Outcome("film", None, "", "", "", numbers))
    sums = events.metrics.sums
    assert sums["cues_total", "placed"] == 3
    assert sums["cues_total", "left_out"] == 2
    assert sums["cache_hits_total",] == 1
    assert not sums["cache_misses_total",]


def test_a_film_on_s3_is_fetched_once(bucket: str, tmp_path: Path, job: Job) -> None:
    write_film(tmp_path / "film.mp4", frames=25)
    storage.write_bytes(f"{bucket}/counted/film.mp4", (tmp_path / "film.mp4").read_bytes())
    (film,) = list_films([f"{bucket}/counted/"])
    roomy = dataclasses.replace(job, cache_bytes=10**9)
    told = [units.leave(films_stage(units.board(Unit(film, ("films",))), roomy)).numbers for _ in range(2)]
    assert [(one["cache_hits"], one["cache_misses"]) for one in told] == [(0, 1), (1, 0)]


def test_without_ray_and_without_a_log_nothing_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    events = Events("align", "now", "")
    with events.metrics as metrics:
        metrics.show("cinescribe_workers", 1)
        events.unit(Outcome("film", None, "", "", "", {"stages": [{"stage": "s", "kind": "", "seconds": 1}]}))
    assert capfd.readouterr() == ("", "")


def test_a_command_that_cannot_begin_is_in_the_log_too(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert transcribe.main([nowhere, "--out", str(tmp_path / "out"), "--log", str(log)]) == 2
    (line,) = map(json.loads, log.read_text().splitlines())
    assert (line["event"], line["pipeline"], line["code"]) == ("run-failed", "transcribe", 2)
    assert nowhere in line["message"]
    assert transcribe.main([nowhere, "--out", nowhere, "--log", str(tmp_path / "no" / "log")]) == 2
    assert len(log.read_text().splitlines()) == 1  # which is another command's
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:pa55word@127.0.0.1:9")
    assert index.main(["s3://bucket/tables", "--log", str(log)]) == 2
    (_, line) = map(json.loads, log.read_text().splitlines())
    assert "127.0.0.1:9" in line["message"]
    assert "pa55word" not in log.read_text() + capsys.readouterr().err
