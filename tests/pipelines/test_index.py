"""`cinescribe index`: what changed is indexed again, what left is dropped, what can't be read is told."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cinescribe import storage, tables
from cinescribe.describe import corrections
from cinescribe.describe.placement import Sentence
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.media.library import FilmRef
from cinescribe.search.store import Store
from pipelines import index
from tests.describe.rows import write_descriptions
from tests.search.films import utterances, write_speech

NAMES = ("one", "a b/ü 100% it's", "x" * 250)  # the last one's file name is shortened


def write(root: str, film_id: str, *texts: str) -> None:
    lines = [(k, k + 0.5, "dialogue", "SPEAKER_00", text) for k, text in enumerate(texts)]
    write_speech(root, film_id, utterances(*lines))


def run(root: str, *arguments: str) -> int:
    return index.main([root, "--workers", "1", "--quiet", *arguments])


def texts(root: str) -> dict[str, list[str]]:
    """The texts in the index, by film."""
    found: dict[str, list[str]] = {}
    for row in Store(root).open("texts").to_arrow().select(["film_id", "text"]).to_pylist():
        found.setdefault(row["film_id"], []).append(row["text"])
    return {film_id: sorted(lines) for film_id, lines in found.items()}


def test_only_what_changed_is_indexed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(tmp_path)
    for name in NAMES:
        write(root, name, "a first line", "and another")
    assert index.main([root, "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "3 planned = 3 done + 0 failed" in out
    assert "[3/3]" in out
    assert texts(root) == {name: ["a first line", "and another"] for name in NAMES}

    version = Store(root).open("texts").version
    assert index.main([root, "--workers", "1"]) == 0
    assert "[" not in capsys.readouterr().out  # nothing was done
    assert Store(root).open("texts").version == version

    write(root, NAMES[1], "changed")
    tables.delete_row(root, "speech", NAMES[0])
    assert index.main([root, "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert "2 planned = 2 done + 0 failed" in out
    assert "left the tables, and the index" in out
    assert texts(root) == {NAMES[1]: ["changed"], NAMES[2]: ["a first line", "and another"]}


def test_generated_descriptions_are_indexed_as_people_corrected_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path)
    write(root, "one", "a line")
    for name in ("one", "two"):
        said = [Sentence(4.0 * k, 4.0 * k + 4, f"She opens door {k}.") for k in range(3)]
        write_descriptions(root, name, said)
    # Of a film that is not here (any more): nothing to index, and no fault.
    corrections.write(root, corrections.correction("gone", (0, 1), "text", "He sits."))
    assert run(root) == 0
    doors = [f"She opens door {k}." for k in range(3)]
    assert texts(root) == {"one": [*doors, "a line"], "two": doors}

    corrections.write(root, corrections.correction("two", (0, 4000), "text", "A dog barks."))
    corrections.write(root, corrections.correction("two", (4000, 8000), "removed"))
    capsys.readouterr()
    assert index.main([root, "--workers", "1"]) == 0
    assert "one  " not in capsys.readouterr().out  # nothing changed there
    assert texts(root) == {"one": [*doors, "a line"], "two": ["A dog barks.", doors[2]]}
    rows = Store(root).open("texts").to_arrow().to_pylist()
    assert {(row["text"], row["source"], row["role"]) for row in rows if row["film_id"] == "two"} == {
        ("A dog barks.", "generated", "corrected"),
        (doors[2], "generated", "generated"),
    }
    corrections.write(root, corrections.correction("two", (0, 4000), "machine"))
    write_descriptions(root, "one", [Sentence(0.0, 4.0, "He sits.")])
    assert run(root) == 0
    assert texts(root) == {"one": ["He sits.", "a line"], "two": [doors[0], doors[2]]}
    tables.delete_row(root, "descriptions", "two")
    assert run(root) == 0
    assert list(texts(root)) == ["one"]


def test_a_damaged_row_is_an_error_that_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path)
    write(root, "good", "a line")
    write(root, "bad", "a line")
    assert run(root) == 0
    path = tmp_path / "speech" / "bad.parquet"
    kept = path.read_bytes()
    path.write_bytes(kept[:50])
    write(root, "good", "a new line")
    with monkeypatch.context() as patch:
        patch.setenv("CINESCRIBE_LOG", str(tmp_path / "log.jsonl"))
        assert run(root) == 0
    told = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    became = {line["film_id"]: (line["stage"], line["kind"]) for line in told if line["event"] == "stage"}
    assert became == {"good": ("index", ""), "bad": ("index", "damaged")}
    assert run(root, "--strict") == 1
    assert texts(root) == {"good": ["a new line"], "bad": ["a line"]}  # what it had stays
    (error,) = tables.read_table(root, "errors").to_pylist()
    assert (error["film_id"], error["stage"]) == ("bad", "index")
    assert "bad.parquet" in error["message"]
    path.write_bytes(kept)
    assert run(root) == 0
    assert tables.read_table(root, "errors").num_rows == 0


def test_a_file_with_another_films_speech_is_an_error_of_its_own_film(tmp_path: Path) -> None:
    root = str(tmp_path)
    write(root, "one", "a line")
    shutil.copy(tmp_path / "speech" / "one.parquet", tmp_path / "speech" / "two.parquet")
    assert run(root) == 0
    assert texts(root) == {"one": ["a line"]}
    assert set(Store(root).films()) == {"one"}
    (error,) = tables.read_table(root, "errors").to_pylist()
    assert (error["film_id"], error["kind"]) == ("two", "damaged")


def test_features_are_indexed_by_windows(tmp_path: Path) -> None:
    root = str(tmp_path)
    film, spec = FilmRef("film", "/films/film.mp4", 1, "1"), EncoderSpec("clip", 1.0, 8, (0.5,))
    vectors = np.eye(8, dtype=np.float16)[[0, 0, 1, 2, 7]]
    vectors[4] = np.nan
    for chunk, rows in enumerate((vectors[:3], vectors[3:])):
        place = (chunk, 3.0 * chunk, 3.0 * chunk + 3)
        row = tables.feature_row(film, place, spec, 3 * chunk, rows, {"clip": "ViT-B-32/openai"})
        tables.write_row(root, "features/clip", "film", row, chunk=chunk)
    assert run(root) == 0
    found = sorted(Store(root).open("clip").to_arrow().to_pylist(), key=lambda row: row["start"])
    assert [(row["start"], row["end"]) for row in found] == [(0.0, 2.0), (2.0, 4.0)]
    assert found[0]["vector"] == [1.0] + [0.0] * 7
    assert found[1]["vector"][1:3] == pytest.approx([0.5**0.5] * 2, abs=1e-3)
    assert Store(root).films()["film"].clip_model == "ViT-B-32/openai"


def test_what_cannot_be_meant_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(tmp_path)) == 2
    assert "run `cinescribe transcribe" in capsys.readouterr().err
    write(str(tmp_path), "film", "a line")
    assert run(str(tmp_path), "--clip", "clip-other") == 2
    assert "no features 'clip-other'" in capsys.readouterr().err
    assert run(str(tmp_path / "typo"), "--no-model") == 2
    assert f"{tmp_path / 'typo'}: no such folder" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()
    with pytest.raises(SystemExit, match="2"):
        run(str(tmp_path), "--model", "s3://bucket/run/best")
    assert "s3://bucket/run/best: copy it" in capsys.readouterr().err


def test_on_s3(bucket: str) -> None:
    root = f"{bucket}/index test"
    for name in NAMES:
        write(root, name, "a line")
    assert run(root) == 0
    write(root, NAMES[0], "changed")
    assert run(root) == 0
    assert texts(root) == {NAMES[0]: ["changed"], NAMES[1]: ["a line"], NAMES[2]: ["a line"]}
    assert storage.read_tagged(f"{root}/index/writer.lock")[0] == b"{}"


@pytest.mark.slow
def test_films_are_shared_out_by_ray(tmp_path: Path, ray_cluster: None) -> None:
    root = str(tmp_path)
    for number in range(6):
        write(root, f"film {number}", "a line", "another")
    (tmp_path / "speech" / tables.file_name("film 3")).write_bytes(b"nothing")
    assert index.main([root, "--workers", "2", "--quiet"]) == 0
    assert texts(root) == {f"film {n}": ["a line", "another"] for n in (0, 1, 2, 4, 5)}
    (error,) = tables.read_table(root, "errors").to_pylist()
    assert error["film_id"] == "film 3"


@pytest.mark.slow
def test_killed_and_started_again_it_is_as_from_one_run(tmp_path: Path) -> None:
    root = str(tmp_path)
    for number in range(40):
        write(root, f"film {number}", *(f"line {k} of film {number}" for k in range(number % 5 + 1)))
    command = [sys.executable, "-m", "pipelines.index", root, "--workers", "1"]
    for wait in (0.0, 0.3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
            assert process.stdout is not None
            process.stdout.readline()  # the first film came in
            time.sleep(wait)
            os.kill(process.pid, signal.SIGKILL)
    assert run(root) == 0
    assert texts(root) == {
        f"film {n}": sorted(f"line {k} of film {n}" for k in range(n % 5 + 1)) for n in range(40)
    }
