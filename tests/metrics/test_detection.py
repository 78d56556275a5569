"""Temporal IoU and average precision, counted by hand."""

import numpy as np
import pytest

from cinescribe.errors import UsageError
from cinescribe.metrics.detection import (
    ACTIVITYNET,
    ActionSpan,
    average_precision,
    mean_average_precision,
    temporal_iou,
)

TRUTH = [
    ActionSpan("a", 0, 10, "jump"),
    ActionSpan("a", 20, 30, "jump"),
    ActionSpan("b", 0, 4, "jump"),
    ActionSpan("b", 6, 8, "run"),
]


def test_temporal_iou() -> None:
    found = temporal_iou([(0, 10), (5, 5)], [(5, 15), (10, 20), (0, 10), (2, 4), (5, 5)])
    np.testing.assert_allclose(found, [[1 / 3, 0, 1, 0.2, 0], [0, 0, 0, 0, 0]])


def test_the_truth_itself_is_found_whole() -> None:
    scores = mean_average_precision(TRUTH, TRUTH, ACTIVITYNET)
    assert scores.mean == 1
    assert scores.by_class == {"jump": 1, "run": 1}


def test_average_precision_by_hand() -> None:
    jumps = [span for span in TRUTH if span.label == "jump"]
    found = [
        ActionSpan("a", 0, 9, "jump", 0.9),  # right
        ActionSpan("a", 1, 10, "jump", 0.8),  # the same again: wrong
        ActionSpan("c", 0, 10, "jump", 0.7),  # another video: wrong
        ActionSpan("a", 20, 31, "jump", 0.6),  # right: 2 of 4
        ActionSpan("b", 3, 9, "jump", 0.5),  # overlaps too little: wrong
    ]
    # Precision 1, 1/2, 1/3, 1/2, 2/5; made to fall: 1 at the first hit, 1/2 at the second; 3 are true.
    assert average_precision(jumps, found[::-1], 0.5) == pytest.approx((1 + 0.5) / 3)
    # Made to fall means: a later, higher precision counts for the hits before it.
    better = [ActionSpan("c", 0, 1, "jump", 0.95), *found[:1], ActionSpan("a", 20, 30, "jump", 0.85)]
    assert average_precision(jumps, better, 0.5) == pytest.approx((2 / 3 + 2 / 3) / 3)


def test_a_detection_takes_a_true_span_that_is_still_free() -> None:
    truth = [ActionSpan("a", 0, 10, "x"), ActionSpan("a", 2, 12, "x")]
    found = [ActionSpan("a", 0, 10, "x", 0.9), ActionSpan("a", 1, 10.5, "x", 0.8)]
    assert average_precision(truth, found, 0.5) == 1


def test_classes_and_thresholds_are_averaged() -> None:
    found = [ActionSpan("b", 6, 7, "run", 0.3), ActionSpan("b", 6, 8, "swim", 0.9)]
    scores = mean_average_precision(TRUTH, found, (0.5, 0.6))
    assert scores.at == {0.5: 0.5, 0.6: 0}  # half of the run is found, nothing of the jumps
    assert scores.by_class == {"jump": 0, "run": 0.5}
    assert scores.mean == 0.25


def test_without_truth_there_is_no_score() -> None:
    with pytest.raises(UsageError, match="no true spans"):
        mean_average_precision([], TRUTH)
