"""`cinescribe describe`: what a small model says, in gaps of the dialogue, done once, with errors told."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config

from cinescribe import storage, tables
from cinescribe.describe import corrections
from cinescribe.describe.corrections import correction, interval_of
from cinescribe.describe.intervals import merge_shots
from cinescribe.describe.placement import PlacementSettings, Sentence, place
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.media.audio import read_audio
from cinescribe.media.library import FilmRef, list_films
from cinescribe.media.probe import probe
from cinescribe.models import autoad_files
from cinescribe.models.autoad import AutoAD, AutoADConfig, Example
from cinescribe.models.autoad_film import Clip, describe_films, recent_lines, uniform_frames
from cinescribe.models.decoding import Decoding
from cinescribe.models.language_model import fresh, fresh_tokeniser
from cinescribe.speech.clean import CleanSpeech
from cinescribe.subtitles import read_subtitles
from cinescribe.utterance import Utterance
from pipelines import describe
from tests.media.films import tone, write_film

WIDTH, HZ, FRAMES = 16, 2.0, 4
SECONDS = 24
SPEECH = [
    Utterance(1.0, 4.0, "Where did you put the letter?", role="dialogue"),
    Utterance(9.0, 12.0, "I never saw any letter.", role="dialogue"),
    Utterance(14.0, 16.0, "She turns away.", role="narrator"),
]
TEXTS = [
    "She walks to the door and then she looks back.",
    "He opens a red box.",
    "A dog runs along the beach while the sun goes down.",
]
LOOKS = np.eye(WIDTH)[:3] * 4
SHOTS = [(0.0, 2.0), (2.0, 6.0), (6.0, 10.0), (10.0, float(SECONDS))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


def save_model(folder: Path, seed: int = 0) -> Path:
    """An AutoAD as training saves it, that has learned which of three sentences a look stands for."""
    torch.manual_seed(seed)
    config = GPT2Config(n_layer=1, n_embd=32, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    language_model = fresh(config, fresh_tokeniser(TEXTS * 3, 300), seed)
    autoad = AutoAD(language_model, AutoADConfig(frame_width=WIDTH, latents=2, layers=1, heads=2))
    autoad.set_stage("all", True)
    autoad.train()
    optimiser = torch.optim.AdamW(autoad.parameters(), 5e-3)
    lines = [line.text for line in SPEECH]
    for step in range(150):
        batch = [
            Example(
                torch.from_numpy(LOOKS[number]).float() + 0.1 * torch.randn(FRAMES, WIDTH),
                [TEXTS[(step + other) % 3] for other in range(step % 4)],
                lines[: step % 3],
                TEXTS[number],
            )
            for number in range(3)
        ]
        optimiser.zero_grad()
        autoad.loss(autoad.batch(batch)).backward()
        optimiser.step()
    autoad_files.save(autoad, folder, autoad_files.Inputs("frames", HZ, FRAMES, "lines"))
    return folder


@dataclass
class Library:
    """Films, and their tables as the other pipelines would have written them."""

    films: Path
    out: str

    def add(self, name: str, features: bool = True, speech: bool = True, shots: bool = True) -> None:
        path = write_film(
            self.films / f"{name}.mp4", frames=25 * SECONDS, audio=tone(SECONDS, 48000, level=0.1)
        )
        film = next(film for film in list_films([str(self.films)]) if film.film_id == name)
        if shots:
            tables.write_row(self.out, "films", name, tables.film_row(film, probe(path), SHOTS))
        if speech:
            clean = CleanSpeech(tuple(SPEECH), "en", 1.0, 1.0, (), {}, 0.0, {}, {})
            tables.write_row(self.out, "speech", name, tables.speech_row(film, clean))
        if features:
            self.add_features(film)

    def add_features(self, film: FilmRef) -> None:
        for chunk in range(2):
            first, count = chunk * SECONDS, SECONDS  # at 2 a second, half of the film
            row = tables.feature_row(
                film,
                (chunk, first / HZ, (first + count) / HZ),
                EncoderSpec("frames", HZ, WIDTH, (0.25,)),
                first,
                features_of(film.film_id)[first : first + count],
                {"clip": "random"},
            )
            tables.write_row(self.out, "features/frames", film.film_id, row, chunk=chunk)

    def command(self, model: Path) -> list[str]:
        return [str(self.films), "--out", self.out, "--model", str(model), "--beams", "2"]

    def run(self, model: Path, *arguments: str, workers: str = "1") -> int:
        return describe.main([*self.command(model), "--quiet", "--workers", workers, *arguments])

    def rows(self) -> dict[str, tables.Row]:
        return {row["film_id"]: row for row in tables.read_table(self.out, "descriptions").to_pylist()}

    def errors(self) -> list[tables.Row]:
        found: list[tables.Row] = tables.read_table(self.out, "errors").to_pylist()
        return found


def features_of(film_id: str) -> np.ndarray:
    """A look for 2 s each, in another order in each film."""
    random = np.random.default_rng(sum(map(ord, film_id)))
    shown = np.repeat(random.integers(0, len(LOOKS), SECONDS // 2), int(2 * HZ))
    return (LOOKS[shown] + 0.05 * random.standard_normal((len(shown), WIDTH))).astype(np.float16)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    (tmp_path / "films").mkdir()
    found = Library(tmp_path / "films", str(tmp_path / "out"))
    for name in ("one", "two"):
        found.add(name)
    return found


def expected(model: Path, film_id: str) -> tuple[list[str], list[tuple[float, float]]]:
    """What the model says of the film's intervals, called directly."""
    whole = torch.from_numpy(features_of(film_id).astype(np.float32))
    intervals = merge_shots(SHOTS)
    clips = [
        Clip(
            uniform_frames(whole[int(start * HZ) : int(np.ceil(end * HZ))], FRAMES),
            recent_lines(SPEECH, start),
        )
        for start, end in intervals
    ]
    (said,) = describe_films(autoad_files.load(model), [clips], "recurrent", Decoding(beams=2))
    return said, intervals


def test_the_rows_are_what_the_model_says_in_the_gaps(library: Library, model: Path) -> None:
    assert library.run(model) == 0
    rows = library.rows()
    assert sorted(rows) == ["one", "two"]
    for film_id, row in rows.items():
        texts, intervals = expected(model, film_id)
        assert [sentence["text"] for sentence in row["sentences"]] == texts
        assert [(sentence["start"], sentence["end"]) for sentence in row["sentences"]] == intervals
        assert all(0 < sentence["score"] <= 1 for sentence in row["sentences"])
        placed = place(
            [Sentence(start, end, text) for (start, end), text in zip(intervals, texts, strict=True)],
            [(line.start, line.end) for line in SPEECH],
            float(SECONDS),
            PlacementSettings(),
        )
        assert [sentence["reason"] for sentence in row["sentences"]] == [one.reason for one in placed]
        cues = [(cue["start"], cue["end"], cue["text"]) for cue in row["cues"]]
        assert cues == [(one.cue.start, one.cue.end, one.cue.text) for one in placed if one.cue]
        numbers = [sentence["cue"] for sentence in row["sentences"] if sentence["cue"] >= 0]
        assert numbers == list(range(len(cues)))
        written = read_subtitles(Path(library.out) / "files" / f"{film_id}.described.vtt")
        assert [(line.start, line.end) for line in written] == [cue[:2] for cue in cues]
        assert {weight["role"] for weight in row["weights"]} == {"autoad", "clip"}
    assert rows["one"]["sentences"] != rows["two"]["sentences"]
    assert all(cue["text"] for row in rows.values() for cue in row["cues"])
    assert {sentence["reason"] == "" for row in rows.values() for sentence in row["sentences"]} == {
        True,
        False,
    }


def test_given_intervals_take_the_place_of_shots(library: Library, model: Path, tmp_path: Path) -> None:
    given = tmp_path / "intervals.csv"
    given.write_text("film_id,start,end\none,5,8\none,17,20.5\n")
    assert library.run(model, "--intervals", str(given)) == 0
    (row,) = library.rows().values()
    assert [(sentence["start"], sentence["end"]) for sentence in row["sentences"]] == [(5, 8), (17, 20.5)]
    (error,) = library.errors()
    assert (error["film_id"], error["stage"], error["kind"]) == ("two", "descriptions", "missing")
    assert "intervals.csv" in error["message"]


def test_what_lacks_is_told_and_done_once_it_is_there(library: Library, model: Path) -> None:
    library.add("bare", features=False)
    library.add("mute", speech=False)
    assert library.run(model) == 0
    told = {error["film_id"]: error for error in library.errors()}
    assert sorted(told) == ["bare", "mute"]
    assert all(error["stage"] == "descriptions" and error["kind"] == "missing" for error in told.values())
    assert "cinescribe extract" in told["bare"]["message"]
    assert "cinescribe transcribe" in told["mute"]["message"]
    assert library.run(model, "--strict") == 1
    library.add_features(next(film for film in list_films([str(library.films)]) if film.film_id == "bare"))
    assert library.run(model) == 0
    assert sorted(library.rows()) == ["bare", "one", "two"]
    assert [error["film_id"] for error in library.errors()] == ["mute"]


def test_a_film_is_described_once_and_again_when_its_tables_change(library: Library, model: Path) -> None:
    assert library.run(model) == 0
    folder = Path(library.out, "descriptions")
    first = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert library.run(model) == 0
    assert first == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    before = library.rows()
    row = tables.read_row(library.out, "speech", "two")
    assert row is not None
    row["utterances"] = [{**row["utterances"][0], "start": 0.0, "end": float(SECONDS)}]
    tables.write_row(library.out, "speech", "two", row)
    assert library.run(model) == 0
    after = library.rows()
    assert after["one"] == before["one"]
    assert after["two"]["cues"] == []
    assert {sentence["reason"] for sentence in after["two"]["sentences"]} <= {"no-gap", "empty", "repeated"}


def test_corrections_are_brought_in_and_nothing_is_generated_over_them(
    library: Library, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert library.run(model) == 0
    before = library.rows()
    spoken = [one for one in before["two"]["sentences"] if one["cue"] >= 0]
    dropped = next(one for one in before["two"]["sentences"] if one["cue"] < 0)
    first = interval_of(spoken[0]["start"], spoken[0]["end"])
    corrections.write(library.out, correction("two", first, "text", "Emma waits.", "Ada"))
    corrections.write(
        library.out, correction("two", interval_of(dropped["start"], dropped["end"]), "removed")
    )
    corrections.write(library.out, correction("two", (1, 2), "text", "He sits."))  # no such interval
    stamps = {path.name: path.stat().st_mtime_ns for path in Path(library.out, "descriptions").iterdir()}
    assert describe.main([*library.command(model), "--workers", "1"]) == 0
    told = capsys.readouterr().out
    assert "[2/2] two" in told
    assert "corrections left over" in told

    after = library.rows()
    now = {path.name: path.stat().st_mtime_ns for path in Path(library.out, "descriptions").iterdir()}
    assert [name for name in stamps if now[name] != stamps[name]] == ["two.parquet"]
    assert after["one"] == before["one"]
    assert after["two"]["generated"] == before["two"]["generated"]
    assert after["two"]["generated_cues"] == before["two"]["cues"]
    lines = read_subtitles(Path(library.out) / "files" / "two.described.vtt")
    assert [line.text for line in lines] == [cue["text"] for cue in after["two"]["cues"]]
    assert "Emma waits." in [line.text for line in lines]
    made = {(one["text"], one["reason"]) for one in after["two"]["sentences"] if one["correction"]}
    assert made == {("Emma waits.", ""), ("", "removed")}

    assert library.run(model) == 0  # nothing to do
    assert library.rows() == after
    clean = Library(library.films, f"{library.out} from nothing")
    for table in ("films", "speech", "features", "corrections"):
        shutil.copytree(Path(library.out, table), Path(clean.out, table), copy_function=shutil.copy2)
    assert clean.run(model) == 0
    assert clean.rows() == after  # as from one run
    corrections.write(library.out, correction("two", first, "machine"))
    assert library.run(model) == 0
    assert before["two"]["cues"][0] in library.rows()["two"]["cues"]


def test_corrections_outlive_another_model(library: Library, model: Path, tmp_path: Path) -> None:
    assert library.run(model) == 0
    weights, one = library.rows()["one"]["weights"], library.rows()["one"]["sentences"][0]
    interval = interval_of(one["start"], one["end"])
    corrections.write(library.out, correction("one", interval, "text", "Emma waits."))
    other = save_model(tmp_path / "other", 1)
    assert library.run(other) == 2
    assert library.run(other, "--anew") == 0
    row = library.rows()["one"]
    assert row["sentences"][0]["text"] == "Emma waits."
    assert row["weights"] != weights
    assert library.run(other, "--anew") == 0  # nothing to do: it is as asked
    assert library.rows()["one"] == row


def test_a_correction_that_cannot_be_read_is_told_and_mended(
    library: Library, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert library.run(model) == 0
    corrections.write(library.out, correction("two", (0, 6000), "text", "Emma waits."))
    described = Path(library.out, "descriptions", "two.parquet")
    whole = described.read_bytes()
    described.write_bytes(b"nothing")
    assert library.run(model) == 2
    assert f"{described}: not a row" in capsys.readouterr().err
    described.write_bytes(whole)
    (file,) = Path(library.out, "corrections").glob("*.parquet")
    kept = file.read_bytes()
    file.write_bytes(b"nothing")
    assert library.run(model) == 1
    (error,) = library.errors()
    assert (error["film_id"], error["stage"], error["kind"]) == ("two", "descriptions", "damaged")
    assert file.name in error["message"]
    file.write_bytes(kept)
    assert library.run(model) == 0
    assert library.errors() == []


def test_other_settings_are_refused(
    library: Library, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert library.run(model) == 0
    assert library.run(model, "--wpm", "100") == 2
    assert "words_per_minute" in capsys.readouterr().err
    assert library.run(save_model(tmp_path / "other", 1)) == 2
    assert "model" in capsys.readouterr().err


def test_a_model_that_does_not_tell_its_features_is_refused(
    library: Library, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "untold"
    autoad_files.save(autoad_files.load(model), other)
    assert library.run(other) == 2
    assert "which features" in capsys.readouterr().err
    assert library.run(tmp_path / "nothing") == 2


def test_speech_is_kept_clear_in_films_on_paper_that_have_no_sound(library: Library, model: Path) -> None:
    assert library.run(model, "--over-narrator") == 0
    for film_id in library.rows():
        known = tables.read_row(library.out, "films", film_id)
        assert known
        tables.write_row(library.out, "films", film_id, {**known, "audio_rate": 0})
    assert library.run(model, "--anew") == 0
    cues = [cue for row in library.rows().values() for cue in row["cues"]]
    assert cues
    assert not [cue for cue in cues for line in SPEECH if cue["start"] < line.end and line.start < cue["end"]]


def test_the_narrator_s_places_can_be_used(library: Library, model: Path) -> None:
    assert library.run(model, "--over-narrator") == 0
    for row in library.rows().values():
        texts, intervals = expected(model, row["film_id"])
        placed = place(
            [Sentence(*span, text) for span, text in zip(intervals, texts, strict=True)],
            [(line.start, line.end) for line in SPEECH if line.role != "narrator"],
            float(SECONDS),
        )
        assert [cue["start"] for cue in row["cues"]] == [one.cue.start for one in placed if one.cue]


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_a_whole_one(library: Library, model: Path, tmp_path: Path) -> None:
    for number in range(4):
        library.add(f"film {number}")
    whole = Library(library.films, str(tmp_path / "whole"))
    for table in ("films", "speech", "features/frames"):
        (tmp_path / "whole" / table).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "whole" / table).symlink_to(tmp_path / "out" / table)
    assert whole.run(model) == 0
    command = [sys.executable, "-m", "pipelines.describe", str(library.films), "--out", library.out]
    command += ["--model", str(model), "--beams", "2", "--workers", "1"]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not tables.written_names(library.out, "descriptions") and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(library.rows()) > 0
    assert library.run(model) == 0
    assert library.rows() == whole.rows()
    assert library.errors() == []


@pytest.mark.slow
def test_a_corrected_text_is_spoken(library: Library, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("piper")
    given = tmp_path / "intervals.csv"
    given.write_text("film_id,start,end\none,17,20\n")
    arguments = ("--intervals", str(given), "--voice", "joe")
    assert library.run(model, *arguments) == 0
    track = Path(library.out, "files", "one.described.m4a")
    corrections.write(library.out, correction("one", (17000, 20000), "text", "Emma waits at the door."))
    before = track.read_bytes()
    assert library.run(model, *arguments) == 0
    assert track.read_bytes() != before
    row = library.rows()["one"]
    (cue,) = row["cues"]
    assert cue["text"] == "Emma waits at the door."
    assert 0.5 < cue["end"] - cue["start"] < 5  # what the voice takes
    sound = read_audio(track, rate=8000)
    assert np.std(sound[round(8000 * cue["start"]) : round(8000 * cue["end"])]) > 0.05
    (machine,) = row["generated_cues"]
    pace = 60 * len(machine["text"].split()) / (machine["end"] - machine["start"])
    assert row["placement"]["words_per_minute"] == pytest.approx(pace)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_on_ray_from_the_films_with_a_voice(library: Library, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("piper")
    given = tmp_path / "intervals.csv"
    given.write_text("film_id,start,end\none,17,20\nnew,5,8\n")
    (library.films / "two.mp4").unlink()
    library.add("new", shots=False)  # its row in films is to be made
    (library.films / "zero.mp4").write_bytes(b"")
    arguments = ("--intervals", str(given), "--voice", "joe")
    assert library.run(model, *arguments, workers="2") == 0
    assert sorted(library.rows()) == ["new", "one"]
    assert [(error["film_id"], error["stage"]) for error in library.errors()] == [("zero", "films")]
    for film_id, row in library.rows().items():
        (cue,) = row["cues"]
        path = Path(library.out) / "files" / f"{film_id}.described.mp4"
        described = probe(path)
        assert [audio.visual_impaired for audio in described.audio] == [False, True]
        assert described.duration == pytest.approx(SECONDS, abs=0.1)
        assert probe(path.with_suffix(".m4a")).duration == pytest.approx(SECONDS, abs=0.1)
        for number, level in enumerate((0.1, 0.1 * 10 ** (-12 / 20))):  # the film's tone, and lowered
            heard = read_audio(path, rate=8000, stream=described.audio[number].index)
            inside = heard[round(8000 * cue["start"]) : round(8000 * cue["end"])]
            turns = np.exp(-2j * np.pi * 440 * np.arange(len(inside)) / 8000)
            assert 2 * np.abs(np.mean(inside * turns)) == pytest.approx(level, rel=0.3)
            assert np.std(inside) > 0.05
    (run,) = (json.loads(path.read_text()) for path in Path(library.out, "runs").iterdir())
    assert run["stages"]["films"] == {"planned": 3, "done": 2, "failed": 1}
    assert run["stages"]["descriptions"] == {"planned": 2, "done": 2, "failed": 0}
    assert run["weights"].keys() == {"autoad"}


def test_tables_and_files_on_s3(library: Library, model: Path, bucket: str, tmp_path: Path) -> None:
    remote = Library(library.films, f"{bucket}/described")
    for name in ("one", "two"):
        remote.add(name)
    assert remote.run(model) == 0
    assert library.run(model) == 0
    assert [row["cues"] for row in remote.rows().values()] == [row["cues"] for row in library.rows().values()]
    assert b"Kind: descriptions" in storage.read_bytes(f"{bucket}/described/files/one.described.vtt")


def test_a_voice_that_is_not_there_is_told(library: Library, model: Path) -> None:
    with pytest.raises(SystemExit):
        library.run(model, "--voice", "nobody")
