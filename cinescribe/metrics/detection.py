"""How well actions are found in time: temporal IoU and mean average precision.

As ActivityNet's evaluation counts (Heilbron et al. 2015), which the papers on THUMOS14 take too. The
detections of a class in all videos are gone through from the surest on; one is right when it overlaps, by at
least the threshold, a true span that no surer one has taken; average precision is the area under the
precision that is made to fall with recall.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cinescribe.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

THUMOS14 = (0.3, 0.4, 0.5, 0.6, 0.7)
ACTIVITYNET = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class ActionSpan:
    """An action of a class in [start, end) seconds of a video; of a detection also how sure it is."""

    video: str
    start: float
    end: float
    label: str
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """Mean average precision, 0 to 1.

    Attributes:
        at: by threshold, over the classes that the truth has.
        by_class: by class, over the thresholds.
    """

    at: Mapping[float, float]
    by_class: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Over the thresholds: the papers' "AVG"."""
        return sum(self.at.values()) / len(self.at)


def temporal_iou(first: "ArrayLike", second: "ArrayLike") -> "NDArray[np.float64]":
    """Intersection over union of each span of one list with each of another.

    Args:
        first: [N, 2] starts and ends, seconds.
        second: [M, 2] the same.

    Returns:
        [N, M], 0 where both are empty.
    """
    import numpy as np

    a = np.asarray(first, np.float64).reshape(-1, 2)[:, None]
    b = np.asarray(second, np.float64).reshape(-1, 2)[None]
    shared = np.clip(np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0]), 0, None)
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def average_precision(
    truth: Sequence[ActionSpan], detections: Sequence[ActionSpan], threshold: float
) -> float:
    """Of one class over all videos; labels are not looked at.

    Args:
        truth: its true spans.
        detections: what was found, in any order; equally sure ones count in the order given.
        threshold: least temporal IoU of a right one, above 0.

    Raises:
        UsageError: there is no true span.
    """
    import numpy as np

    if not truth:
        raise UsageError("no true spans, so there is no precision to average")
    true_of: dict[str, list[int]] = {}
    for number, span in enumerate(truth):
        true_of.setdefault(span.video, []).append(number)
    order = sorted(range(len(detections)), key=lambda number: -detections[number].score)
    taken: set[int] = set()
    right = np.zeros(len(order), bool)
    for place, number in enumerate(order):
        found = detections[number]
        there = true_of.get(found.video, [])
        if not there:
            continue
        spans = [(truth[one].start, truth[one].end) for one in there]
        overlap = temporal_iou([(found.start, found.end)], spans)[0]
        for one in np.argsort(-overlap, kind="stable"):
            if overlap[one] < threshold:
                break
            if there[one] not in taken:
                taken.add(there[one])
                right[place] = True
                break
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(order) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(falling[right].sum() / len(truth))


def mean_average_precision(
    truth: Sequence[ActionSpan],
    detections: Sequence[ActionSpan],
    thresholds: Sequence[float] = THUMOS14,
) -> DetectionScores:
    """Average precision over the classes of the truth, at each threshold.

    Args:
        truth: true spans of all videos.
        detections: what was found; classes that the truth lacks count for nothing.
        thresholds: of temporal IoU.

    Raises:
        UsageError: there are no true spans or no thresholds.
    """
    labels = sorted({span.label for span in truth})
    if not labels or not thresholds:
        raise UsageError("no true spans or no thresholds, so there is nothing to score")
    table = {
        label: [
            average_precision(
                [span for span in truth if span.label == label],
                [span for span in detections if span.label == label],
                threshold,
            )
            for threshold in thresholds
        ]
        for label in labels
    }
    at = {
        threshold: sum(table[label][place] for label in labels) / len(labels)
        for place, threshold in enumerate(thresholds)
    }
    return DetectionScores(at, {label: sum(values) / len(values) for label, values in table.items()})
