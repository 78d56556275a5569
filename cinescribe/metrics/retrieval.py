"""How well a search ranks: recall at k, median and mean rank, from a table of similarities.

Conventions of Collaborative Experts (Liu et al. 2019, their published code), which the retrieval papers
share: ranks start at 1, an item that ties with others has the mean of their places, and a video with several
    captions
counts by its best placed one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cinescribe.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

CUTOFFS = (1, 5, 10, 50)


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """Scores of a set of queries.

    Attributes:
        recall: k -> percent of queries whose item is among the first k (a place shared by ties counts by its
            mean).
        median_rank: 1 is best.
        mean_rank: 1 is best.
        queries: how many were scored.
    """

    recall: Mapping[int, float]
    median_rank: float
    mean_rank: float
    queries: int

    @property
    def geometric_mean(self) -> float:
        """Of R@1, R@5 and R@10: what a model is selected by."""
        return float((self.recall[1] * self.recall[5] * self.recall[10]) ** (1 / 3))


def score_ranks(ranks: "ArrayLike") -> RetrievalScores:
    """Recall and rank statistics of ranks, 1-based.

    Raises:
        UsageError: there are no ranks.
    """
    import numpy as np

    places = np.asarray(ranks, dtype=np.float64)
    if places.size == 0:
        raise UsageError("there are no queries to score")
    recall = {k: float(100 * np.mean(places <= k)) for k in CUTOFFS}
    return RetrievalScores(recall, float(np.median(places)), float(np.mean(places)), int(places.size))


def text_to_video_ranks(
    similarity: "ArrayLike", video_of: "ArrayLike", present: "ArrayLike | None" = None
) -> "NDArray[np.float64]":
    """The rank of each text's own video among all videos.

    Args:
        similarity: [texts, videos], higher is more alike.
        video_of: [texts], index of the video each text is of.
        present: [texts], False for padding, which is left out; by default all are there.

    Returns:
        [present texts] ranks, 1-based, ties averaged.

    Raises:
        UsageError: shapes don't fit, or a similarity is not a number.
    """
    import numpy as np

    table, owners, there = _checked(similarity, video_of, present, texts_axis=0)
    table, owners = table[there], owners[there]
    return _ranks(table, np.take_along_axis(table, owners[:, None], axis=1))[:, 0]


def video_to_text_ranks(
    similarity: "ArrayLike", video_of: "ArrayLike", present: "ArrayLike | None" = None
) -> "NDArray[np.float64]":
    """The best rank that any text of a video has among all texts.

    Args:
        similarity: [videos, texts], higher is more alike.
        video_of: [texts], index of the video each text is of.
        present: [texts], False for padding, which ranks behind everything; by default all are there.

    Returns:
        [videos] ranks, 1-based, ties averaged; videos without any text are left out.

    Raises:
        UsageError: shapes don't fit, or a similarity is not a number.
    """
    import numpy as np

    table, owners, there = _checked(similarity, video_of, present, texts_axis=1)
    table, owners = table[:, there], owners[there]
    best = []
    for video, row in enumerate(table):
        own = row[owners == video]
        if own.size:
            best.append(_ranks(row[None], own[None]).min())
    return np.asarray(best, dtype=np.float64)


def _ranks(table: "NDArray[Any]", own: "NDArray[Any]") -> "NDArray[np.float64]":
    """[rows, n] ranks of the values `own` [rows, n] within their rows of `table` [rows, items]."""
    import numpy as np

    ordered = np.sort(table, axis=1)
    columns = table.shape[1]
    ranks = np.empty(own.shape, dtype=np.float64)
    for row, values in enumerate(own):
        higher = columns - np.searchsorted(ordered[row], values, side="right")
        equal = columns - higher - np.searchsorted(ordered[row], values, side="left")
        ranks[row] = higher + (equal + 1) / 2
    return ranks


def _checked(
    similarity: "ArrayLike", video_of: "ArrayLike", present: "ArrayLike | None", texts_axis: int
) -> "tuple[NDArray[Any], NDArray[Any], NDArray[Any]]":
    import numpy as np

    table = np.asarray(similarity)
    owners = np.asarray(video_of, dtype=np.int64)
    there = np.ones(owners.shape, dtype=bool) if present is None else np.asarray(present, dtype=bool)
    if table.ndim != 2 or owners.shape != (table.shape[texts_axis],) or there.shape != owners.shape:
        raise UsageError(
            f"similarities {table.shape} don't fit {owners.shape} owners and {there.shape} flags of texts"
        )
    if owners.size and not 0 <= owners.min() <= owners.max() < table.shape[1 - texts_axis]:
        raise UsageError(f"a text is of a video that the {table.shape[1 - texts_axis]} videos don't include")
    if np.isnan(table).any():
        raise UsageError("a similarity is not a number")
    return table, owners, there
