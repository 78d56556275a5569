"""`cinescribe align`: sentences where they are seen, done once, from one model, with errors told."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from cinescribe import storage, tables
from cinescribe.cineworld.world import WorldSettings, write_world
from cinescribe.metrics.alignment import UNSEEN, SentenceAlignment, score_alignment
from cinescribe.models import tan_files
from cinescribe.models.tan import TANConfig, TANPair
from cinescribe.models.tan_files import SavedTAN
from cinescribe.models.tan_inference import align_video
from cinescribe.models.tan_narration import span_of
from cinescribe.models.tan_text import TextReader
from cinescribe.subtitles import from_vtt
from cinescribe.tables import Row
from pipelines import align

VIDEOS = 12
WINDOW = 32
HOWTOS = [f"howto-{number:05}" for number in range(VIDEOS)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """How-to videos and a film, which has other features; nothing is to be written there."""
    root = tmp_path_factory.mktemp("world")
    write_world(str(root), WorldSettings(video_dim=16, film_dim=8), 1, VIDEOS)
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


def save_model(folder: Path, seed: int = 0, **changes: object) -> Path:
    """A TAN as training saves it, its weights random, with opinions of both kinds about sentences."""
    words = ["a", "cut", "now", "plant", "pour", "stir", "the", "to", "water", "we"]
    torch.manual_seed(seed)
    config = TANConfig(**{**asdict(TANConfig(16, 512, 32, 2, 1, 1, longest=64)), **changes})  # type: ignore[arg-type]
    pair = TANPair(config, words=len(words) + 1)
    if config.head != "none":
        torch.nn.init.normal_(pair.online.binary_head.weight, std=3.0)
    tan_files.save(SavedTAN(pair, "fresh", words, "world-s3d", WINDOW), folder)
    return folder


@pytest.fixture
def root(world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world, tmp_path / "tables"))


def run(root: Path | str, model: Path | str, *arguments: str) -> int:
    return align.main([str(root), "--model", str(model), "--workers", "1", *arguments])


def rows_of(root: Path | str) -> list[Row]:
    found: list[Row] = tables.read_table(str(root), "alignments").to_pylist()
    return found


def assert_alike(one: Path, other: Path) -> None:
    """The same rows; how many threads share a sum decides the last bits of a score."""
    ours, theirs = rows_of(one), rows_of(other)
    scores = [[s.pop("score") for row in rows for s in row["sentences"]] for rows in (ours, theirs)]
    assert ours == theirs
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def clips_of(root: Path) -> list[dict[str, str]]:
    with open(root / "htm_aa.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---- what a sentence's span is ------------------------------------------------------------------


def test_a_span_is_what_rises_above_half_way_around_the_peak() -> None:
    assert span_of([0, 0, 4, 9, 10, 6, 5, 0, 0, 0, 8, 0, 0, 0]) == (3, 6)
    assert span_of([7.0]) == (0, 1)
    assert span_of([2, 2, 2]) == (0, 1)  # flat: the first second, alone
    assert span_of([UNSEEN, UNSEEN, 1, 3, UNSEEN]) == (3, 4)
    assert span_of([UNSEEN] * 3) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_span_holds_its_peak_and_is_as_wide_as_the_rule_allows(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.convolve(random.standard_normal(60), np.ones(5) / 5, "valid")
    span = span_of(values)
    assert span is not None
    first, last = span
    half = (values.max() + np.median(values)) / 2
    assert 0 <= first <= values.argmax() < last <= len(values)
    assert (np.delete(values[first:last], values.argmax() - first) > half).all()
    assert first == 0 or values[first - 1] <= half
    assert last == len(values) or values[last] <= half
    assert span_of(values * 8 - 4) == span  # scale and offset don't matter
    hidden = np.full(7, UNSEEN)
    assert span_of(np.concatenate([hidden, values])) == (first + 7, last + 7)
    assert span_of(values[::-1]) == (len(values) - last, len(values) - first)


# ---- the table and the files --------------------------------------------------------------------


def test_the_table_is_what_the_network_says(root: Path, model: Path) -> None:
    assert run(root, model, "--films", "howto-*") == 0
    saved = tan_files.load(model)
    rows = rows_of(root)
    assert [row["film_id"] for row in rows] == HOWTOS
    for row in rows:
        check_row(str(root), row, saved)
    assert {s["alignable"] for row in rows for s in row["sentences"]} == {True, False}


@torch.no_grad()
def check_row(root: str, row: Row, saved: SavedTAN) -> None:
    film_id = row["film_id"]
    features, film = (
        tables.read_features(root, "world-s3d", film_id),
        tables.read_row(root, "films", film_id),
    )
    speech = tables.read_row(root, "speech", film_id)
    assert features is not None
    assert film is not None
    assert speech is not None
    said = tables.utterances_of(speech)
    found = align_video(
        saved.pair.online,
        torch.from_numpy(features.array.astype(np.float32)),
        TextReader("fresh", saved.words)(saved.pair, [line.text for line in said]),
        [(line.start + line.end) / 2 for line in said],
        window=WINDOW,
    )
    assert len(row["sentences"]) == len(said)
    for line, sentence, values, logit in zip(
        said, row["sentences"], found.similarity, found.alignability, strict=True
    ):
        spoken = (sentence["text"], sentence["spoken_start"], sentence["spoken_end"])
        assert spoken == (line.text, line.start, line.end)
        span = span_of(values)
        assert span is not None
        assert (sentence["start"], sentence["end"]) == (span[0], min(span[1], film["duration"]))
        assert sentence["score"] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-4)
        assert sentence["alignable"] == (sentence["score"] >= 0.5)
    assert row["etag"] == film["etag"]
    assert {"eye", "tan"} == {weight["role"] for weight in row["weights"]}


def test_files_and_clips_hold_the_sentences_that_are_seen(root: Path, model: Path) -> None:
    assert run(root, model, "--films", "howto-*") == 0
    rows = rows_of(root)
    for row in rows:
        seen = sorted((s["start"], s["end"], s["text"]) for s in row["sentences"] if s["alignable"])
        cues = from_vtt((root / "files" / f"{row['film_id']}.aligned.vtt").read_text())
        assert sorted((cue.start, cue.end, cue.text) for cue in cues) == seen
        columns = json.loads((root / "files" / f"{row['film_id']}.aligned.json").read_text())[row["film_id"]]
        assert sorted(zip(columns["start"], columns["end"], columns["text"], strict=True)) == seen
    check_clips(root, rows, keep=0.5)
    first = (root / "htm_aa.csv").read_bytes()
    assert run(root, model, "--films", "howto-*", "--keep", "0.7") == 0  # nothing is aligned again
    assert rows_of(root) == rows
    check_clips(root, rows, keep=0.7)
    assert len(clips_of(root)) < len(first.splitlines()) - 1
    shutil.rmtree(root / "alignments")
    assert run(root, model, "--films", "howto-*") == 0
    assert (root / "htm_aa.csv").read_bytes() == first


def check_clips(root: Path, rows: Sequence[Row], keep: float) -> None:
    lengths = {row["film_id"]: row["duration"] for row in tables.read_table(str(root), "films").to_pylist()}
    clips = clips_of(root)
    places = [(clip["vid"], int(clip["timestamp"]), clip["text"]) for clip in clips]
    assert places == sorted(places)
    assert all(0 <= second < lengths[film] for film, second, _ in places)
    kept = [(row["film_id"], s) for row in rows for s in row["sentences"] if s["score"] >= keep]
    assert all(s["alignable"] for _, s in kept)
    assert sorted((film, s["text"]) for film, s in kept) == sorted((film, text) for film, _, text in places)
    spans = {(film, s["text"]): [] for film, s in kept}  # type: dict[tuple[str, str], list[tuple[float, float]]]
    for film, s in kept:
        spans[film, s["text"]].append((s["start"], s["end"]))
    for film, second, text in places:
        assert any(start - 1 < second < end for start, end in spans[film, text])


def test_a_model_without_a_head_ranks_by_its_cosine(root: Path, tmp_path: Path) -> None:
    assert run(root, save_model(tmp_path / "stage1", head="none"), "--films", "howto-0000[01]") == 0
    rows = rows_of(root)
    assert len(rows) == 2
    assert all(0 <= s["score"] <= 1 for row in rows for s in row["sentences"])
    assert len({s["score"] for row in rows for s in row["sentences"]}) > 2


# ---- what a run promises ------------------------------------------------------------------------


def test_what_changed_is_done_again_and_nothing_else(root: Path, model: Path) -> None:
    assert run(root, model) == 0
    kept = {path: path.stat().st_mtime_ns for path in (root / "alignments").iterdir()}
    assert run(root, model) == 0
    assert {path: path.stat().st_mtime_ns for path in (root / "alignments").iterdir()} == kept

    speech = tables.read_row(str(root), "speech", HOWTOS[3])
    assert speech is not None
    tables.write_row(str(root), "speech", HOWTOS[3], {**speech, "utterances": speech["utterances"][:2]})
    assert run(root, model) == 0
    changed = {path.stem for path in (root / "alignments").iterdir() if path.stat().st_mtime_ns != kept[path]}
    assert changed == {HOWTOS[3]}
    row = tables.read_row(str(root), "alignments", HOWTOS[3])
    assert row is not None
    assert len(row["sentences"]) == 2


def test_another_model_is_refused_there_and_welcome_elsewhere(
    root: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, model, "--films", "howto-0000?") == 0
    rows, other = rows_of(root), save_model(tmp_path / "other", seed=1)
    capsys.readouterr()
    assert run(root, other, "--films", "howto-0000?") == 2
    assert "was made with model" in capsys.readouterr().err
    assert rows_of(root) == rows
    moved = shutil.copytree(model, tmp_path / "moved")  # the same bytes are the same model
    assert run(root, Path(moved), "--films", "howto-0000?") == 0
    elsewhere = tmp_path / "elsewhere"
    assert run(root, other, "--films", "howto-0000?", "--out", str(elsewhere)) == 0
    assert [row["film_id"] for row in rows_of(elsewhere)] == HOWTOS[:10]
    assert rows_of(elsewhere) != rows


def test_films_that_lack_something_are_told_and_done_when_it_is_there(
    root: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speech = root / "speech" / f"{HOWTOS[0]}.parquet"
    shutil.move(speech, tmp_path)
    (root / "speech" / f"{HOWTOS[1]}.parquet").write_bytes(b"PAR1 nothing")
    (root / "features" / "world-s3d" / f"{HOWTOS[2]}@00000.parquet").write_bytes(b"PAR1 nothing")
    shutil.copy(root / "speech" / f"{HOWTOS[3]}.parquet", root / "speech" / f"{HOWTOS[4]}.parquet")
    row = tables.read_row(str(root), "speech", HOWTOS[5])
    assert row is not None
    tables.write_row(str(root), "speech", HOWTOS[5], {**row, "etag": "of another file"})
    assert run(root, model) == 0
    out = capsys.readouterr().out
    assert f"{VIDEOS + 1} planned = {VIDEOS - 5} done + 6 failed" in out
    errors = {row["film_id"]: row for row in tables.read_table(str(root), "errors").to_pylist()}
    assert {film: row["kind"] for film, row in errors.items()} == {
        "film-00000": "missing",
        HOWTOS[0]: "missing",
        **dict.fromkeys((HOWTOS[1], HOWTOS[2], HOWTOS[4], HOWTOS[5]), "damaged"),
    }
    assert "cinescribe extract" in errors["film-00000"]["message"]
    assert "cinescribe transcribe" in errors[HOWTOS[0]]["message"]
    assert HOWTOS[2] in errors[HOWTOS[2]]["message"]
    assert run(root, model, "--strict") == 1
    shutil.move(tmp_path / speech.name, speech)
    assert run(root, model) == 0  # no --retry-failed: its rows are others now
    assert tables.read_row(str(root), "alignments", HOWTOS[0]) is not None
    assert HOWTOS[0] not in tables.read_table(str(root), "errors")["film_id"].to_pylist()


def test_what_cannot_be_meant_is_told(
    root: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str, root: Path = root, model: Path = model) -> str:
        assert run(root, model, *arguments) == 2
        return capsys.readouterr().err

    assert "not a folder of TAN" in refused(model=tmp_path)
    assert "no features 'world-s3d'" in refused(root=tmp_path)
    assert "no film" in refused("--films", "nothing")
    assert "not there" in refused("--truth", str(tmp_path / "none.json"))
    (tmp_path / "truth.json").write_text('{"a": [[1, 2]]}')
    assert "truth.json: should be" in refused("--truth", str(tmp_path / "truth.json"))
    (tmp_path / "truth.json").write_text('{"a": [[1, 2, 3, "b"], [0, 2, 3, "b"]]}')
    assert "have no features" in refused("--truth", str(tmp_path / "truth.json"))
    assert "reads features of 8 numbers" in refused(model=save_model(tmp_path / "narrow", video_width=8))
    assert not (root / "alignments").exists()
    assert run(root, model, "--films", "howto-00000", "--quiet") == 0  # the folder is still anyone's


def test_the_truth_is_scored_as_htm_align_does(
    root: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "htm_align_test.json"
    assert run(root, model, "--films", "howto-*", "--truth", str(path)) == 0
    saved, videos = tan_files.load(model), []
    for film_id, rows in sorted(json.loads(path.read_text()).items()):
        features = tables.read_features(str(root), "world-s3d", film_id)
        assert features is not None
        middles = [(start + end) / 2 for _, start, end, _ in rows]
        with torch.no_grad():
            vectors = TextReader("fresh", saved.words)(saved.pair, [row[3] for row in rows])
        known = [not row[0] for row in rows]
        video = torch.from_numpy(features.array.astype(np.float32))
        found = align_video(saved.pair.online, video, vectors, middles, known, window=WINDOW)
        spans = [(row[1], row[2]) for row in rows]
        videos.append(
            SentenceAlignment(found.similarity, found.alignability, [bool(r[0]) for r in rows], spans)
        )
    scores = score_alignment(videos)
    told = f"R@1 {scores.recall:.3f} of {scores.alignable} alignable sentences, AUC {scores.auc:.3f}"
    assert told in capsys.readouterr().out.replace("\n", " ")
    (record,) = (root / "runs").iterdir()
    assert json.loads(record.read_text())["truth"]["recall"] == pytest.approx(scores.recall)


def test_on_s3(bucket: str, world: Path, model: Path) -> None:
    root = f"{bucket}/align test"
    write_world(root, WorldSettings(video_dim=16, film_dim=8), 0, 2)
    for path in model.iterdir():
        storage.write_bytes(f"{bucket}/runs/best/{path.name}", path.read_bytes())
    assert run(root, f"{bucket}/runs/best") == 0
    assert run(root, model) == 0  # the same bytes, and nothing to do
    assert run(root, f"{bucket}/runs/none") == 2
    assert [row["film_id"] for row in rows_of(root)] == HOWTOS[:2]
    assert storage.read_bytes(f"{root}/htm_aa.csv").startswith(b"vid,timestamp,text\n")
    assert storage.exists(f"{root}/files/{HOWTOS[1]}.aligned.vtt")


@pytest.mark.slow
def test_shared_out_by_ray_the_table_is_the_same(
    root: Path, model: Path, tmp_path: Path, ray_cluster: None
) -> None:
    assert run(root, model, "--out", str(tmp_path / "alone")) == 0
    assert align.main([str(root), "--model", str(model), "--workers", "2", "--quiet"]) == 0
    assert_alike(root, tmp_path / "alone")
    assert (root / "htm_aa.csv").read_bytes() == (tmp_path / "alone" / "htm_aa.csv").read_bytes()
    (error,) = tables.read_table(str(root), "errors").to_pylist()
    assert error["film_id"] == "film-00000"


@pytest.mark.slow
def test_killed_and_started_again_it_is_as_from_one_run(root: Path, model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.align", str(root), "--model", str(model), "--workers", "1"]
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
            assert process.stdout is not None
            process.stdout.readline()  # a film came in
            os.kill(process.pid, signal.SIGKILL)
    assert tables.written_names(str(root), "alignments")  # some, where the kill was in time
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, cwd=Path(__file__).parents[2])
    assert_alike(root, tmp_path / "whole")
    assert (root / "htm_aa.csv").read_bytes() == (tmp_path / "whole" / "htm_aa.csv").read_bytes()
