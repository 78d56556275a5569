"""Each encoder on this machine's GPU (or CPU): frames a second, and the share of the card's measured peak.

    python -m benchmarks.encoders_gpu --encoders clip,s3d,objects,actions

The peak is measured in the same run: the best of a series of matrix products in the precision the encoder
computes in. The arithmetic of an encoder is counted by torch while it encodes one batch (convolutions, matrix
products and attention; a multiplication and an addition are two). Frames are of a film's size, so that the
resizing is part of what is timed: "share of peak" is of the whole call, from uint8 frames in the computer's
memory to float16 features there.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from cinescribe.encoders import catalogue
from cinescribe.encoders.protocol import Encoder
from cinescribe.errors import WeightsError


class Encoders(Protocol):
    """Where encoders come from, as `cinescribe.encoders.catalogue`."""

    def load(self, written: str, *, device: str = "cpu", threads: int = 0) -> Encoder:
        """A loaded encoder by its name."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """One encoder.

    Attributes:
        frames: a second.
        features: a second.
        operations: floating-point operations of one feature.
        peak: operations a second of the machine, in the precision `precision`.
        bytes: of GPU memory at most in use, 0 on a CPU.
    """

    name: str
    frames: float
    features: float
    operations: float
    peak: float
    precision: str
    bytes: int

    @property
    def share(self) -> float:
        """Of the peak."""
        return self.features * self.operations / self.peak


def best_seconds(work: Callable[[], Any], device: str, repeats: int) -> float:
    """The least time of one call among several, the device's queue emptied before and after."""
    import torch

    def settle() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    work()
    least = float("inf")
    for _ in range(repeats):
        settle()
        begin = time.perf_counter()
        work()
        settle()
        least = min(least, time.perf_counter() - begin)
    return least


def peak(device: str, precision: str, size: int, repeats: int) -> float:
    """Operations a second of square matrix products, the best of `repeats`."""
    import torch

    dtype = getattr(torch, precision)
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2.0 * size**3 / best_seconds(lambda: one @ other, device, repeats)


def measure(
    encoder: Encoder, device: str, batch: int, frame_size: tuple[int, int], size: int, repeats: int
) -> Measured:
    """Time one encoder on batches of frames.

    Args:
        encoder: loaded on the device.
        device: "cpu" or "cuda".
        batch: features a call.
        frame_size: (width, height) of the frames.
        size: side of the matrices that tell the peak.
        repeats: of each measurement; the best counts.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    width, height = frame_size
    shape = (batch, len(encoder.spec.offsets), height, width, 3)
    frames: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    counter = FlopCounterMode(display=False)
    with counter:
        encoder(frames)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    seconds = best_seconds(lambda: encoder(frames), device, repeats)
    precision = precision_of(encoder)
    return Measured(
        encoder.spec.name,
        batch * len(encoder.spec.offsets) / seconds,
        batch / seconds,
        counter.get_total_flops() / batch,
        peak(device, precision, size, repeats),
        precision,
        torch.cuda.max_memory_allocated() if device != "cpu" else 0,
    )


def precision_of(encoder: Encoder) -> str:
    """The type of most of the encoder's parameters; float32 when it shows none."""
    import torch

    counts: dict[str, int] = {}
    for value in vars(encoder).values():
        if isinstance(value, torch.nn.Module):
            for parameter in value.parameters():
                name = str(parameter.dtype).removeprefix("torch.")
                counts[name] = counts.get(name, 0) + parameter.numel()
    return max(counts, key=lambda name: counts[name]) if counts else "float32"


def main(argv: Sequence[str] | None = None, encoders: Encoders = catalogue) -> int:
    """Measure and print the table; encoders whose weights can't be had are told and left out."""
    import torch

    p = argparse.ArgumentParser(
        prog="python -m benchmarks.encoders_gpu", description=__doc__.partition("\n")[0]
    )
    p.add_argument("--encoders", default="clip,s3d,objects,actions", help="default: %(default)s")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--batch", type=int, nargs="+", default=[8, 32], help="features a call")
    p.add_argument("--frame", type=int, nargs=2, default=[1280, 720], metavar=("WIDTH", "HEIGHT"))
    p.add_argument("--matrix", type=int, default=8192, help="side of the matrices that tell the peak")
    p.add_argument("--repeats", type=int, default=10)
    p.add_argument("--threads", type=int, default=0, help="on a CPU; 0: torch's own number")
    options = p.parse_args(argv)
    console = Console(width=120)
    where = (
        torch.cuda.get_device_name() if options.device != "cpu" else f"CPU, {torch.get_num_threads()} threads"
    )
    table = Table(title=f"{where}, frames of {options.frame[0]} x {options.frame[1]}")
    for column in ("", "batch", "frames/s", "features/s", "GFLOP each", "peak TFLOP/s", "share", "GPU GB"):
        table.add_column(column, justify="right" if column else "left")
    for written in options.encoders.split(","):
        try:
            encoder = encoders.load(written, device=options.device, threads=options.threads)
        except WeightsError as error:
            console.print(f"left out: {error}", markup=False, highlight=False)
            continue
        for batch in options.batch:
            frame = options.frame[0], options.frame[1]
            got = measure(encoder, options.device, batch, frame, options.matrix, options.repeats)
            table.add_row(
                got.name,
                str(batch),
                f"{got.frames:.1f}",
                f"{got.features:.2f}",
                f"{got.operations / 1e9:.2f}",
                f"{got.peak / 1e12:.2f} {got.precision}",
                f"{100 * got.share:.1f}%",
                f"{got.bytes / 1e9:.2f}" if got.bytes else "-",
            )
        del encoder
    console.print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
