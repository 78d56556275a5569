"""What Prompting CLIP learns from: clips with a name of what is done, or with sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cinescribe import storage
from cinescribe.annotations.catalogue import load
from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from cinescribe.models.prompting_clip import FPS, PromptingCLIP, cut
from train.recipe import Pick


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clips put together.

    Attributes:
        frames: [clips, frames, dim] float32.
        apart: [clips] seconds from one frame to the next.
        texts: those of the clips, each once, then others to tell them from.
        own: [clips] number of each clip's own text.
    """

    frames: Tensor
    apart: Sequence[float]
    texts: Sequence[str]
    own: Tensor


class Clips:
    """Clips of a split.

    Args:
        clips: each with at least one caption; in recognition the one caption is the class.
        classes: texts that are told from each other; none in retrieval, where a batch's own are.
        features: of the videos.
        hz: of them a second.
        frames: of a clip.
        gaps: frame gaps at 30 frames a second, of which one is drawn.
        contrast: texts of a batch at most, beside its clips' own.
    """

    def __init__(
        self,
        clips: Sequence[CaptionedClip],
        classes: Sequence[str],
        features: FeatureStore,
        hz: float,
        frames: int,
        gaps: Sequence[int],
        contrast: int,
    ) -> None:
        self.clips, self.classes, self.features, self.hz = clips, tuple(classes), features, hz
        self._frames, self._gaps, self._contrast = frames, gaps, contrast

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, picks: Sequence[Pick]) -> ClipBatch:
        """Of each clip picked a run of frames at a random gap, and one of its captions."""
        views, apart, texts = [], [], []
        for pick in picks:
            random = np.random.default_rng(pick.seed)
            frames, seconds = self.view(pick.index, random)
            views.append(frames)
            apart.append(seconds)
            captions = self.clips[pick.index].captions
            texts.append(captions[random.integers(len(captions))])
        names = sorted(set(texts))
        others = sorted(set(self.classes) - set(names))
        room = min(len(others), max(0, self._contrast - len(names)))
        if room:
            random = np.random.default_rng([pick.seed for pick in picks])
            names += [others[number] for number in random.choice(len(others), room, replace=False)]
        own = torch.tensor([names.index(text) for text in texts])
        return ClipBatch(torch.from_numpy(np.stack(views)), apart, names, own)

    def view(self, index: int, random: np.random.Generator) -> tuple[np.ndarray, float]:
        """Frames [frames, dim] of a clip from a random place at a random gap, and the gap in seconds.

        Features that come less often than the gap are taken one after the other.
        """
        clip = self.clips[index]
        array = self.features.read(clip.video_id).array
        first = 0 if clip.start is None else min(int(clip.start * self.hz), len(array) - 1)
        last = len(array) if clip.end is None else max(first + 1, round(clip.end * self.hz))
        array = array[first:last]
        stride = max(1, round(int(random.choice(self._gaps)) / FPS * self.hz))
        start = int(random.integers(max(1, len(array) - (self._frames - 1) * stride)))
        return cut(array, self._frames, stride, start), stride / self.hz


def read_clips(
    root: str, annotations: str, split: str, store: FeatureStore, features: str
) -> list[CaptionedClip]:
    """The clips of a split that have a caption.

    Args:
        root: local folder of the annotations.
        annotations: name of the data set in `cinescribe.annotations.catalogue`.
        split: train, validation or test.
        store: features, which each video has to have.
        features: their name, for errors.

    Raises:
        UsageError: the split is not there, or a video has no features.
    """
    if storage.is_s3(root):
        raise UsageError(f"{root}: annotations are read from a folder; give it as --annotations-at")
    clips = [clip for clip in load(annotations, root).clips(split) if clip.captions]
    missing = sorted({clip.video_id for clip in clips if clip.video_id not in store})
    if missing:
        raise UsageError(f"{len(missing)} videos of {annotations} have no features {features}: {missing[0]}")
    if not clips and split == "train":
        raise UsageError(f"{root}: {annotations} has no clips to train on")
    return clips


def choose_classes(
    names: Sequence[str], ways: int, unseen: float, episode: int
) -> tuple[list[str], list[str]]:
    """The classes of training and of evaluation.

    Args:
        names: all of them.
        ways: classes of an episode, 0 for all.
        unseen: share of the classes that is kept from training and alone evaluated, 0 for none (open set).
        episode: number of the draw.

    Raises:
        UsageError: there are too few classes.
    """
    order = np.random.default_rng([episode, 1]).permutation(sorted(names)).tolist()
    if ways and unseen:
        raise UsageError("--ways and --unseen are two settings; give one of them")
    if ways:
        if ways > len(order):
            raise UsageError(f"--ways {ways}: there are {len(order)} classes")
        return sorted(order[:ways]), sorted(order[:ways])
    if unseen:
        kept = round(unseen * len(order))
        if not 0 < kept < len(order):
            raise UsageError(f"--unseen {unseen:g} of {len(order)} classes leaves none on a side")
        return sorted(order[kept:]), sorted(order[:kept])
    return sorted(order), sorted(order)


def choose_shots(clips: Sequence[CaptionedClip], shots: int, episode: int) -> list[CaptionedClip]:
    """At most so many clips of each class, drawn by the episode; all with 0 shots."""
    if not shots:
        return list(clips)
    random = np.random.default_rng([episode, 2])
    chosen: dict[str, list[CaptionedClip]] = {}
    for number in random.permutation(len(clips)).tolist():
        mine = chosen.setdefault(clips[number].captions[0], [])
        if len(mine) < shots:
            mine.append(clips[number])
    return [clip for name in sorted(chosen) for clip in chosen[name]]


def views_of(data: Clips, items: Sequence[int], views: int, model: PromptingCLIP) -> tuple[Tensor, Tensor]:
    """[items, views, frames, dim] and the numbers [items, views] of their gaps; the same each time."""
    frames, gaps = [], []
    for item in items:
        for view in range(views):
            array, seconds = data.view(item, np.random.default_rng([item, view]))
            frames.append(array)
            gaps.append(model.gap_number(seconds))
    stacked = torch.from_numpy(np.stack(frames))
    return stacked.view(len(items), views, *stacked.shape[1:]), torch.tensor(gaps).view(len(items), views)
