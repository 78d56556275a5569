import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.media.films import write_film

PROGRAM = """
import os, sys, time
from pathlib import Path
from pipelines.watchdog import Watchdog
with Watchdog({patience}, {limit}, lambda reason: Path({note!r}).write_text(reason)):
    {work}
print("finished")
"""
WAIT = "time.sleep(60)"
# A film that stops coming while the decoder waits for more of it.
STOPS = """import av, decord
    pipe = os.open({pipe!r}, os.O_RDWR)
    os.write(pipe, Path({film!r}).read_bytes()[:-1000])
    {decode}"""
COMPUTE = "begin = time.monotonic()\n    while time.monotonic() - begin < {seconds}: sum(range(10000))"


def run(note: Path, work: str, patience: float, limit: float) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(patience=patience, limit=limit, note=str(note), work=work)
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", program], cwd=root, text=True, capture_output=True, timeout=60
    )


@pytest.mark.parametrize(
    ("work", "limit", "reason"),
    [
        (WAIT, 60.0, "the work stood still for 1 s"),
        (COMPUTE.format(seconds=60), 2.0, "the work was not done after 2 s"),
    ],
)
def test_stalled_work_ends_its_process_and_says_where(
    tmp_path: Path, work: str, limit: float, reason: str
) -> None:
    ended = run(tmp_path / "note", work, 1.0, limit)
    assert ended.returncode == 1
    assert (tmp_path / "note").read_text() == reason
    assert 'File "<string>"' in ended.stderr


def test_work_that_holds_the_interpreter_is_ended_too(tmp_path: Path) -> None:
    hold = "import ctypes; ctypes.PyDLL(None).sleep(60)"  # PyDLL keeps the lock
    ended = run(tmp_path / "note", hold, 1.0, 3600.0)
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr


@pytest.mark.parametrize("decode", ["list(av.open({!r}).decode(video=0))", "decord.VideoReader({!r})"])
def test_a_decoder_that_waits_for_ever_is_ended(tmp_path: Path, decode: str) -> None:
    film, pipe = tmp_path / "film.mkv", tmp_path / "pipe.mkv"
    write_film(film, frames=25)
    os.mkfifo(pipe)
    work = STOPS.format(pipe=str(pipe), film=str(film), decode=decode.format(str(pipe)))
    ended = run(tmp_path / "note", work, 1.0, 60.0)
    assert (ended.returncode, (tmp_path / "note").read_text()) == (1, "the work stood still for 1 s")


def test_work_that_moves_is_left_alone(tmp_path: Path) -> None:
    ended = run(tmp_path / "note", COMPUTE.format(seconds=2), 1.0, 60.0)
    assert (ended.returncode, ended.stdout) == (0, "finished\n")
    assert not (tmp_path / "note").exists()
