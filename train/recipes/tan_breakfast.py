"""TAN finetuned on ordered lists of actions, by soft-DTW (Han et al. 2022; section 7.6 of the thesis).

Nothing is known in training but which actions a video shows in which order. Soft-DTW over the alignment
matrix weighs all ways to cut the video into as many parts; DTW then finds the best one. Scored by frame
accuracy, IoU and IoD (Table 7.2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cinescribe.errors import UsageError
from cinescribe.metrics.alignment import ActionAlignment, score_actions
from cinescribe.models import tan_files
from cinescribe.models.soft_dtw import action_spans, soft_dtw
from cinescribe.models.tan import TANPair
from cinescribe.models.tan_loss import TEMPERATURE
from cinescribe.models.tan_text import TextReader
from train.recipe import Data, NoStep, Optimisation, Outcome, Split, option
from train.recipes import breakfast_data
from train.recipes.breakfast_data import BACKGROUND, FPS, ActionVideo, ActionVideos

Encoders = Literal["joint", "dual", "both"]


@dataclass(frozen=True, kw_only=True)
class BreakfastOptions(Optimisation):
    """Section 7.6 tells the loss and the epochs; the rest is ours or as in the stages before."""

    tan: str = option("", "folder of a TAN to finetune (.../best); needed")
    batch: int = option(16, "videos of a step; ours")
    epochs: float = option(50.0, "section 7.6")
    learning_rate: float = option(1e-4, "as section 7.4.3; 0 with --steps 1 evaluates it zero-shot")
    weight_decay: float = option(1e-5, "as section 7.4.3")
    warmup: int = option(100, "steps of linear warm-up; ours")
    gamma: float = option(1.0, "smoothness of soft-DTW, in units of a cosine over .07; ours")
    encoders: str = option("joint", "whose matrix: joint (the paper's A), dual or both")
    background: str = option("keep", f"{BACKGROUND} among the actions: keep, or drop from lists and scores")
    test_persons: int = option(1, "of Breakfast's splits: 1 holds out P03-15, 2 P16-28, 3 P29-41, 4 P42-54")


class Breakfast(NoStep):
    """`tan-breakfast`."""

    name = "tan-breakfast"
    best = ("frame_accuracy",)
    Options = BreakfastOptions

    def __init__(self, options: BreakfastOptions) -> None:
        if not options.tan:
            raise UsageError("tan-breakfast finetunes a TAN: give --tan RUN/best of tan-stage1 or tan-stage2")
        if options.encoders not in get_args(Encoders):
            raise UsageError(f"--encoders {options.encoders}: {', '.join(get_args(Encoders))}")
        if options.background not in ("keep", "drop"):
            raise UsageError(f"--background {options.background}: keep or drop")
        self.options = options
        self._saved = tan_files.load(Path(options.tan))
        self._reader = TextReader(self._saved.text, self._saved.words)

    def data(self, root: str, split: Split) -> Data:
        """Videos with actions, and the features that the TAN reads."""
        options = self.options
        keep = options.background == "keep"
        return breakfast_data.read(root, split, self._saved.features, options.test_persons, keep)

    def model(self, data: Data) -> TANPair:
        """The TAN; a head, which tells alignable sentences, has nothing to learn here and stays as it is."""
        pair = self._saved.pair
        for name, value in pair.online.named_parameters():
            value.requires_grad_(not name.startswith("binary_head."))
        return pair

    def loss(self, model: nn.Module, batch: Sequence[ActionVideo]) -> Outcome:
        """Soft-DTW over the alignment matrix, a second of video, the mean over the videos.

        An action in a second costs its cosine's distance from 1, over the temperature of the stages before.
        With the share among the video's actions in place of the cosine (a likelihood, as of CTC) training
        made cuts sure and wrong.
        """
        costs = [(1 - self.similarity(model, video).float()) / TEMPERATURE for video in batch]
        rows, columns = (torch.tensor([cost.shape[axis] for cost in costs]) for axis in (0, 1))
        most = int(rows.max()), int(columns.max())
        padded = torch.stack(
            [F.pad(cost, (0, most[1] - cost.shape[1], 0, most[0] - cost.shape[0])) for cost in costs]
        )
        columns = columns.to(padded.device)
        losses = soft_dtw(padded, self.options.gamma, rows, columns, "ordered") / columns
        return Outcome(losses.mean(), len(batch))

    def similarity(self, model: nn.Module, video: ActionVideo) -> Tensor:
        """[actions, seconds] cosines: the whole video at once, its positions stretched from a window's."""
        if not isinstance(model, TANPair):
            raise TypeError(f"not a TAN: {model}")
        vectors = self._reader(model, video.texts)
        window = self._saved.window
        output = model.online(video.video[None].to(vectors.device), vectors[None], stretch_from=window)
        if self.options.encoders == "both":
            return (output.joint[0] + output.dual[0]) / 2
        return output.joint[0] if self.options.encoders == "joint" else output.dual[0]

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Held-out videos cut into their actions."""
        if not isinstance(data, ActionVideos):
            raise TypeError(f"not videos with actions: {data}")
        videos = (data.video(data.ids[item]) for item in items)
        return [alignment(video, self.similarity(model, video)) for video in videos]

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        """Fractions: per video, pooled over all frames and segments, and of cuts into even parts."""
        if not results:
            return {}
        ignored = BACKGROUND if self.options.background == "drop" else None
        found = score_actions(results, ignored)
        even = score_actions([_even(result) for result in results], ignored)
        scores: dict[str, float] = {}
        for prefix, kind in (("", found.per_video), ("pooled_", found.pooled), ("even_", even.per_video)):
            scores |= {
                f"{prefix}frame_accuracy": kind.frame_accuracy,
                f"{prefix}iou": kind.iou,
                f"{prefix}iod": kind.iod,
            }
        return scores

    def save(self, model: nn.Module, folder: Path) -> None:
        """As `cinescribe.models.tan_files` reads it."""
        if not isinstance(model, TANPair):
            raise TypeError(f"not a TAN: {model}")
        tan_files.save(replace(self._saved, pair=model), folder, average=False)


def alignment(video: ActionVideo, similarity: Tensor) -> ActionAlignment:
    """The best cut by DTW beside the true one, in Breakfast's frames.

    Args:
        video: with its true segments.
        similarity: [actions, seconds].
    """
    frames = max(1, round(video.segments[-1].end * FPS))
    true = [(round(segment.start * FPS), round(segment.end * FPS)) for segment in video.segments]
    found = [(min(start * FPS, frames), min(end * FPS, frames)) for start, end in action_spans(similarity)]
    found[-1] = (found[-1][0], frames)  # the features may end a little before the annotation
    return ActionAlignment([segment.label for segment in video.segments], true, found, frames)


def _even(video: ActionAlignment) -> ActionAlignment:
    """The same video cut into equal parts: what is reached without looking at it."""
    count = len(video.actions)
    bounds = [video.frames * k // count for k in range(count + 1)]
    return replace(video, found=list(pairwise(bounds)))
