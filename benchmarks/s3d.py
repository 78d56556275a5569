"""S3D measured: seconds a clip of 16 frames takes on one thread, against what its arithmetic allows.

    python -m benchmarks.s3d                  # the network's speed, by precision
    python -m benchmarks.s3d --clips FOLDER   # and how well `actions` names real clips, by frames and rate

FOLDER holds the clips of `CLIPS`. The floor is the network's operations over the rate of a large matrix
product in the same precision on the same thread. Seconds are of the processor, so that other load on the
machine counts little.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from cinescribe import zoo
from cinescribe.encoders import actions, s3d_network
from cinescribe.media.frames import read_frames

# Clips whose action is known throughout, with the names that are right.
CLIPS = {
    "flipping_a_pancake.mkv": {"flipping pancake"},
    "bmt/women_long_jump.mp4": {"long jump"},
    "mmaction2/demo_demo.mp4": {"arm wrestling"},
    "v_GGSY1Qvo990.mp4": {"clean and jerk", "snatch weight lifting"},
    "v_ZNVhz7ctTq0.mp4": {"walking the dog", "riding scooter"},
}
WINDOWS = ((16, 16.0), (16, 8.0))  # frames, and how many a second


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    console.print(speed())
    if arguments.clips:
        console.print(windows(arguments.clips))


def speed() -> Table:
    """Seconds a clip by network and precision."""
    table = Table("network", "precision", "GFLOP", "s a clip", "floor, s", title="16 frames of 224 x 224")
    for precision in (torch.float32, torch.bfloat16):
        square = torch.rand(2048, 2048).to(precision)
        rate = 2 * 2048**3 / _seconds(partial(torch.matmul, square, square))
        for network in (s3d_network.S3DG(), s3d_network.S3D()):
            network.eval().requires_grad_(False)
            s3d_network.fold_batch_norms(network)
            s3d_network.channels_last(network.to(precision))
            video = torch.rand(1, 3, 16, 224, 224).to(precision, memory_format=torch.channels_last_3d)
            with torch.inference_mode():
                with FlopCounterMode(display=False) as counter:
                    network.features(video)
                taken = _seconds(partial(network.features, video))
            operations = counter.get_total_flops()
            table.add_row(
                type(network).__name__,
                str(precision).removeprefix("torch."),
                f"{operations / 1e9:.1f}",
                f"{taken:.2f}",
                f"{operations / rate:.2f}",
            )
    return table


def windows(folder: Path) -> Table:
    """How many windows, one begun each second, get a right name first, by frames and rate."""
    network = s3d_network.S3D(400, epsilon=1e-3)
    state = s3d_network.from_kinetics(zoo.load_state(actions.WEIGHT))
    s3d_network.load_network(network, state, actions.WEIGHT)
    s3d_network.for_inference(network, "cpu")
    table = Table("frames", "a second", "right", "windows", title="actions on real clips")
    for frames, rate in WINDOWS:
        right, total = 0, 0
        for name, named in CLIPS.items():
            film = read_frames(folder / name, rate=rate).frames
            for start in range(0, len(film) - frames + 1, round(rate)):
                video = s3d_network.as_video(actions.PREPROCESSING(film[start : start + frames]))
                with torch.inference_mode():
                    best = int(network.logits(video).argmax())
                right += actions.labels()[best] in named
                total += 1
        table.add_row(str(frames), f"{rate:.0f}", str(right), str(total))
    return table


def _seconds(work: Callable[[], object], times: int = 3) -> float:
    """Processor seconds of one of several runs, after one that is not counted."""
    work()
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times


if __name__ == "__main__":
    main()
