"""What the training loop costs on top of a plain PyTorch loop on the same model and batches.

python -m benchmarks.train [--steps 60] [--repeats 3] [--dim 512 --layers 6 --batch 16] [--ray]

Both loops train TAN's first stage on windows of generated videos, on one worker, with the same batches read
the same way in a thread ahead, the same optimiser and schedule; the plain one does nothing else. Ours also
seeds each step, logs and weighs its parts. Checkpoints and evaluations are left out of both. The loops take
turns. The medians by the clock are compared, and, for a machine with other work, the fewest seconds that the
process computed. With --ray ours runs in a worker of Ray Train.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cinescribe.cineworld.world import WorldSettings, write_world
from train import folder, launch, loop, order, recipes
from train.settings import Settings

WINDOW = 32


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds of a step: by the clock, and computed by this process."""

    wall: float
    computing: float

    def __str__(self) -> str:
        return f"{self.wall:.3f} s a step ({self.computing:.3f} s computing)"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--steps", type=int, default=60, help="timed, after a tenth of warming up")
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--dim", type=int, default=512)
    p.add_argument("--layers", type=int, default=6)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--ray", action="store_true")
    given = p.parse_args(argv)
    import torch

    torch.set_num_threads(given.threads)
    options = {
        "features": "world-s3d",
        "text": "fresh",
        "dim": given.dim,
        "layers": given.layers,
        "heads": max(1, given.dim // 64),
        "batch": given.batch,
        "window": WINDOW,
        "steps": given.steps + given.steps // 10,
    }
    with tempfile.TemporaryDirectory() as place:
        write_world(f"{place}/world", WorldSettings(), films=0, videos=40)
        plain: list[Speed] = []
        ours: list[Speed] = []
        for repeat in range(given.repeats):
            plain.append(_plain(f"{place}/world", options, given.steps))
            ours.append(_ours(f"{place}/world", f"{place}/{repeat}", options, given))
            print(f"  {repeat + 1}: plain {plain[-1]}, ours {ours[-1]}", flush=True)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {given.threads} threads"
    told = {
        "device": device,
        "plain_seconds": round(statistics.median(speed.wall for speed in plain), 4),
        "ours_seconds": round(statistics.median(speed.wall for speed in ours), 4),
        "overhead_percent": _overhead(*(statistics.median(s.wall for s in kind) for kind in (plain, ours))),
        "overhead_percent_computing": _overhead(*(min(s.computing for s in kind) for kind in (plain, ours))),
    }
    print(json.dumps(told))
    return 0


def _overhead(plain: float, ours: float) -> float:
    return round(100 * (ours / plain - 1), 1)


def _plain(data: str, options: dict[str, Any], steps: int) -> Speed:
    """A step's time in the shortest loop."""
    import torch

    recipe = recipes.load("tan-stage1", options)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    training = recipe.data(data, "train")
    model = recipe.model(training).to(device).train()
    # Weight decay aside, the optimiser of the recipe.
    weights = [value for value in model.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=1e-4, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options["steps"])

    def read(step: int) -> Any:
        return training.batch(order.picks(0, step, options["batch"], len(training)))

    return _timed(read, lambda batch: _train(recipe, model, batch, optimiser, schedule), options, steps)


def _train(recipe: Any, model: Any, batch: Any, optimiser: Any, schedule: Any) -> None:
    import torch

    device = next(model.parameters()).device.type
    with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
        loss = recipe.loss(model, batch).loss
    loss.backward()
    optimiser.step()
    schedule.step()
    optimiser.zero_grad()


def _timed(
    read: Callable[[int], Any], train: Callable[[Any], None], options: dict[str, Any], steps: int
) -> Speed:
    """A step's time after warming up, batches read three ahead in a thread."""
    total = options["steps"]
    began = _now()
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(read, step) for step in range(3)]
        for step in range(total):
            if step == total - steps:
                began = _now()
            batch = waiting.pop(0).result()
            waiting.append(pool.submit(read, min(step + 3, total - 1)))
            train(batch)
        return _per_step(began, _now(), steps)


def _now() -> tuple[float, float]:
    """The clock, and the seconds this process computed; when the GPU has done what it was told."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic(), time.process_time()


def _per_step(began: tuple[float, float], ended: tuple[float, float], steps: int) -> Speed:
    return Speed((ended[0] - began[0]) / steps, (ended[1] - began[1]) / steps)


def _ours(data: str, out: str, options: dict[str, Any], given: argparse.Namespace) -> Speed:
    """A step's time between the end of the warming up and the last step, before it is evaluated."""
    never = 10**9
    settings = Settings(
        recipe="tan-stage1",
        data=data,
        out=out,
        options=options,
        threads=given.threads,
        log_every=given.steps // 10,
        checkpoint_every=never,
        evaluate_every=never,
        workers=(1, 1) if given.ray else (0, 0),
        quiet=True,
    )
    Path(out).mkdir()
    if given.ray:
        launch.run(settings)
        speeds = [line["examples_per_second"] for line in folder.read_lines(out) if "loss" in line][1:]
        return Speed(options["batch"] / statistics.harmonic_mean(speeds), float("nan"))
    marks: dict[int, tuple[float, float]] = {}

    def show(numbers: Any) -> None:
        if "loss" in numbers:
            marks[numbers["step"]] = _now()

    recipe = recipes.load("tan-stage1", options)
    folder.claim(out, settings.identity(recipe.options))
    loop.train(recipe, settings, loop.Crew(device=launch.device(), show=show))
    last = options["steps"]
    return _per_step(marks[last - given.steps], marks[last], given.steps)


if __name__ == "__main__":
    raise SystemExit(main())
