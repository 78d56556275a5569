"""JSFusion's table of all videos and sentences: `python -m benchmarks.jsfusion --size 1000`.

Videos of 20 to 40 frames and sentences of 5 to 20 words, drawn from a seed, on a model of random weights of
the thesis's sizes. Two ways give the same scores: pair after pair in the order of the table, each encoded
anew (naive), and `score_table`, which encodes once and puts pairs of like lengths together (chunked). A way
that is not done after `--seconds` is stopped; "all" is the time of the whole table at the speed it had, in
operations of matrix products a second. Each runs in a process of its own, whose peak memory is its own. The
last column compares with one large matrix product of as many operations on this machine.

One thread of a CPU (OMP_NUM_THREADS=1) is timed by its own CPU time, so that other work on the machine counts
less; all else by the clock on the wall.
"""

import argparse
import contextlib
import multiprocessing
import resource
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.ce import now, wait
from cinescribe.models.jsfusion import JSFusion, JSFusionConfig
from cinescribe.models.jsfusion_pairs import (
    CELLS,
    encode_texts,
    encode_videos,
    encoder_operations,
    pair_operations,
    score_table,
)
from train.recipes.jsfusion import scaled

_WORDS, _CHECKED = 16_828, 32
_NAIVE = 32  # pairs at once


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured."""

    size: int
    seconds: float
    scale: int
    cells: int
    device: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One way: pairs scored, seconds, operations done and of the whole table, peak bytes, some scores."""

    pairs: int
    seconds: float
    operations: float
    whole: float
    peak: int
    scores: list[float]


class _TimeIsUp(Exception):
    """Stops a table."""


class Task:
    """Videos, sentences and a model, all from one seed."""

    def __init__(self, settings: Settings) -> None:
        random = np.random.default_rng(0)
        torch.manual_seed(0)
        self.settings = settings
        self.config = scaled(JSFusionConfig(), settings.scale)
        self.model = JSFusion(self.config, _WORDS).to(settings.device).eval()
        self.frame_counts = torch.from_numpy(random.integers(20, 41, settings.size))
        self.word_counts = torch.from_numpy(random.integers(5, 21, settings.size))
        width = self.config.video_width
        self.videos = [torch.randn(int(count), width, device=settings.device) for count in self.frame_counts]
        self.ids = torch.randint(4, _WORDS, (settings.size, 20))
        self.ids[torch.arange(20) >= self.word_counts[:, None]] = 0

    def operations(self, frames: Tensor, words: Tensor) -> float:
        """Of the pairs' matrix products, for numbers of frames and words [pairs]."""
        counts = Counter(zip(frames.tolist(), words.tolist(), strict=True))
        return float(sum(pair_operations(self.config, *kind) * count for kind, count in counts.items()))

    def table_operations(self) -> float:
        """Of the pairs of the whole table."""
        size = self.settings.size
        return self.operations(self.frame_counts.repeat(size), self.word_counts.repeat_interleave(size))

    def encoding(self, frames: Tensor, words: Tensor) -> float:
        """Of the encoders, for videos and sentences of so many frames and words."""
        videos = sum(encoder_operations(self.config, count, of_video=True) for count in frames.tolist())
        return float(
            videos + sum(encoder_operations(self.config, count, of_video=False) for count in words.tolist())
        )


def naive(settings: Settings) -> Measured:
    """Pairs in the order of the table, each encoded anew."""
    task = Task(settings)
    began, pairs, operations, scores = now(settings.device), 0, 0.0, list[float]()
    numbers = torch.cartesian_prod(torch.arange(settings.size), torch.arange(settings.size))
    for start in range(0, len(numbers), _NAIVE):
        texts, videos = numbers[start : start + _NAIVE].T
        video = encode_videos(task.model, [task.videos[int(number)] for number in videos], _NAIVE)
        text = encode_texts(task.model, task.ids[texts], task.word_counts[texts], _NAIVE)
        same = torch.arange(len(videos), device=settings.device)[:, None].expand(-1, 2)
        with torch.no_grad():
            scores += task.model.score(video, text, same).tolist()
        pairs += len(videos)
        frames, words = task.frame_counts[videos], task.word_counts[texts]
        operations += task.operations(frames, words) + task.encoding(frames, words)
        if now(settings.device) - began > settings.seconds:
            break
    seconds, peak = now(settings.device) - began, _peak(settings)
    whole = task.table_operations() + settings.size * task.encoding(task.frame_counts, task.word_counts)
    return Measured(pairs, seconds, operations, whole, peak, scores[:_CHECKED])


def chunked(settings: Settings) -> Measured:
    """`score_table`, the encoding included."""
    task = Task(settings)
    began, pairs = now(settings.device), 0
    operations = encoding = task.encoding(task.frame_counts, task.word_counts)

    def tell(texts: Tensor, videos: Tensor) -> None:
        nonlocal pairs, operations
        frames, words = task.frame_counts[videos], task.word_counts[texts]
        pairs += len(texts) * len(videos)
        operations += task.operations(frames.repeat(len(texts)), words.repeat_interleave(len(videos)))
        if now(settings.device) - began > settings.seconds:
            raise _TimeIsUp

    video = encode_videos(task.model, task.videos)
    text = encode_texts(task.model, task.ids, task.word_counts)
    with contextlib.suppress(_TimeIsUp):
        score_table(task.model, video, text, settings.cells, tell)
    seconds, peak = now(settings.device) - began, _peak(settings)
    some = slice(0, min(_CHECKED, settings.size))
    first = type(video)(video.vectors[some], video.lengths[some])
    only = type(text)(text.vectors[:1], text.lengths[:1])
    scores = score_table(task.model, first, only, settings.cells)[0].tolist()
    return Measured(pairs, seconds, operations, task.table_operations() + encoding, peak, scores)


def matrix_speed(settings: Settings) -> float:
    """Operations a second of products [4096, 1024] x [1024, 1024] in float32."""
    first = torch.randn(4096, 1024, device=settings.device)
    second = torch.randn(1024, 1024, device=settings.device)
    times = []
    for _ in range(8):
        wait(settings.device)
        began = now(settings.device)
        first @ second
        wait(settings.device)
        times.append(now(settings.device) - began)
    return 2 * 4096 * 1024 * 1024 / min(times)


def _peak(settings: Settings) -> int:
    """Bytes: of the process, or of the GPU's memory."""
    if settings.device != "cpu":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print the table."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--size", type=int, default=1000, help="videos, and sentences (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=120, help="of each way (default %(default)s)")
    parser.add_argument("--scale", type=int, default=1, help="all widths are divided by it")
    parser.add_argument("--cells", type=int, default=CELLS, help="at once (default %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    settings = Settings(**vars(parser.parse_args()))
    config = scaled(JSFusionConfig(), settings.scale)
    model = JSFusion(config, 1)
    count = sum(value.numel() for name, value in model.named_parameters() if not name.startswith("words."))
    print(f"{count:,} parameters without word vectors; {settings.device}, {torch.get_num_threads()} threads")
    print(f"40 frames x 40 words: {pair_operations(config, 40, 40) / 1e9:.2f} billion operations a pair, and")
    own = encoder_operations(config, 40, of_video=True), encoder_operations(config, 40, of_video=False)
    print(f"{own[0] / 1e9:.2f} a video and {own[1] / 1e9:.2f} a sentence to encode them")
    speed = matrix_speed(settings)
    print(f"{'':10}{'pairs':>10}{'seconds':>9}{'pairs/s':>9}{'all, h':>8}{'peak MB':>9}{'of a product':>14}")
    ways = {"naive": naive, "chunked": chunked}
    found = {}
    for name, way in ways.items():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found[name] = one = pool.submit(way, settings).result()
        rate = one.operations / one.seconds
        print(
            f"{name:10}{one.pairs:10,}{one.seconds:9.1f}{one.pairs / one.seconds:9.1f}"
            f"{one.whole / rate / 3600:8.2f}{one.peak / 1e6:9.0f}{rate / speed:14.0%}",
            flush=True,
        )
    first, second = (torch.tensor(one.scores) for one in found.values())
    length = min(len(first), len(second))
    difference = float((first[:length] - second[:length]).abs().max())
    print(f"largest difference of the first {length} scores: {difference:.1e}")


if __name__ == "__main__":
    main()
