"""Real Ray Train: a worker and then the driver are killed, and the run is the same as one undisturbed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cinescribe.cineworld.experts import SEES, write_experts
from cinescribe.cineworld.world import WorldSettings, write_world
from train import command, folder

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
# Collaborative Experts: a part's batch norm and negatives are its own, and the optimiser keeps three states.
OPTIONS = (
    f"--annotations cineworld-howtos --experts {','.join(SEES)} --clusters world-deed=2,text=4 --tokens "
    "world-deed=6,text=10 --text glove-6b-50d --width 32 --batch 16 --learning-rate 0.05 --steps 60 "
    "--parts 2 --log-every 1 --checkpoint-every 5 --evaluate-every 30 --threads 1 --quiet"
).split()


def evaluations(out: Path) -> list[dict[str, float]]:
    return [line["evaluation"] for line in folder.read_lines(str(out)) if "evaluation" in line]


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
    write_world(str(data), WorldSettings(video_dim=16, film_dim=16), films=0, videos=10)
    write_experts(str(data))
    given = ["--data", str(data), *OPTIONS]
    assert command.main(["ce", *given, "--out", str(undisturbed), "--workers", "0"]) == 0

    def start(*arguments: str) -> "subprocess.Popen[bytes]":
        clean: dict[str, Any] = {
            name: value for name, value in os.environ.items() if not name.startswith("RAY_")
        }
        words = [sys.executable, "-m", "cinescribe.cli", "train", "ce", *given, "--out", str(killed)]
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
    assert command.main(["ce", *given, "--out", str(killed), "--workers", "0"]) == 0  # goes on alone
    found, wanted = losses(killed), losses(undisturbed)
    assert [step for step, _ in found] == list(range(1, 61))
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in wanted], rel=1e-3)
    assert len(evaluations(killed)) == 2
    for there, wished in zip(evaluations(killed), evaluations(undisturbed), strict=True):
        assert there == pytest.approx(wished, rel=1e-3)
