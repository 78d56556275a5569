"""The scene of a training: it waits for a machine, gets more workers as machines come, and loses one."""

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.autoscale_cluster import AutoscalingCluster, Group
from benchmarks.autoscale_scene import Result, start, told, until_gone
from benchmarks.autoscale_watch import Recorder, Sample, nodes_of, of
from cinescribe.cineworld.world import WorldSettings, write_world
from train import folder

_MOST = 3  # workers, and machines: Ray asks for all at once, and gets none where fewer may come
GROUP = Group(cpus=1, memory=2 * 10**9, most=_MOST)
_STEPS_AFTER = 10  # that it must do after a change
_SAME = 1e-3  # of a loss: two orders of additions
_RECIPE = [
    "train", "tan-stage1", "--features", "world-s3d", "--text", "fresh", "--window", "32", "--dim", "128",
    "--layers", "2", "--heads", "2", "--batch", "12", "--parts", str(_MOST), "--warmup", "20",
    "--steps", "4000", "--log-every", "1", "--checkpoint-every", "10", "--evaluate-every", "100000",
    "--threads", "1", "--quiet",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """Data to train on and the folder of the run."""

    data: Path
    out: Path


def prepare(out: Path, given: argparse.Namespace) -> Run:
    """Make a small world."""
    run = Run(out / "world", out / "trained")
    if not run.data.exists():
        write_world(str(run.data), WorldSettings(), films=2, videos=40)
    for path in (run.out, out / "alone"):
        shutil.rmtree(path, ignore_errors=True)
    return run


def play(cluster: AutoscalingCluster, recorder: Recorder, run: Run) -> Result:
    """Train where there is no machine yet, then three, of which one is lost; the curve goes on."""
    result = Result("training")
    last: dict[str, Any] = {}

    def tell() -> Mapping[str, object]:
        lines = folder.read_lines(str(run.out))
        last.update(lines[-1] if lines else {})
        return {"training": {"step": last["step"], "loss": last["loss"]}} if last else {}

    recorder.tell = tell
    log = run.out.with_suffix(".log")
    recorder.note("train --workers 1-3 begins")
    arguments = [
        "--data",
        str(run.data),
        "--out",
        str(run.out),
        "--workers",
        f"1-{_MOST}",
        "--max-failures",
        "5",
    ]
    process = start(cluster, ["-m", "cinescribe.cli", *_RECIPE, *arguments], log)

    def goes_on(least: int, name: str, seconds: float) -> None:
        """Wait until so many workers are there, or more, and have done some steps."""
        since, met = recorder.seconds, -1  # the step at which they met, or -1

        def seen(sample: Sample) -> bool:
            nonlocal met
            if min(nodes_of(sample, "training"), of(sample, "training workers")) < least:
                met = -1
                return False
            step = sample.get("training", {}).get("step", 0)
            met = step if met < 0 else met
            return bool(step >= met + _STEPS_AFTER)

        happened = process.poll() is None and recorder.wait(seen, seconds)
        result.promise(happened, f"{name}: not in {seconds:.0f} s; see {log}")
        result.rows.append((name, told(recorder.seconds - since if happened else None)))

    goes_on(1, f"from no machine to {_STEPS_AFTER} steps", 180)
    goes_on(_MOST, f"from there to {_STEPS_AFTER} more with {_MOST} workers there", 240)
    lost = cluster.kill_node("training")
    recorder.note("a machine is killed")
    result.promise(bool(lost), "there was no machine to kill")
    fewer = recorder.wait(lambda sample: nodes_of(sample, "training") < _MOST, 60)
    result.promise(fewer, "the machine that was killed is still there")
    goes_on(_MOST, f"a machine killed, until {_STEPS_AFTER} more with {_MOST} workers there", 300)
    process.send_signal(signal.SIGINT)
    code, ended = process.wait(120), recorder.seconds
    recorder.note("the training is interrupted")
    result.promise(code == 130, f"an interrupt ended it with {code}; see {log}")
    until_gone(recorder, result, "training", ended, "the end of the command")
    _compare(run, result)
    return result


def _compare(run: Run, result: Result) -> None:
    """The same steps in one process without Ray; the curves must be the same."""
    lines = folder.read_lines(str(run.out))
    steps = [line["step"] for line in lines]
    result.promise(steps == list(range(1, len(steps) + 1)), "the curve has not each step once")
    alone = run.out.with_name("alone")
    arguments = [
        "--data",
        str(run.data),
        "--out",
        str(alone),
        "--workers",
        "0",
        "--max-steps",
        str(len(steps)),
    ]
    subprocess.run([sys.executable, "-m", "cinescribe.cli", *_RECIPE, *arguments], check=True)
    others = {line["step"]: line["loss"] for line in folder.read_lines(str(alone)) if "loss" in line}
    worst = max((abs(line["loss"] - others[line["step"]]) for line in lines), default=float("inf"))
    result.rows += [
        (
            "steps, loss of the first and the last",
            f"{len(steps)}, {lines[0]['loss']:.3f}, {lines[-1]['loss']:.3f}",
        ),
        ("most that a loss differs from a run in one process", f"{worst:.1e}"),
    ]
    result.promise(worst <= _SAME, f"losses differ by up to {worst:.1e} from those of a run in one process")
