"""HTM-Align's and Breakfast's numbers, counted by hand, and the windows of the authors' protocol."""

import numpy as np
import pytest

from cinescribe.errors import UsageError
from cinescribe.metrics.alignment import (
    UNSEEN,
    ActionAlignment,
    SentenceAlignment,
    Stitcher,
    Window,
    roc_auc,
    score_actions,
    score_alignment,
    sliding_windows,
)

# --- HTM-Align


def peak(*seconds: int, length: int = 20) -> np.ndarray:
    """One row a sentence, highest at its second."""
    rows = np.zeros((len(seconds), length))
    rows[range(len(seconds)), seconds] = 1
    return rows


def test_a_second_within_the_rounded_span_is_right_both_ends_included() -> None:
    spans = [(4.6, 7.2)] * 6
    found = SentenceAlignment(peak(3, 4, 6, 8, 9, 6), np.arange(6.0), [True] * 5 + [False], spans)
    assert score_alignment([found]).recall == 3 / 5  # 4, 6 and 8; the last sentence isn't alignable


def test_recall_and_auc_are_pooled_over_videos() -> None:
    one = SentenceAlignment(peak(1, 1), np.array([0.9, 0.2]), [True, False], [(1.0, 2.0), (0.0, 0.0)])
    other = SentenceAlignment(
        peak(5, 5, 5), np.array([0.1, 0.8, 0.3]), [True, True, False], [(1.0, 2.0), (5.0, 6.0), (0.0, 0.0)]
    )
    scores = score_alignment([one, other])
    assert (scores.recall, scores.sentences, scores.alignable) == (2 / 3, 5, 3)
    # Positives .9 .1 .8 against negatives .2 .3: four of six pairs are in order.
    assert scores.auc == pytest.approx(4 / 6)


def test_auc_counts_ties_half_and_needs_both_kinds() -> None:
    assert roc_auc([True, False], [0.5, 0.5]) == 0.5
    assert roc_auc([True, True, False, False], [3, 1, 2, 1]) == pytest.approx((2 + 0.5) / 4)
    with pytest.raises(UsageError, match="both kinds"):
        roc_auc([True, True], [1, 2])
    with pytest.raises(UsageError, match="not a number"):
        roc_auc([True, False], [1, float("nan")])


def test_auc_is_scikit_learn_s() -> None:
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(0)
    truth, scores = generator.random(200) < 0.3, generator.normal(size=200).round(1)
    assert roc_auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))


def test_windows_begin_every_quarter_of_their_length_until_half_a_window_is_left() -> None:
    windows = sliding_windows(200, [100.0])
    assert [window.start for window in windows] == list(range(0, 200 - 32, 16))
    assert [window.end for window in windows] == [min(200, window.start + 64) for window in windows]
    assert sliding_windows(20, [5.0]) == [Window(0, 20, 0, 1)]


def test_a_window_shows_what_is_spoken_a_window_before_to_two_after() -> None:
    middles = [5.0, 60.0, 100.0, 150.0, 290.0, 310.0, 380.0, 399.0]
    windows = {window.start: window for window in sliding_windows(400, middles)}
    assert (windows[160].first, windows[160].last) == (2, 4)  # 96 to 288
    assert (windows[176].first, windows[176].last) == (3, 5)  # 112 to 304
    assert (windows[0].first, windows[0].last) == (0, 3)  # up to 128
    assert windows[48].first == 0  # the fourth window; its own would be from -16 on
    assert (windows[320].first, windows[320].last) == (4, 8)  # from 256, to the end as one of the last four


def test_only_known_times_choose_the_sentences_and_those_between_come_along() -> None:
    middles, known = [300.0, 170.0, 5.0, 210.0, 180.0], [False, True, False, True, False]
    windows = {window.start: window for window in sliding_windows(400, middles, known)}
    assert (windows[128].first, windows[128].last) == (1, 4)
    assert 352 not in windows  # 288 to 480: nothing known is spoken then


def test_windows_need_something_to_align() -> None:
    with pytest.raises(UsageError, match="nothing to align"):
        sliding_windows(100, [])
    with pytest.raises(UsageError, match="nothing to align"):
        sliding_windows(0, [1.0])


def test_windows_are_averaged_and_as_published_summed() -> None:
    for combination, similarity, alignability in (("mean", 3.0, 2.0), ("sum", 6.0, 4.0)):
        stitcher = Stitcher(3, 6, combination)
        stitcher.add(Window(0, 4, 0, 2), np.full((2, 4), 2.0), [1.0, 1.0])
        stitcher.add(Window(2, 6, 1, 2), np.full((1, 4), 4.0), [3.0])
        table = stitcher.similarity()
        assert table[0].tolist() == [2, 2, 2, 2, UNSEEN, UNSEEN]
        assert table[1].tolist() == [2, 2, similarity, similarity, 4, 4]
        assert (table[2] == UNSEEN).all()
        assert stitcher.alignability().tolist() == [1.0, alignability, UNSEEN]


def test_without_alignability_the_highest_similarity_of_a_window_is_taken() -> None:
    stitcher = Stitcher(1, 3)
    stitcher.add(Window(0, 3, 0, 1), [[0.1, 0.7, 0.2]])
    assert stitcher.alignability().tolist() == [0.7]


# --- Breakfast

VIDEO = ActionAlignment(
    ["SIL", "crack egg", "fry egg", "SIL"],
    [(0, 10), (10, 20), (20, 40), (40, 50)],
    [(0, 5), (5, 20), (20, 30), (30, 50)],
    50,
)


def test_frames_and_segments_are_counted_background_included() -> None:
    scores = score_actions([VIDEO]).pooled
    assert scores.frame_accuracy == (5 + 10 + 10 + 10) / 50
    assert scores.iou == pytest.approx((5 / 10 + 10 / 15 + 10 / 20 + 10 / 20) / 4)
    assert scores.iod == pytest.approx((5 / 5 + 10 / 15 + 10 / 10 + 10 / 20) / 4)


def test_background_can_be_left_out() -> None:
    scores = score_actions([VIDEO], background="SIL").pooled
    assert scores.frame_accuracy == (10 + 10) / 30
    assert scores.iou == pytest.approx((10 / 15 + 10 / 20) / 2)
    assert scores.iod == pytest.approx((10 / 15 + 1) / 2)


def test_means_over_videos_and_over_all_frames_differ() -> None:
    short = ActionAlignment(["pour milk"], [(0, 10)], [(0, 10)], 10)
    scores = score_actions([VIDEO, short])
    assert scores.per_video.frame_accuracy == pytest.approx((0.7 + 1) / 2)
    assert scores.pooled.frame_accuracy == pytest.approx((35 + 10) / 60)
    assert scores.per_video.iou == pytest.approx((score_actions([VIDEO]).pooled.iou + 1) / 2)
    assert scores.pooled.iou == pytest.approx((score_actions([VIDEO]).pooled.iou * 4 + 1) / 5)


def test_what_was_not_found_scores_nothing() -> None:
    lost = ActionAlignment(["a", "b"], [(0, 5), (5, 10)], [(0, 10), (10, 10)], 10)
    scores = score_actions([lost]).pooled
    assert (scores.frame_accuracy, scores.iou, scores.iod) == (0.5, 0.25, 0.25)


def test_perfect_is_one() -> None:
    true = [(0, 3), (3, 9)]
    scores = score_actions([ActionAlignment(["a", "b"], true, true, 9)])
    assert scores.pooled == scores.per_video
    assert (scores.pooled.frame_accuracy, scores.pooled.iou, scores.pooled.iod) == (1, 1, 1)


def test_actions_and_spans_must_fit() -> None:
    with pytest.raises(UsageError, match="2 actions, 1 true"):
        score_actions([ActionAlignment(["a", "b"], [(0, 5)], [(0, 5)], 5)])
    with pytest.raises(UsageError, match="no videos"):
        score_actions([])
    with pytest.raises(UsageError, match="nothing but background"):
        score_actions([ActionAlignment(["SIL"], [(0, 5)], [(0, 5)], 5)], background="SIL")
