"""Films of Cineworld and their clips: what systems of the claims benchmark are trained on and tested by."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from benchmarks.claims_table import Bench, Numbers, recall_and_median
from benchmarks.claims_training import trained
from cinescribe.annotations.types import CaptionedClip
from cinescribe.cineworld.experts import write_experts
from cinescribe.cineworld.world import Words, WorldSettings, write_world
from cinescribe.metrics.captioning import score_captions
from cinescribe.metrics.retrieval import text_to_video_ranks
from train import recipes
from train.recipes.clip_examples import Matches, Sentences

SPLIT = "test"


@dataclass(frozen=True, slots=True)
class ClipSizes:
    """Of the data and the tests of JSFusion and CT-SAN; `pool`: clips that a text is searched among."""

    films: int = 120
    noise: float = 0.3
    words: Words = "nameless"
    pool: int = 100


def write_films(root: Path, settings: WorldSettings, films: int) -> None:
    """Write a world's films, 8 : 1 : 1, and the features of its experts, once."""
    done = root / "done"
    if not done.exists():
        write_world(str(root), settings, films, videos=0)
        write_experts(str(root))
        done.touch()


def write_annotations(folder: Path, splits: Mapping[str, Sequence[CaptionedClip]]) -> None:
    """Write clips as the data set `clips` is read, a file a split, in the order of the splits."""
    folder.mkdir(exist_ok=True)
    for split, clips in splits.items():
        rows = [
            {"video": clip.video_id, "start": clip.start, "end": clip.end, "captions": clip.captions}
            for clip in clips
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def train_clips(recipe: str, given: dict[str, Any], root: Path, name: str, bench: Bench) -> Path:
    """Folder of a recipe's model after its last step.

    The loop would evaluate that step on the validation films. One clip is all it gets, to save the time:
    nothing is chosen by it.
    """
    return trained(recipes.load(recipe, {**given, "most": 1}), root, name, bench)


def score_clips(recipe: str, given: dict[str, Any], root: Path, model: nn.Module, pool: int) -> Numbers:
    """What a model scores on the test films.

    Args:
        recipe: of its task.
        given: its options.
        root: of the world.
        model: in evaluation mode.
        pool: of retrieval: each text is searched among so many clips, its own among them.

    Returns:
        r1, r5, r10 (percent) and median rank of retrieval; bleu1, bleu2, rouge, cider (times 100) of
        descriptions; else accuracy (percent).
    """
    tester: Any = recipes.load(recipe, {**given, "validation": SPLIT, "most": 0})
    data = tester.data(str(root), "validation")
    if isinstance(data, Matches):
        return _retrieval(tester, model, data, pool)
    results = tester.evaluate(model, data, range(len(data)))
    if isinstance(data, Sentences):
        return _captions(results)
    return {"accuracy": 100 * sum(results) / len(results)}


def _retrieval(tester: Any, model: nn.Module, data: Matches, pool: int) -> Numbers:
    """Clips in their order fill the pools; those too few for a last pool are left out."""
    ranks: list[float] = []
    for first in range(0, len(data.clips) - pool + 1, pool):
        some = Matches(data.clips[first : first + pool], data.reading, 1)
        owners, rows = zip(*tester.evaluate(model, some, range(len(some))), strict=True)
        ranks += text_to_video_ranks(np.asarray(rows), np.asarray(owners)).tolist()
    return recall_and_median(ranks)


def _captions(said: Sequence[tuple[Sequence[str], str]]) -> Numbers:
    references = {str(number): list(true) for number, (true, _) in enumerate(said)}
    captions = {str(number): text for number, (_, text) in enumerate(said)}
    scores = score_captions(references, captions, tokeniser="python")
    bleu = {f"bleu{order}": 100 * value for order, value in enumerate(scores.bleu, 1) if order < 3}
    return {**bleu, "rouge": 100 * scores.rouge_l, "cider": 100 * scores.cider}
