"""JSFusion for many pairs: a table of all videos and sentences in bounded memory, and what it costs.

What depends on a video or a sentence alone (its encoder and D1) is computed once. The rest, the tensor and
its decoder, needs every pair: they come in blocks of like lengths, so that hardly a cell is padding.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from cinescribe.models.jsfusion import SMALLEST, JSFusion, JSFusionConfig, Steps

CELLS = 100_000  # of the tensor, computed at once: about 1 GB of float32 at the thesis's sizes


def score_table(
    model: JSFusion,
    video: Steps,
    text: Steps,
    cells: int = CELLS,
    done: Callable[[Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Scores of all pairs: [texts, videos] float32 on the CPU, each as `JSFusion.score` gives it.

    Args:
        model: in evaluation mode.
        video: of the videos, encoded.
        text: of the texts, encoded.
        cells: frames x words x pairs that are computed at once; bounds the memory.
        done: is told the numbers of the texts and of the videos of each block that was scored.
    """
    table = torch.empty(len(text.lengths), len(video.lengths))
    with torch.no_grad():
        for texts, videos in _blocks(text.lengths, video.lengths, cells):
            chosen = torch.cartesian_prod(videos, texts).to(video.vectors.device)
            scores = model.score(video, text, chosen).float().cpu()
            table[texts[:, None], videos] = scores.view(len(videos), len(texts)).T
            if done is not None:
                done(texts, videos)
    return table


def encode_videos(model: JSFusion, videos: Sequence[Tensor], batch: int = 64) -> Steps:
    """Videos [frames, width] of any lengths, `batch` at a time on the model's device, without gradients."""
    parts = []
    for start in range(0, len(videos), batch):
        some = videos[start : start + batch]
        lengths = torch.tensor([len(frames) for frames in some], device=_device(model))
        inputs = torch.nn.utils.rnn.pad_sequence(list(some), batch_first=True).to(_device(model))
        with torch.no_grad():
            parts.append(model.encode_video(inputs, lengths))
    return _joined(parts)


def encode_texts(model: JSFusion, ids: Tensor, lengths: Tensor, batch: int = 256) -> Steps:
    """Texts [texts, words] of word numbers, as `encode_videos`."""
    parts = []
    for start in range(0, len(ids), batch):
        size = lengths[start : start + batch].to(_device(model))
        with torch.no_grad():
            parts.append(model.encode_text(ids[start : start + batch].to(_device(model)), size))
    return _joined(parts)


def pair_operations(config: JSFusionConfig, frames: int, words: int) -> int:
    """Floating-point operations (two a multiplication) of one pair's matrix products, encoders left out."""
    total = 0
    size, (rows, columns) = config.joint, (max(SMALLEST, frames), max(SMALLEST, words))
    if config.decoder != "none":
        tower = config.joint * (config.attention + config.fusion) + config.attention + config.fusion**2
        total += 2 * frames * words * tower
        size = config.fusion
        learned = config.channels if config.decoder == "conv" else 0
        for stride in (1, 1, 2):
            rows, columns = (rows - 3) // stride + 1, (columns - 3) // stride + 1
            total += 2 * 9 * rows * columns * size * (learned + config.gates)
            size = learned or size
    for width in (*config.dense, config.outputs):
        total += 2 * size * width
        size = width
    return total


def encoder_operations(config: JSFusionConfig, steps: int, *, of_video: bool) -> int:
    """Floating-point operations of a recurrent encoder and D1 for one sequence; what the table shares."""
    kind = config.video_encoder if of_video else config.text_encoder
    width = config.video_width if of_video else config.word_width
    directions = 2 if kind == "blstm" else 1
    states = directions * config.hidden
    recurrent = directions * 4 * config.hidden * (width + config.hidden)
    return 2 * steps * (recurrent + (states + width) * config.joint)


def _blocks(texts: Tensor, videos: Tensor, cells: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Numbers of texts and of videos, shortest first, whose pairs have at most `cells` cells."""
    by_words, by_frames = texts.cpu().argsort(stable=True), videos.cpu().argsort(stable=True)
    words, frames = texts.cpu()[by_words], videos.cpu()[by_frames]
    longest = max(SMALLEST, int(frames[-1]))
    start = 0
    while start < len(words):
        stop = start + 1  # a group of texts: up to the square root of what fits, so that blocks are square
        while stop < len(words) and (stop + 1 - start) ** 2 * int(words[stop]) * longest <= cells:
            stop += 1
        across = max(SMALLEST, int(words[stop - 1])) * (stop - start)
        first = 0
        while first < len(frames):
            last = first + 1
            while (
                last < len(frames) and (last + 1 - first) * max(SMALLEST, int(frames[last])) * across <= cells
            ):
                last += 1
            yield by_words[start:stop], by_frames[first:last]
            first = last
        start = stop


def _joined(parts: Sequence[Steps]) -> Steps:
    longest = max(part.vectors.shape[1] for part in parts)
    padded = [
        torch.nn.functional.pad(part.vectors, (0, 0, 0, longest - part.vectors.shape[1])) for part in parts
    ]
    return Steps(torch.cat(padded), torch.cat([part.lengths for part in parts]))


def _device(model: JSFusion) -> torch.device:
    return model.out.weight.device
