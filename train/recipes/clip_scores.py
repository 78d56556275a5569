"""The numbers that JSFusion and CT-SAN are judged by."""

from collections.abc import Mapping, Sequence

import numpy as np

from cinescribe.metrics.captioning import score_captions
from cinescribe.metrics.retrieval import score_ranks, text_to_video_ranks, video_to_text_ranks

Row = tuple[int, Sequence[float]]  # the video that a text is of, and its scores with all videos


def retrieval(rows: Sequence[Row]) -> Mapping[str, float]:
    """Recall in percent and ranks, of texts among the videos and of videos among the texts."""
    if not rows:
        return {}
    table = np.asarray([scores for _, scores in rows])
    owners = np.asarray([owner for owner, _ in rows])
    numbers: dict[str, float] = {}
    for name, ranks in (
        ("t2v", text_to_video_ranks(table, owners)),
        ("v2t", video_to_text_ranks(table.T, owners)),
    ):
        scores = score_ranks(ranks)
        numbers |= {f"{name}_r{k}": scores.recall[k] for k in (1, 5, 10)}
        numbers |= {f"{name}_median": scores.median_rank, f"{name}_mean": scores.mean_rank}
        if name == "t2v":
            numbers["geometric_mean"] = scores.geometric_mean
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
