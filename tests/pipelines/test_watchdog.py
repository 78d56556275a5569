import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, time
from pathlib import Path
from pipelines.watchdog import Watchdog
with Watchdog({patience}, {limit}, lambda reason: Path({note!r}).write_text(reason)):
    {work}
print("finished")
"""
WAIT = "time.sleep(60)"
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
    ended = run(tmp_path / "note", hold, 1.0, 2.0)
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr


def test_work_that_moves_is_left_alone(tmp_path: Path) -> None:
    ended = run(tmp_path / "note", COMPUTE.format(seconds=3), 1.0, 60.0)
    assert (ended.returncode, ended.stdout) == (0, "finished\n")
    assert not (tmp_path / "note").exists()
