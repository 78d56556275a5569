"""Prompting CLIP on a test set: all captions against all clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from cinescribe.models.prompting_clip_search import PromptingCLIPSearch


class Scorer:
    """As `cinescribe.evaluation.writing.Scorer`; it sees clips whose videos have its features.

    Args:
        folder: that `cinescribe train` wrote of `prompting-clip` or `prompting-clip-retrieval`.
        root: folder or `s3://` prefix with the features.

    Raises:
        UsageError: there are no such features.
        WeightsError: the folder holds no such model.
    """

    def __init__(self, folder: Path, root: str) -> None:
        self._search = PromptingCLIPSearch.load(folder, "cuda" if torch.cuda.is_available() else "cpu")
        inputs = self._search.inputs
        self._store = FeatureStore(root, inputs.features, inputs.hz)
        self.needs = f"features {inputs.features}"

    def sees(self, clip: CaptionedClip) -> bool:
        """Whether its video has features."""
        return clip.video_id in self._store

    def score(self, clips: Sequence[CaptionedClip], texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, clips] cosines; UsageError: features of another rate or width than the model's."""
        hz = self._search.inputs.hz
        vectors = np.zeros((len(clips), self._search.dim), np.float32)
        by_video: dict[str, list[int]] = {}
        for number, clip in enumerate(clips):
            by_video.setdefault(clip.video_id, []).append(number)
        for video, numbers in by_video.items():
            found = self._store.read(video)
            if found.hz != hz:
                raise UsageError(
                    f"{self.needs} of {video} are {found.hz:g} a second, and the model reads {hz:g}; give "
                    "the features that it was trained on"
                )
            ends = [(clips[number].start or 0.0, clips[number].end) for number in numbers]
            whole = len(found.array) / hz
            windows = [(start, whole if end is None else end) for start, end in ends]
            vectors[numbers] = self._search.window_vectors(found.array, windows)
        return np.asarray(self._search.text_vectors(texts) @ vectors.T, np.float32)
