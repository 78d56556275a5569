"""How well sentences were put in their place in a video: HTM-Align and Breakfast.

HTM-Align (Han et al. 2022, section 7.5.1 of the thesis): R@1, whether the best second of an alignable
sentence lies in its true span, and ROC-AUC of telling alignable sentences from the others. A video is longer
than what a model sees, so windows are scored and put together (`sliding_windows`, `Stitcher`). The windows'
sums are divided by how many windows saw a second; the numbers of the paper were made without that division.
Its authors' code lists corrected ones: MIL-NCE 34.2/73.4 by windows and 28.7/73.3 in one pass, where
Table 7.1 has 31.3/73.1.

Breakfast: frame accuracy, IoU and IoD of the segments of an ordered list of actions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cinescribe.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Span = tuple[float, float]
UNSEEN = -6e4  # similarity of a sentence and a second that no window showed together
Combination = Literal["mean", "sum"]  # "sum": as published, without the division by the number of windows


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds `start` to `end` of a video, shown with the sentences `first` to `last`; both half-open."""

    start: int
    end: int
    first: int
    last: int


def sliding_windows(
    seconds: int,
    middles: "ArrayLike",
    known: "ArrayLike | None" = None,
    *,
    length: int = 64,
    stride: int = 16,
) -> list[Window]:
    """The windows of a video, each with the sentences spoken about then (protocol of the authors' code).

    A window shows the sentences from the first to the last one that is spoken within one window length before
    its start and two after it. The first four windows begin with the first sentence, the last four (which are
    not among the first four) end with the last. A window near which nothing is spoken is left out.

    Args:
        seconds: length of the video, as many as it has features.
        middles: [sentences] middle of each sentence's spoken span, seconds, in the order of the sentences.
        known: [sentences] whose times may be used; by default all. HTM-Align's alignable sentences carry
            their true spans, so there only the others are known.
        length: of a window, seconds.
        stride: seconds from one window to the next.

    Raises:
        UsageError: there is nothing to align.
    """
    import numpy as np

    spoken = np.asarray(middles, dtype=np.float64)
    usable = np.ones(spoken.shape, dtype=bool) if known is None else np.asarray(known, dtype=bool)
    if seconds < 1 or spoken.ndim != 1 or spoken.size == 0 or usable.shape != spoken.shape:
        raise UsageError(
            f"nothing to align: {seconds} seconds, sentences {spoken.shape}, known {usable.shape}"
        )
    starts = list(range(0, seconds - length // 2, stride)) or [0]
    windows = []
    for number, start in enumerate(starts):
        near = usable & (start - length <= spoken) & (spoken <= start + 2 * length)
        if not near.any():
            continue
        first, last = int(near.argmax()), int(spoken.size - near[::-1].argmax())
        if number <= 3:
            first = 0
        elif number >= len(starts) - 4:
            last = spoken.size
        windows.append(Window(start, min(seconds, start + length), first, last))
    return windows


class Stitcher:
    """Puts the scores of windows together into those of a video.

    Args:
        sentences: how many the video has.
        seconds: its length.
        combination: "mean" divides by how many windows saw a cell; "sum", as published, does not.
    """

    def __init__(self, sentences: int, seconds: int, combination: Combination = "mean") -> None:
        import numpy as np

        self._mean = combination == "mean"
        self._similarity = np.zeros((sentences, seconds))
        self._seen = np.zeros((sentences, seconds))
        self._alignability = np.zeros(sentences)
        self._shown = np.zeros(sentences)

    def add(self, window: Window, similarity: "ArrayLike", alignability: "ArrayLike | None" = None) -> None:
        """Take a window's scores.

        Args:
            window: what was shown.
            similarity: [its sentences, its seconds].
            alignability: [its sentences]; by default each sentence's highest similarity.
        """
        import numpy as np

        values = np.asarray(similarity, dtype=np.float64)
        scores = values.max(axis=1) if alignability is None else np.asarray(alignability, dtype=np.float64)
        rows, columns = slice(window.first, window.last), slice(window.start, window.end)
        self._similarity[rows, columns] += values
        self._seen[rows, columns] += 1
        self._alignability[rows] += scores
        self._shown[rows] += 1

    def similarity(self) -> "NDArray[np.float64]":
        """[sentences, seconds]; `UNSEEN` where no window showed both."""
        import numpy as np

        count = np.maximum(self._seen, 1) if self._mean else 1
        return np.where(self._seen > 0, self._similarity / count, UNSEEN)

    def alignability(self) -> "NDArray[np.float64]":
        """[sentences]; `UNSEEN` for those no window showed."""
        import numpy as np

        count = np.maximum(self._shown, 1) if self._mean else 1
        return np.where(self._shown > 0, self._alignability / count, UNSEEN)


@dataclass(frozen=True, slots=True)
class SentenceAlignment:
    """One video's sentences, true and found.

    Attributes:
        similarity: [sentences, seconds].
        alignability: [sentences], higher is more alignable.
        alignable: [sentences], the truth.
        spans: true start and end of each sentence in seconds; those of other than alignable ones aren't used.
    """

    similarity: "NDArray[np.float64]"
    alignability: "NDArray[np.float64]"
    alignable: Sequence[bool]
    spans: Sequence[Span]


@dataclass(frozen=True, slots=True)
class AlignmentScores:
    """R@1 (fraction of the alignable sentences) and ROC-AUC (of all sentences) over all videos."""

    recall: float
    auc: float
    sentences: int
    alignable: int


def score_alignment(videos: Sequence[SentenceAlignment]) -> AlignmentScores:
    """HTM-Align's two numbers, pooled over the sentences of all videos.

    Raises:
        UsageError: no sentence is alignable, or all are (AUC needs both kinds).
    """
    import numpy as np

    hits = []
    for video in videos:
        for row, alignable, (start, end) in zip(video.similarity, video.alignable, video.spans, strict=True):
            if alignable:
                hits.append(math.floor(start) <= int(np.argmax(row)) <= math.ceil(end))
    truth = np.concatenate(
        [np.asarray(video.alignable, dtype=bool) for video in videos] or [np.zeros(0, bool)]
    )
    scores = np.concatenate([video.alignability for video in videos] or [np.zeros(0)])
    return AlignmentScores(float(np.mean(hits)), roc_auc(truth, scores), truth.size, len(hits))


def roc_auc(truth: "ArrayLike", scores: "ArrayLike") -> float:
    """Share of (true, false) pairs in which the true one scores higher; a tie counts half.

    Raises:
        UsageError: only one kind is there, or a score is not a number.
    """
    import numpy as np
    from scipy.stats import rankdata

    positive, values = np.asarray(truth, dtype=bool), np.asarray(scores, dtype=np.float64)
    yes, no = int(positive.sum()), int((~positive).sum())
    if not yes or not no:
        raise UsageError(f"ROC-AUC needs both kinds of sentences; there are {yes} alignable and {no} others")
    if np.isnan(values).any():
        raise UsageError("a score is not a number")
    ranks = rankdata(values)
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


@dataclass(frozen=True, slots=True)
class ActionAlignment:
    """One video's ordered actions and where they are; spans are half-open frames, one for each action.

    Attributes:
        actions: label of each segment, in order.
        true: true spans.
        found: found spans.
        frames: length of the video.
    """

    actions: Sequence[str]
    true: Sequence[tuple[int, int]]
    found: Sequence[tuple[int, int]]
    frames: int


@dataclass(frozen=True, slots=True)
class ActionScores:
    """Fractions: frame accuracy, mean IoU and mean IoD of the segments."""

    frame_accuracy: float
    iou: float
    iod: float


@dataclass(frozen=True, slots=True)
class BreakfastScores:
    """The same three numbers averaged over videos and over all frames and segments.

    The papers don't say which of the two they print, and there is no public code of these authors.
    """

    per_video: ActionScores
    pooled: ActionScores


def score_actions(videos: Sequence[ActionAlignment], background: str | None = None) -> BreakfastScores:
    """Breakfast's numbers for actions aligned in a known order (Ding and Xu 2018; thesis Table 7.2).

    A found segment is compared with the true one of the same place in the order. IoU = |both| / |either|,
    IoD = |both| / |found|, 0 for an empty one.

    Args:
        videos: at least one.
        background: label (such as "SIL") whose frames and segments don't count; by default all count.

    Raises:
        UsageError: no videos, a video without frames or segments that count, or spans that don't fit its
            actions.
    """
    import numpy as np

    if not videos:
        raise UsageError("there are no videos to score")
    frames, ious, iods = zip(*(_score_video(video, background) for video in videos), strict=True)
    per_video = ActionScores(
        *(float(np.mean([np.mean(values) for values in kind])) for kind in (frames, ious, iods))
    )
    pooled = ActionScores(*(float(np.mean(np.concatenate(kind))) for kind in (frames, ious, iods)))
    return BreakfastScores(per_video, pooled)


def _score_video(
    video: ActionAlignment, background: str | None
) -> "tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]":
    """Whether each frame is right, and the IoU and IoD of each segment."""
    import numpy as np

    if not len(video.actions) == len(video.true) == len(video.found):
        raise UsageError(
            f"{len(video.actions)} actions, {len(video.true)} true and {len(video.found)} found spans: "
            "give one true and one found span for each action"
        )
    labels = {name: number for number, name in enumerate(dict.fromkeys(video.actions))}
    true, found = np.full(video.frames, -1), np.full(video.frames, -2)
    ious, iods = [], []
    for name, (start, end), (at, until) in zip(video.actions, video.true, video.found, strict=True):
        true[start:end] = labels[name]
        found[at:until] = labels[name]
        if name == background:
            continue
        both = max(0, min(end, until) - max(start, at))
        either = (end - start) + (until - at) - both
        ious.append(both / either if either else 0.0)
        iods.append(both / (until - at) if until > at else 0.0)
    counts = true != (labels.get(background, -1) if background is not None else -1)
    right = (true == found)[counts & (true >= 0)].astype(np.float64)
    if not ious or not right.size:
        raise UsageError("a video has no action, or nothing but background")
    return right, np.asarray(ious), np.asarray(iods)
