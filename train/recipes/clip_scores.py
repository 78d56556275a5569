"""The numbers that the recipes of clips and sentences are judged by."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.metrics.captioning import score_captions
from cinescribe.metrics.retrieval import score_ranks, text_to_video_ranks, video_to_text_ranks


def retrieval(table: NDArray[Any], owners: NDArray[np.int64]) -> Mapping[str, float]:
    """Recall in percent and ranks, both ways, and the geometric mean of R@1, 5 and 10 of texts.

    Args:
        table: [texts, videos] scores.
        owners: [texts] number of the video each is of.
    """
    forward = score_ranks(text_to_video_ranks(table, owners))
    numbers = {"geometric_mean": forward.geometric_mean}
    for way, scores in (("t2v", forward), ("v2t", score_ranks(video_to_text_ranks(table.T, owners)))):
        numbers |= {f"{way}_r{k}": value for k, value in scores.recall.items()}
        numbers |= {f"{way}_median": scores.median_rank, f"{way}_mean": scores.mean_rank}
    return numbers


def accuracy(right: Sequence[bool]) -> Mapping[str, float]:
    """Share of the questions, in percent."""
    return {"accuracy": 100 * sum(right) / len(right)} if right else {}


def captions(said: Sequence[tuple[Sequence[str], str]]) -> Mapping[str, float]:
    """BLEU, ROUGE-L and CIDEr, fractions, of pairs of references and a sentence."""
    if not said:
        return {}
    references = {str(number): list(true) for number, (true, _) in enumerate(said)}
    scores = score_captions(references, {str(number): text for number, (_, text) in enumerate(said)})
    numbers = {f"bleu{order}": value for order, value in enumerate(scores.bleu, 1)}
    return {**numbers, "rouge_l": scores.rouge_l, "cider": scores.cider}
