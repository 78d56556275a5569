"""JSFusion on a test set: all captions against all clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import UsageError
from cinescribe.models import jsfusion_files
from cinescribe.models.clip_frames import ClipFrames
from cinescribe.models.jsfusion import JSFusion
from cinescribe.models.jsfusion_pairs import encode_texts, encode_videos, score_table
from cinescribe.models.vocabulary import Vocabulary


def score_clips(
    model: JSFusion,
    vocabulary: Vocabulary,
    frames: ClipFrames,
    clips: Sequence[CaptionedClip],
    texts: Sequence[str],
) -> Tensor:
    """Scores [texts, clips] on the CPU; all clips have frames."""
    videos = encode_videos(model, [torch.from_numpy(frames.read(clip)) for clip in clips])
    ids, counts = vocabulary.batch(texts, model.config.words)
    return score_table(model, videos, encode_texts(model, ids, counts))


class Scorer:
    """As `cinescribe.evaluation.writing.Scorer`; it sees clips whose videos have all features.

    Args:
        folder: that `cinescribe train` wrote of `jsfusion-retrieval` or `jsfusion-choice`.
        root: folder or `s3://` prefix with the features.

    Raises:
        UsageError: the model fills in blanks, or there are no such features.
        WeightsError: the folder holds no such model.
    """

    def __init__(self, folder: Path, root: str) -> None:
        saved = jsfusion_files.load(folder)
        config = saved.model.config
        if config.outputs != 1:
            raise UsageError(f"{folder}: it fills in blanks; give a model of retrieval or choice")
        self._model = saved.model.to("cuda" if torch.cuda.is_available() else "cpu")
        self._vocabulary = saved.vocabulary
        self._frames = ClipFrames(root, ",".join(saved.features), saved.hz, config.frames)
        self.needs = f"features {', '.join(saved.features)}"

    def sees(self, clip: CaptionedClip) -> bool:
        """Whether its video has all features."""
        return clip.video_id in self._frames

    def score(self, clips: Sequence[CaptionedClip], texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, clips] scores; UsageError: features of another width than the model's."""
        self._frames.must_have_width(clips[0].video_id, self._model.config.video_width)
        return score_clips(self._model, self._vocabulary, self._frames, clips, texts).numpy()
