"""JSFusion behind a search: it scores the first moments that an index found, from their features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import UsageError
from cinescribe.models.frame_times import equidistant
from cinescribe.models.jsfusion_files import SavedJSFusion

MOST = 100  # moments that are scored anew; pairs cost too much for all


@dataclass(frozen=True, slots=True)
class Reranked:
    """A moment: its place in what was found, from 0, and JSFusion's score, None behind the first ones."""

    found: int
    score: float | None


def rerank(
    saved: SavedJSFusion, query: str, moments: Sequence[NDArray[np.generic]], most: int = MOST
) -> list[Reranked]:
    """Moments of a text query by score; those after the first `most` stay behind as they were found.

    Args:
        saved: a model trained for retrieval or multiple choice.
        query: a sentence.
        moments: features [frames, width] of each, best first, `saved.hz` a second; of each at most
            `config.frames` are read, equally distant, as in training.
        most: how many are scored.

    Raises:
        UsageError: the model fills in blanks, no word of the query is known to it, or features don't fit.
    """
    import torch

    from cinescribe.models.jsfusion_pairs import encode_texts, encode_videos, score_table

    model, config = saved.model, saved.model.config
    if config.outputs != 1:
        raise UsageError("this JSFusion fills in blanks; give one trained for retrieval or choice")
    if not saved.vocabulary.ids(query, config.words):
        raise UsageError(f"{query!r}: the model knows none of these words")
    videos = []
    for number, features in enumerate(moments[:most]):
        if features.ndim != 2 or not len(features) or features.shape[1] != config.video_width:
            raise UsageError(
                f"moment {number} has features {features.shape}, where [frames, {config.video_width}] of "
                f"{' and '.join(saved.features)} are wanted"
            )
        kept = equidistant(len(features), config.frames)
        videos.append(torch.from_numpy(np.nan_to_num(features[kept].astype(np.float32))))
    if not videos:
        return []
    ids, lengths = saved.vocabulary.batch([query], config.words)
    scores = score_table(model, encode_videos(model, videos), encode_texts(model, ids, lengths))[0]
    order = scores.argsort(descending=True, stable=True).tolist()
    first = [Reranked(number, float(scores[number])) for number in order]
    return first + [Reranked(number, None) for number in range(len(videos), len(moments))]
