"""TAN's dual encoder as a search of segments by sentences: YouCook2 zero-shot (TAN, chapter 7).

cinescribe evaluate --model RUN/best --data DIR --annotations youcook2 --split validation --out ALIKE

The model is used as it is: none of the segments was trained on.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from cinescribe.models import tan_files
from cinescribe.models.tan_inference import seen, segment_vector
from cinescribe.models.tan_text import TextReader


class Scorer:
    """As `cinescribe.evaluation.writing.Scorer`; it sees segments of a second or more.

    Args:
        folder: that `cinescribe train` wrote of `tan-stage1` or `tan-stage2`.
        root: folder or `s3://` prefix with the features, one a second.

    Raises:
        UsageError: there are no such features.
        WeightsError: the folder holds no such model.
    """

    def __init__(self, folder: Path, root: str) -> None:
        self._saved = tan_files.load(folder)
        self._network = self._saved.pair.online
        self._store = FeatureStore(root, self._saved.features)
        self.needs = f"features {self._saved.features} of a second or more"

    def sees(self, clip: CaptionedClip) -> bool:
        """Whether it is a second or longer, and begins within its video's features.

        Raises:
            UsageError: these are of another rate or width than the model's.
        """
        if clip.video_id not in self._store:
            return False
        found = self._store.read(clip.video_id)
        width = self._network.config.video_width
        if found.hz != 1.0 or found.array.shape[1] != width:
            raise UsageError(
                f"features {self._saved.features} of {clip.video_id} are {found.array.shape[1]} numbers, "
                f"{found.hz:g} a second, and the model reads {width}, one a second; give the features that "
                "it was trained on"
            )
        start, end = _span(clip, len(found.array))
        return int(end - start) >= 1 and 0 <= start < len(found.array)

    def score(self, clips: Sequence[CaptionedClip], texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, clips] cosines."""
        videos: dict[str, torch.Tensor] = {}
        vectors = []
        for clip in clips:
            if clip.video_id not in videos:  # a video's segments mostly stand together
                videos = {clip.video_id: seen(self._store.read(clip.video_id).array, torch.zeros(1))}
            video = videos[clip.video_id]
            start, end = _span(clip, len(video))
            vectors.append(segment_vector(self._network, video, start, end, trained=self._saved.window))
        read = TextReader(self._saved.text, self._saved.words)
        with torch.no_grad():
            said = self._network.text_features(read(self._saved.pair, texts).float())
            return (F.normalize(said, dim=-1) @ torch.stack(vectors).T).numpy()


def _span(clip: CaptionedClip, seconds: int) -> tuple[float, float]:
    return clip.start or 0.0, float(seconds) if clip.end is None else clip.end
