"""Ranks of a table that is read in parts, and the scores of several seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cinescribe.evaluation.run import Run, Table
from cinescribe.metrics.retrieval import CUTOFFS, RetrievalScores, score_ranks

NAMES = (*(f"R@{k}" for k in CUTOFFS), "MdR", "MnR")


@dataclass(frozen=True, slots=True)
class Ranks:
    """Places of what was looked for, from 1, ties sharing the mean of theirs.

    Attributes:
        text_to_video: [texts] place of each text's video among all videos.
        video_to_text: [videos] place of the best placed text of each video among all texts; NaN where a video
            has no text.
    """

    text_to_video: NDArray[np.float64]
    video_to_text: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one direction.

    Attributes:
        queries: how many were scored.
        seeds: for each seed the numbers by name (`NAMES`): recalls in percent, ranks from 1.
        mean: over the seeds.
        deviation: over the seeds, with n - 1; None of a single one.
    """

    queries: int
    seeds: tuple[Mapping[str, float], ...]
    mean: Mapping[str, float]
    deviation: Mapping[str, float] | None


def ranks_of(table: Table, video_of: NDArray[np.int64]) -> Ranks:
    """Both directions' ranks, equal to those of `cinescribe.metrics.retrieval`, in bounded memory.

    The table is read twice, some rows at a time: beside those, only numbers by text or by video are held.
    A video's best placed text is its most similar one, so that first its similarity is found, then how many
    texts are more alike or as alike.

    Args:
        table: of [texts, videos].
        video_of: [texts] number of the video each text is of.
    """
    texts, videos = table.shape
    places = np.empty(texts)
    best = np.full(videos, -np.inf)
    there = np.zeros(videos, bool)
    there[video_of] = True
    for first, block in table.blocks():
        owners = video_of[first : first + len(block)]
        own = np.take_along_axis(block, owners[:, None], axis=1)
        higher, equal = (block > own).sum(axis=1), (block == own).sum(axis=1)
        places[first : first + len(block)] = higher + (equal + 1) / 2
        np.maximum.at(best, owners, own[:, 0].astype(np.float64))
    higher, equal = np.zeros(videos), np.zeros(videos)
    for _, block in table.blocks():
        higher += (block > best).sum(axis=0)
        equal += (block == best).sum(axis=0)
    return Ranks(places, np.where(there, higher + (equal + 1) / 2, np.nan))


def evaluate(run: Run) -> tuple[Scores, Scores, Ranks]:
    """Scores of text to video and of video to text, and the first table's ranks."""
    ranks = [ranks_of(table, run.video_of) for table in run.tables]
    forward = _over_seeds([score_ranks(found.text_to_video) for found in ranks])
    backward = _over_seeds(
        [score_ranks(found.video_to_text[~np.isnan(found.video_to_text)]) for found in ranks]
    )
    return forward, backward, ranks[0]


def _over_seeds(scores: Sequence[RetrievalScores]) -> Scores:
    seeds = tuple(_numbers(score) for score in scores)
    table = np.array([[numbers[name] for name in NAMES] for numbers in seeds])
    mean = dict(zip(NAMES, table.mean(axis=0).tolist(), strict=True))
    deviation = None
    if len(seeds) > 1:
        deviation = dict(zip(NAMES, table.std(axis=0, ddof=1).tolist(), strict=True))
    return Scores(scores[0].queries, seeds, mean, deviation)


def _numbers(score: RetrievalScores) -> dict[str, float]:
    recalls = {f"R@{k}": score.recall[k] for k in CUTOFFS}
    return {**recalls, "MdR": score.median_rank, "MnR": score.mean_rank}
