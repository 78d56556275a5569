"""CT-SAN on a test set: all captions against all clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import UsageError
from cinescribe.models import ct_san_files
from cinescribe.models.clip_frames import ClipFrames
from cinescribe.models.ct_san import joined
from cinescribe.models.ct_san_tasks import Choice, Retrieval, score_table
from cinescribe.models.vocabulary import Vocabulary

_WATCHED = 32  # clips at once


def score_clips(
    model: Choice | Retrieval,
    vocabulary: Vocabulary,
    frames: ClipFrames,
    clips: Sequence[CaptionedClip],
    texts: Sequence[str],
) -> Tensor:
    """Scores [texts, clips] on the CPU; all clips have frames."""
    device, parts = model.watcher.words.weight.device, []
    with torch.no_grad():
        for start in range(0, len(clips), _WATCHED):
            seen, counts = frames.batch(clips[start : start + _WATCHED])
            parts.append(model.watcher.watch(seen.to(device), counts.to(device)))
    ids, counts = vocabulary.batch(texts, model.watcher.config.words)
    return score_table(model, joined(parts), ids.to(device), counts.to(device))


class Scorer:
    """As `cinescribe.evaluation.writing.Scorer`; it sees clips whose videos have all features.

    Args:
        folder: that `cinescribe train` wrote of `ct-san-retrieval` or `ct-san-choice`.
        root: folder or `s3://` prefix with the features.

    Raises:
        UsageError: the model is of another task, or there are no such features.
        WeightsError: the folder holds no such model.
    """

    def __init__(self, folder: Path, root: str) -> None:
        saved = ct_san_files.load(folder)
        if not isinstance(saved.model, Choice | Retrieval):
            raise UsageError(f"{folder}: a model of {saved.task}; give one of retrieval or choice")
        self._model = saved.model.to("cuda" if torch.cuda.is_available() else "cpu")
        self._vocabulary, config = saved.vocabulary, saved.model.watcher.config
        self._frames = ClipFrames(root, ",".join(saved.features), saved.hz, config.frames)
        self._width = config.input_grid**2 * config.input_channels
        self.needs = f"features {', '.join(saved.features)}"

    def sees(self, clip: CaptionedClip) -> bool:
        """Whether its video has all features."""
        return clip.video_id in self._frames

    def score(self, clips: Sequence[CaptionedClip], texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, clips] scores; UsageError: features of another width than the model's."""
        self._frames.must_have_width(clips[0].video_id, self._width)
        return score_clips(self._model, self._vocabulary, self._frames, clips, texts).numpy()
