"""The loop on the smallest recipe: steps, parts, workers, restarts, checkpoints."""

import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cinescribe.errors import CinescribeError, UsageError, WeightsError
from tests.train.toy import Line, Options
from train import checkpoints, folder, loop
from train.settings import Settings

ROOT = Path(__file__).parents[2]


def settings(out: Path, **other: Any) -> Settings:
    given = {"log_every": 1, "evaluate_every": 10, "checkpoint_every": 4, **other}
    return Settings(recipe="line", data="", out=str(out), quiet=True, **given)


def run(out: Path, options: Options | None = None, **other: Any) -> loop.Progress:
    return loop.train(Line(options or Options()), settings(out, **other))


def curve(out: Path) -> list[dict[str, Any]]:
    """All numbers but the speed."""
    return [
        {k: v for k, v in line.items() if k != "examples_per_second"} for line in folder.read_lines(str(out))
    ]


def losses(out: Path) -> list[float]:
    return [line["loss"] for line in folder.read_lines(str(out)) if "loss" in line]


def test_the_loss_goes_down_and_the_best_model_is_kept(tmp_path: Path) -> None:
    progress = run(tmp_path)
    found = losses(tmp_path)
    assert len(found) == 30
    assert found[-1] < 0.5 * found[0]
    evaluations = {n["step"]: n["evaluation"]["error"] for n in curve(tmp_path) if "evaluation" in n}
    assert progress.best_step == min(evaluations, key=lambda step: evaluations[step])
    told = json.loads((tmp_path / "best" / "metrics.json").read_text())
    assert told == {"step": progress.best_step, "error": evaluations[progress.best_step]}
    assert json.loads((tmp_path / "last" / "metrics.json").read_text())["step"] == 30
    assert (tmp_path / "last" / "weights.json").exists()
    assert list((tmp_path / "tensorboard").iterdir())


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_parts_are_as_good_as_one_batch(tmp_path: Path, parts: int) -> None:
    run(tmp_path / "whole")
    run(tmp_path / "parts", parts=parts)
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)


def test_a_run_that_stops_and_goes_on_is_the_same_run(tmp_path: Path) -> None:
    options = Options(dropout=0.3)
    run(tmp_path / "whole", options, parts=2)
    for stop in (6, 13, 30):
        run(tmp_path / "parts", options, parts=2, max_steps=stop)
    kept = [line for line in curve(tmp_path / "parts") if "loss" in line]
    assert kept == [line for line in curve(tmp_path / "whole") if "loss" in line]
    weights = [(tmp_path / name / "last" / "weights.json").read_text() for name in ("whole", "parts")]
    assert weights[0] == weights[1]


class Killed(BaseException):
    """What a kill does to a run in this process: nothing after it happens."""


@pytest.mark.parametrize("dies_at", [1, 4, 11, 29])
def test_a_run_that_dies_goes_on_from_its_last_checkpoint(tmp_path: Path, dies_at: int) -> None:
    run(tmp_path / "whole")

    def show(numbers: Any) -> None:
        if numbers.get("step") == dies_at and "loss" in numbers:
            raise Killed

    with pytest.raises(Killed):
        loop.train(Line(Options()), settings(tmp_path / "dies"), loop.Crew(show=show))
    run(tmp_path / "dies")
    assert curve(tmp_path / "dies") == curve(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["no mark", "cut", "other bytes", "no model"])
def test_a_checkpoint_that_is_not_whole_is_not_taken(tmp_path: Path, damage: str) -> None:
    run(tmp_path / "whole")
    run(tmp_path / "out", max_steps=10)
    last = tmp_path / "out" / "checkpoints" / "step-00000010"
    model = last / checkpoints.MODEL
    if damage == "no mark":
        (last / checkpoints.COMPLETE).unlink()
    elif damage == "cut":
        model.write_bytes(model.read_bytes()[:-10])
    elif damage == "other bytes":
        data = bytearray(model.read_bytes())
        data[-1] ^= 1
        model.write_bytes(data)
    else:
        model.unlink()
    found = checkpoints.latest(str(tmp_path / "out"))
    assert found is not None
    assert found.step == 8
    run(tmp_path / "out")
    assert curve(tmp_path / "out") == curve(tmp_path / "whole")


def test_old_checkpoints_go(tmp_path: Path) -> None:
    run(tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000028",
        "step-00000030",
    ]


def test_a_checkpoint_that_is_a_pickle_is_refused(tmp_path: Path) -> None:
    run(tmp_path, max_steps=4)
    last = tmp_path / "checkpoints" / "step-00000004"
    torch.save({"optimiser": Killed}, last / checkpoints.STATE)
    marked = json.loads((last / checkpoints.COMPLETE).read_text())
    marked[checkpoints.STATE] = {"sha256": checkpoints._sha256((last / checkpoints.STATE).read_bytes())}
    (last / checkpoints.COMPLETE).write_text(json.dumps(marked))
    with pytest.raises(WeightsError, match="more than tensors"):
        run(tmp_path)


def test_a_folder_holds_one_run(tmp_path: Path) -> None:
    one = settings(tmp_path)
    folder.claim(one.out, one.identity(Options(batch=7)))  # and came to nothing
    folder.claim(one.out, one.identity(Options()))
    run(tmp_path, max_steps=4)
    more_workers = replace(one, workers=(2, 4), max_steps=3)
    folder.claim(one.out, more_workers.identity(Options()))
    with pytest.raises(UsageError, match=r"learning_rate 0\.05, not 0\.1"):
        folder.claim(one.out, one.identity(Options(learning_rate=0.1)))


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(CinescribeError, match="--learning-rate"):
        run(tmp_path, Options(learning_rate=1e30, warmup=0))
    assert checkpoints.latest(str(tmp_path)) is None


WORKER = """
import sys, torch.distributed as dist
from tests.train.toy import Line, Options
from train import loop
from train.settings import Settings
rank, world, port, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
every = {"log_every": 1, "evaluate_every": 10, "checkpoint_every": 4}
settings = Settings(recipe="line", data="", out=out, parts=4, **every)
loop.train(Line(Options(dropout=0.3)), settings, loop.Crew(rank, world))
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_any_number_of_workers_makes_the_same_run(tmp_path: Path) -> None:
    run(tmp_path / "one", Options(dropout=0.3), parts=4)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), "2", str(port), str(tmp_path / "two")], cwd=ROOT
        )
        for rank in range(2)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    for found, wanted in zip(curve(tmp_path / "two"), curve(tmp_path / "one"), strict=True):
        for name, value in wanted.items():
            assert found[name] == pytest.approx(value, rel=1e-4)
