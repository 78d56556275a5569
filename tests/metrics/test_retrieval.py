"""Ranks and their statistics, counted by hand."""

import numpy as np
import pytest

from cinescribe.errors import UsageError
from cinescribe.metrics.retrieval import score_ranks, text_to_video_ranks, video_to_text_ranks


def test_the_rank_is_the_place_of_the_own_video() -> None:
    similarity = [[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.3, 0.2, 0.1]]
    assert text_to_video_ranks(similarity, [0, 1, 2]).tolist() == [1, 3, 3]
    assert text_to_video_ranks(similarity, [2, 2, 0]).tolist() == [2, 2, 1]


def test_ties_share_the_mean_of_their_places() -> None:
    similarity = [[0.5, 0.5, 0.5, 0.5], [0.9, 0.5, 0.5, 0.1]]
    assert text_to_video_ranks(similarity, [3, 1]).tolist() == [2.5, 2.5]
    assert video_to_text_ranks(np.zeros((1, 5)), [0] * 5).tolist() == [3]


def test_absent_texts_are_no_queries() -> None:
    similarity = [[0.9, 0.1], [0.0, 1.0], [0.2, 0.1]]
    assert text_to_video_ranks(similarity, [0, 1, 1], [True, False, True]).tolist() == [1, 2]


def test_a_video_counts_by_its_best_text() -> None:
    # Four texts: two of video 0, two of video 1.
    similarity = [[0.1, 0.7, 0.9, 0.2], [0.9, 0.8, 0.3, 0.1]]
    assert video_to_text_ranks(similarity, [0, 0, 1, 1]).tolist() == [2, 3]


def test_absent_texts_take_no_place_and_videos_without_texts_are_left_out() -> None:
    similarity = [[0.1, 0.7, 0.9, 0.2], [0.9, 0.8, 0.3, 0.1]]
    assert video_to_text_ranks(similarity, [0, 0, 1, 1], [True, True, False, True]).tolist() == [1, 3]
    assert video_to_text_ranks(similarity, [0, 0, 1, 1], [True, True, False, False]).tolist() == [1]


def test_the_ranks_are_those_of_sorting() -> None:
    generator = np.random.default_rng(0)
    similarity = generator.normal(size=(40, 30))
    owners = generator.integers(0, 30, 40)
    expected = [1 + int((row > row[owner]).sum()) for row, owner in zip(similarity, owners, strict=True)]
    assert text_to_video_ranks(similarity, owners).tolist() == expected


def test_statistics_of_ranks() -> None:
    scores = score_ranks([1, 2, 5, 7, 60])
    assert dict(scores.recall) == {1: 20.0, 5: 60.0, 10: 80.0, 50: 80.0}
    assert (scores.median_rank, scores.mean_rank, scores.queries) == (5.0, 15.0, 5)
    assert scores.geometric_mean == pytest.approx((20 * 60 * 80) ** (1 / 3))
    assert score_ranks([1, 2]).median_rank == 1.5


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UsageError, match="don't fit"):
        text_to_video_ranks([[1.0, 2.0]], [0, 1])
    with pytest.raises(UsageError, match="3 videos"):
        text_to_video_ranks([[1.0, 2.0, 3.0]], [3])
    with pytest.raises(UsageError, match="not a number"):
        video_to_text_ranks([[1.0, float("nan")]], [0, 0])
    with pytest.raises(UsageError, match="no queries"):
        score_ranks([])
