"""What Collaborative Experts costs: a step of training against its matrix products, and large similarities.

python -m benchmarks.ce [--batch 64] [--steps 10] [--sizes 1000 10000] [--small] [--device cpu]

The model is the paper's on MSR-VTT (183,448,607 parameters), on random inputs of its shapes, with one expert
in five missing. A step is forward, loss, backward and Ranger. Beside it stand the same without the optimiser,
and the matrix products of forward and backward alone, of the same shapes and as many. The three take turns.

One thread of a CPU is timed by its own CPU time, so that other work on the machine counts less; all else by
the clock on the wall.

The similarity of n texts and n clips, chunked, stands beside one product of two matrices [n, experts * 768],
also in chunks, and is checked against the sum over experts on some of the pairs. Peak memory is of the
process, beyond what it held before (on a GPU of the device); it includes the result, 4 n^2 bytes.
"""

import argparse
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from cinescribe.models.collaborative_experts import (
    CEConfig,
    ClipVectors,
    CollaborativeExperts,
    ExpertConfig,
    TextConfig,
    TextVectors,
    pair_weights,
    similarity,
)
from cinescribe.models.margin_ranking import max_margin_loss
from cinescribe.models.netvlad import NetVLAD
from cinescribe.models.ranger import Ranger

SMALL = CEConfig(
    experts=(ExpertConfig("audio", 16, clusters=4, tokens=5), ExpertConfig("scene", 32)),
    text=TextConfig(24, clusters=4, tokens=6),
    width=48,
)
ROWS = 1024  # texts of a chunk


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--steps", type=int, default=10, help="timed, after one of warming up")
    p.add_argument("--sizes", type=int, nargs="*", default=[1000, 10000], help="texts, and clips")
    p.add_argument("--small", action="store_true", help="a small model, to see that it works")
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=1)
    given = p.parse_args(argv)
    torch.set_num_threads(given.threads)
    config = SMALL if given.small else CEConfig()
    for line in steps(config, given.batch, given.steps, given.device):
        print(line, flush=True)
    for size in given.sizes:
        print(similarities(config, size, given.device), flush=True)
    return 0


def steps(config: CEConfig, batch: int, count: int, device: str) -> Iterator[str]:
    """A step, its parts, and its matrix products."""
    torch.manual_seed(0)
    model = CollaborativeExperts(config).to(device).train()
    optimiser = Ranger(model.parameters(), lr=0.1, weight_decay=1e-3)
    inputs = random_inputs(config, batch, device)
    shapes = products(model, inputs)
    operations = sum(2 * many * a * b * c for many, a, b, c in shapes)

    def gradients() -> None:
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(max_margin_loss(model(*inputs), 0.1))

    def step() -> None:
        gradients()
        optimiser.step()

    parameters = sum(value.numel() for value in model.parameters())
    with peak_memory(device) as peak:
        step()
    whole, apart, alone = seconds((step, gradients, bare_products(shapes, device)), count, device)
    yield (
        f"{parameters:,} parameters, batch {batch}, {device}: {1 / whole:.2f} steps/s, {whole:.3f} s a step, "
        f"peak +{peak.bytes / 2**20:,.0f} MiB"
    )
    yield (
        f"forward and backward {apart:.3f} s; their {len(shapes)} matrix products alone {alone:.3f} s "
        f"({3 * operations / 1e9:,.1f} GFLOP with those of the backward pass): {apart / alone:.2f} times "
        "as long"
    )
    yield f"Ranger {whole - apart:.3f} s, {100 * (whole - apart) / whole:.0f}% of a step"


def random_inputs(config: CEConfig, batch: int, device: str) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Texts and clips of the right shapes; a fifth of the experts is missing."""
    available = torch.rand(batch, len(config.experts)) < 0.8
    experts = {}
    for number, expert in enumerate(config.experts):
        shape = (batch, expert.tokens, expert.dim) if expert.tokens else (batch, expert.dim)
        experts[expert.name] = torch.randn(shape).to(device)
        experts[expert.name][~available[:, number]] = torch.nan
    tokens = torch.randn(batch, config.text.tokens, config.text.dim)
    return tokens.to(device), experts, available.to(device)


def products(
    model: CollaborativeExperts, inputs: tuple[Tensor, dict[str, Tensor], Tensor]
) -> list[tuple[int, int, int, int]]:
    """The shapes (matrices at once, rows, inner, columns) of all matrix products of a forward pass."""
    shapes: list[tuple[int, int, int, int]] = []

    def linear(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        shapes.append((1, given[0].numel() // given[0].shape[-1], given[0].shape[-1], made.shape[-1]))

    def vlad(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        batch, length, dim = given[0].shape
        pool = module
        assert isinstance(pool, NetVLAD)
        shapes.append((1, batch * length, dim, pool.clusters.shape[1]))
        shapes.append((batch, dim, length, pool.clusters2.shape[2]))

    hooks = [
        module.register_forward_hook(vlad if isinstance(module, NetVLAD) else linear)
        for module in model.modules()
        if isinstance(module, nn.Linear | NetVLAD)
    ]
    texts, clips = model.encode_text(inputs[0]), model.encode_clips(*inputs[1:])
    for hook in hooks:
        hook.remove()
    config, batch = model.config, len(inputs[2])
    if config.collaborates:  # the halves of g's first layer are called without the module
        halves = 3 * len(config.experts) if config.aggregation == "collaborative" else 2 * len(config.experts)
        shapes += [(1, batch, config.width, config.width)] * halves
    shapes.append((1, len(texts.vectors), texts.vectors.shape[1], len(clips.vectors)))
    return shapes


def bare_products(shapes: Sequence[tuple[int, int, int, int]], device: str) -> Callable[[], None]:
    """The products alone: each with the two of its backward pass, on matrices that are there."""
    kinds = {shape: shapes.count(shape) for shape in dict.fromkeys(shapes)}
    matrices = {
        (many, a, b, c): [torch.randn(many, *sides, device=device) for sides in ((a, b), (b, c), (a, c))]
        for many, a, b, c in kinds
    }

    def compute() -> None:
        for shape, count in kinds.items():
            left, right, out = matrices[shape]
            for _ in range(count):
                torch.bmm(left, right)
                torch.bmm(out, right.mT)
                torch.bmm(left.mT, out)

    return compute


def similarities(config: CEConfig, size: int, device: str) -> str:
    """n texts against n clips, beside one product of matrices."""
    torch.manual_seed(0)
    parts = len(config.widths)
    width = sum(config.widths)
    texts = TextVectors(
        torch.nn.functional.normalize(torch.randn(size, width, device=device)),
        torch.rand(size, parts, device=device).softmax(1),
    )
    available = torch.rand(size, parts, device=device) < 0.8
    available[:, 0] = True
    vectors = torch.randn(size, width, device=device)
    spread = available.repeat_interleave(torch.tensor(config.widths, device=device), 1)
    clips = ClipVectors(torch.nn.functional.normalize(vectors) * spread, available)
    del vectors, spread
    with peak_memory(device) as peak:
        began = now(device)
        found = similarity(texts, clips, config.widths, ROWS)
        wait(device)
        whole = now(device) - began
    some = torch.arange(0, size, max(1, size // 50), device=device)
    few_texts = replace(texts, vectors=texts.vectors[some], weights=texts.weights[some])
    few = found[some][:, some]
    each = zip(
        few_texts.vectors.split_with_sizes(list(config.widths), 1),
        clips.vectors[some].split_with_sizes(list(config.widths), 1),
        strict=True,
    )
    sums = torch.stack([text @ clip.T for text, clip in each], 2)
    apart = float((few - (pair_weights(few_texts.weights, available[some]) * sums).sum(2)).abs().max())
    del found, few
    with peak_memory(device) as plain_peak:
        began = now(device)
        plain = torch.empty(size, size, device=device)
        for first in range(0, size, ROWS):
            torch.mm(texts.vectors[first : first + ROWS], clips.vectors.T, out=plain[first : first + ROWS])
        wait(device)
        bare = now(device) - began
    return (
        f"{size:,} x {size:,}, {parts} experts: {whole:.2f} s, peak +{peak.bytes / 2**20:,.0f} MiB; a plain "
        f"product {bare:.2f} s, peak +{plain_peak.bytes / 2**20:,.0f} MiB: {whole / bare:.2f} times as long; "
        f"furthest from the sum over experts {apart:.1e}"
    )


def seconds(works: Sequence[Callable[[], None]], count: int, device: str) -> list[float]:
    """Median seconds of a call of each, in turns, after one of warming up."""
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(1 + count):
        for work, times in zip(works, taken, strict=True):
            wait(device)
            began = now(device)
            work()
            wait(device)
            if turn:
                times.append(now(device) - began)
    return [statistics.median(times) for times in taken]


def now(device: str) -> float:
    """Seconds: of CPU time where one thread of a CPU works, else on the wall."""
    return time.process_time() if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter()


def wait(device: str) -> None:
    """Until the device is done."""
    if device != "cpu":
        torch.cuda.synchronize(device)


@dataclass(slots=True)
class Peak:
    """Bytes held at most, beyond those held before."""

    bytes: int = 0


@contextmanager
def peak_memory(device: str) -> Iterator[Peak]:
    """What is held at most meanwhile: of the device, or of the process, looked at each 5 ms."""
    peak = Peak()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated(device) - before
        return
    before, over = resident(), threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            peak.bytes = max(peak.bytes, resident() - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()
        peak.bytes = max(peak.bytes, resident() - before)


def resident() -> int:
    """Bytes of this process in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
