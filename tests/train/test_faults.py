"""Real Ray Train: a worker and then the driver are killed, and the run is the same as one undisturbed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.train.worlds import write_howtos
from train import command, folder

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
OPTIONS = (
    "--features tiny --text fresh --dim 32 --layers 1 --heads 2 --window 16 --batch 8 --warmup 3 --steps 60 "
    "--learning-rate 1e-3 --parts 2 --log-every 1 --checkpoint-every 5 --evaluate-every 30 "
    "--threads 1 --quiet"
).split()


def losses(out: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in folder.read_lines(str(out)) if "loss" in line]


def reaches(out: Path, step: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a run has logged a step."""
    deadline = time.monotonic() + 240
    while not (found := losses(out)) or found[-1][0] < step:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_of(driver: int) -> list[int]:
    """The processes of Ray's training workers below a driver, by what the kernel tells."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                names[int(entry.name)] = (entry / "cmdline").read_text()
            except (OSError, IndexError):
                continue

    def below(pid: int) -> bool:
        while pid in parents and pid != driver:
            pid = parents[pid]
        return pid == driver

    return [pid for pid, name in names.items() if "RayTrainWorker" in name and below(pid)]


def test_a_killed_worker_and_a_killed_driver_change_nothing(tmp_path: Path) -> None:
    data, undisturbed, killed = tmp_path / "data", tmp_path / "undisturbed", tmp_path / "killed"
    write_howtos(data)
    given = ["--data", str(data), *OPTIONS]
    assert command.main(["tan-stage1", *given, "--out", str(undisturbed), "--workers", "0"]) == 0

    def start(*arguments: str) -> "subprocess.Popen[bytes]":
        clean: dict[str, Any] = {
            name: value for name, value in os.environ.items() if not name.startswith("RAY_")
        }
        words = [sys.executable, "-m", "cinescribe.cli", "train", "tan-stage1", *given, "--out", str(killed)]
        return subprocess.Popen([*words, *arguments], cwd=ROOT, env=clean)

    driver = start("--workers", "2")
    reaches(killed, 12, driver)
    workers = workers_of(driver.pid)
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    reaches(killed, losses(killed)[-1][0] + 10, driver)  # they came back by themselves
    workers = workers_of(driver.pid)
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{worker}").exists() for worker in workers):  # they end soon after their driver
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert losses(killed)[-1][0] < 60
    assert command.main(["tan-stage1", *given, "--out", str(killed), "--workers", "0"]) == 0  # goes on alone
    found, wanted = losses(killed), losses(undisturbed)
    assert [step for step, _ in found] == list(range(1, 61))
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in wanted], rel=1e-3)
