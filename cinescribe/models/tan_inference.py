"""TAN on whole videos: sentences aligned through sliding windows, and segments as vectors for retrieval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cinescribe.errors import UsageError
from cinescribe.metrics.alignment import Combination, SentenceAlignment, Stitcher, sliding_windows
from cinescribe.models.tan import TAN
from cinescribe.models.tan_loss import TEMPERATURE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Encoders = Literal["both", "joint", "dual"]


@dataclass(frozen=True, slots=True)
class VideoAlignment:
    """A video's sentences against its seconds.

    Attributes:
        similarity: [sentences, seconds], cosines divided by the temperature; very low where never compared.
        alignability: [sentences], higher is more alignable: the head's score, or without a head the highest
            similarity.
    """

    similarity: "NDArray[np.float64]"
    alignability: "NDArray[np.float64]"


@torch.no_grad()
def align_video(
    network: TAN,
    video: Tensor,
    sentences: Tensor,
    middles: "ArrayLike",
    known: "ArrayLike | None" = None,
    *,
    window: int = 64,
    combination: Combination = "mean",
    encoders: Encoders = "both",
    one_pass: bool = False,
) -> VideoAlignment:
    """Align a video's sentences; by default as the authors' code tests on HTM-Align.

    Args:
        network: put into evaluation mode for the time being.
        video: [seconds, width] features, one a second.
        sentences: [sentences, width] vectors, in the order they are spoken.
        middles: [sentences] middle of each one's spoken span, seconds.
        known: [sentences] whose `middles` may be used; see `sliding_windows`.
        window: seconds of a window, those of training.
        combination: of overlapping windows.
        encoders: whose similarity; "both" is the mean.
        one_pass: the whole video at once, its positions stretched from those of a window.

    Raises:
        UsageError: nothing to align, or shapes that don't fit.
    """
    if video.ndim != 2 or sentences.ndim != 2 or len(sentences) == 0 or len(video) == 0:
        raise UsageError(
            f"video features {tuple(video.shape)} and sentences {tuple(sentences.shape)} must be [n, width]"
        )
    training = network.training
    network.eval()
    try:
        if one_pass:
            similarity, head = _align(network, video, sentences, encoders, window)
            values = similarity.double().cpu().numpy()
            return VideoAlignment(values, values.max(1) if head is None else head.double().cpu().numpy())
        stitcher = Stitcher(len(sentences), len(video), combination)
        for part in sliding_windows(len(video), middles, known, length=window, stride=window // 4):
            similarity, head = _align(
                network, video[part.start : part.end], sentences[part.first : part.last], encoders, None
            )
            stitcher.add(part, similarity.cpu().numpy(), None if head is None else head.cpu().numpy())
    finally:
        network.train(training)
    similarities = stitcher.similarity()
    # Without a head the code takes the maximum over the whole video, not the mean of the windows' maxima.
    without_head = network.config.head == "none"
    return VideoAlignment(similarities, similarities.max(1) if without_head else stitcher.alignability())


def _align(
    network: TAN, video: Tensor, sentences: Tensor, encoders: Encoders, stretch_from: int | None
) -> tuple[Tensor, Tensor | None]:
    """[sentences, seconds] similarity over the temperature, and [sentences] the head's score."""
    output = network(video[None], sentences[None], stretch_from=stretch_from)
    joint, dual = output.joint[0].float(), output.dual[0].float()
    similarity = {"both": (joint + dual) / 2, "joint": joint, "dual": dual}[encoders]
    scores = output.alignability
    if scores is None:
        return similarity / TEMPERATURE, None
    return similarity / TEMPERATURE, (
        scores[0, :, -1] - scores[0, :, 0] if scores.shape[-1] == 2 else scores[0, :, 0]
    )


def align_held_out(
    network: TAN,
    video: "NDArray[np.float16]",
    sentences: Tensor,
    truth: Sequence[Sequence[Any]],
    window: int,
) -> SentenceAlignment:
    """Align a video of HTM-Align by sliding windows (section 7.5.1), for `score_alignment`.

    True spans are not used: only of the other sentences the time is known.

    Args:
        network: on the device of `sentences`.
        video: [seconds, width] features, one a second; NaN where nothing was seen.
        sentences: [sentences, width] vectors of the texts of `truth`.
        truth: [alignable, start, end, text] of each sentence.
        window: seconds of a window, those of training.
    """
    alignable = [bool(row[0]) for row in truth]
    spans = [(float(row[1]), float(row[2])) for row in truth]
    known = None if all(alignable) else [not value for value in alignable]
    middles = [(start + end) / 2 for start, end in spans]
    found = align_video(network, seen(video, sentences), sentences.float(), middles, known, window=window)
    return SentenceAlignment(found.similarity, found.alignability, alignable, spans)


def seen(video: "NDArray[np.float16]", like: Tensor) -> Tensor:
    """[seconds, width] float32 features on the device of `like`; zero where nothing was seen."""
    return torch.nan_to_num(torch.from_numpy(video.astype("float32"))).to(like.device)


@torch.no_grad()
def segment_vector(
    network: TAN, video: Tensor, start: float, end: float, *, windows: int = 10, trained: int = 64
) -> Tensor:
    """[width] a segment as the dual encoder sees it within its surroundings, of length one (YouCook2).

    Ten windows of twice the segment's length, at least 32 and at most 256 seconds, with the segment in their
    middle half; the seconds of the segment are averaged over the windows, each scaled to length one before. A
    sentence is `network.text_features` of its vector, scaled likewise, and the two are compared by their
    product. Seconds before and after the video repeat its first and last.

    Args:
        network: in evaluation mode.
        video: [seconds, width] features, one a second.
        start: of the segment, seconds.
        end: of the segment, seconds.
        windows: how many.
        trained: seconds of a window in training; for windows as long or longer positions are stretched from
            it.

    Raises:
        UsageError: the segment is shorter than a second or outside the video.
    """
    duration = int(end - start)
    if duration < 1 or start < 0 or start >= len(video):
        raise UsageError(
            f"a segment from {start} to {end} s is shorter than a second or outside of {len(video)} s"
        )
    length = min(256, max(32, 2 * duration))
    slack = abs(length - duration)
    shifts = torch.linspace(0.25 * slack, 0.75 * slack, windows).floor().long()
    wider = length >= duration
    starts = int(start) - shifts if wider else int(start) + shifts
    seconds = (starts[:, None] + torch.arange(length)).clamp(0, len(video) - 1)
    features = network.video_features(video[seconds], stretch_from=trained if length >= trained else None)[
        :, -1
    ]
    inside = shifts if wider else torch.zeros_like(shifts)
    count = duration if wider else length
    chosen = torch.stack(
        [row[first : first + count] for row, first in zip(features, inside.tolist(), strict=True)]
    )
    return F.normalize(F.normalize(chosen, dim=-1).mean((0, 1)), dim=-1)
