"""What is promised when things die: the driver, a worker, a film's process, at any moment."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cinescribe import tables
from tests.media.films import tone, write_film

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TABLES = ("films", "speech", "errors")


def start(cleaner: str, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
    """The pipeline as a process of its own."""
    command = [sys.executable, "-m", "tests.pipelines.standins", cleaner, *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A shell that runs the tests in its background has them ignore interrupts, and their children too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def content(out: Path) -> dict[str, list[dict[str, Any]]]:
    return {table: tables.read_table(str(out), table).to_pylist() for table in TABLES}


def rows_on_disk(out: Path) -> int:
    return sum(len(tables.written_names(str(out), table)) for table in TABLES)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Eight films, one of which can't be read."""
    folder = tmp_path / "films"
    folder.mkdir()
    for n in range(7):
        write_film(folder / f"film {n}.mp4", frames=25, audio=tone(1.0, 48000, level=0.1 + 0.1 * n))
    (folder / "zero.mp4").write_bytes(b"")
    return folder


def test_a_driver_killed_at_any_moment_loses_and_doubles_nothing(library: Path, tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert start("Loudness", library, "--out", undisturbed).wait(120) == 0
    moments = random.Random(7)
    kills = 0
    while True:
        process = start("Slow", library, "--out", killed)
        goal = rows_on_disk(killed) + moments.randrange(5)  # so many rows later, and a little
        while process.poll() is None and rows_on_disk(killed) < goal:
            time.sleep(0.01)
        time.sleep(moments.random())
        if process.poll() is None and kills < 2:
            process.kill()
            kills += 1
        process.wait(120)
        if process.returncode == 0:
            break
    assert kills >= 1
    assert content(killed) == content(undisturbed)
    assert len(tables.written_names(str(killed), "speech")) == 7
    for path in (undisturbed / "files").iterdir():
        assert (killed / "files" / path.name).read_bytes() == path.read_bytes()


def test_films_that_kill_or_stall_their_process_are_bounded(tmp_path: Path) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    for name in ("a", "segfault", "memory", "hang", "bug", "killed", "z"):
        write_film(films / f"{name}.mp4", frames=25, audio=tone(1.0, 48000))
    process = start("Troubled", films, "--out", out, "--stall-seconds", 4)
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    tries = {path.name.split(".")[0]: path.stat().st_size for path in films.glob("*.tries")}
    assert tries == {"a": 1, "segfault": 3, "memory": 1, "hang": 1, "bug": 1, "killed": 2, "z": 1}
    errors = {row["film_id"]: row for row in tables.read_table(str(out), "errors").to_pylist()}
    assert {film_id: row["kind"] for film_id, row in errors.items()} == {
        "segfault": "crashed",
        "memory": "crashed",
        "hang": "stalled",
        "bug": "unexpected",
    }
    assert "3 times" in errors["segfault"]["message"]
    assert "needs more memory than there was" in errors["memory"]["message"]
    assert "4 s" in errors["hang"]["message"]
    assert "ZeroDivisionError: a fault of the program" in errors["bug"]["message"]
    assert tables.read_table(str(out), "speech")["film_id"].to_pylist() == ["a", "killed", "z"]
    assert "7 planned = 3 done + 4 failed" in told

    # With a cleaner that has none of these troubles, those that failed are done on demand. One of them loses
    # its machine, which is no fault of its own.
    process = start("Leaving", films, "--out", out, "--retry-failed")
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert "machines went away; 1 that did not come back are tried again" in told
    assert len(tables.read_table(str(out), "speech")) == 7
    assert len(tables.read_table(str(out), "errors")) == 0


def test_an_interrupt_stops_and_the_same_command_goes_on(library: Path, tmp_path: Path) -> None:
    for attempt in range(4):  # on a busy machine the signal may come when all is done
        out = tmp_path / f"out{attempt}"
        process = start("Slow", library, "--out", out)
        while process.poll() is None and not tables.written_names(str(out), "speech"):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)  # as a job that is ended; Ctrl-C has the same handler
        told, _ = process.communicate(timeout=120)
        if process.returncode != 0:
            break
    assert process.returncode == 130, told
    assert "goes on" in told
    assert "***" not in told  # no stack of Ray's
    process = start("Slow", library, "--out", out)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert len(tables.read_table(str(out), "speech")) == 7
