"""Prompting CLIP as a search's two encoders: a vector of a text, and one of each window of a film."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cinescribe.errors import UsageError
from cinescribe.models import prompting_clip_files
from cinescribe.models.prompting_clip import PromptingCLIP, spread
from cinescribe.models.prompting_clip_files import Inputs

_BATCH = 64


class PromptingCLIPSearch:
    """The two encoders; how near a window is to a text is the product of their vectors, the cosine.

    Args:
        model: in evaluation mode.
        inputs: what it was trained on: windows are to be of such features.
    """

    def __init__(self, model: PromptingCLIP, inputs: Inputs) -> None:
        self.model, self.inputs = model.eval(), inputs
        self._device = model.embedding.weight.device

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "PromptingCLIPSearch":
        """From the folder `best` or `last` of a run; WeightsError where it isn't one."""
        return cls(*prompting_clip_files.load(folder, device))

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self.model.text.dim

    def text_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, dim] of length 1."""
        parts = [np.zeros((0, self.dim), np.float32)]
        with torch.no_grad():
            for first in range(0, len(texts), _BATCH):
                parts.append(self.model.encode_texts(texts[first : first + _BATCH]).cpu().numpy())
        return np.concatenate(parts)

    def window_vectors(
        self, features: NDArray[np.floating], windows: Sequence[tuple[float, float]]
    ) -> NDArray[np.float32]:
        """[windows, dim] of length 1; zero where nothing was seen.

        Args:
            features: [T, dim] of a film, `inputs.hz` a second.
            windows: starts and ends, seconds.

        Raises:
            UsageError: the features have another width than those of training.
        """
        if features.shape[1] != self.dim:
            raise UsageError(
                f"features of {features.shape[1]} numbers; the model takes {self.dim}, those of "
                f"{self.inputs.features}"
            )
        parts = [np.zeros((0, self.dim), np.float32)]
        hz, frames = self.inputs.hz, self.model.config.frames
        for begin in range(0, len(windows), _BATCH):
            cuts = []
            for start, end in windows[begin : begin + _BATCH]:
                first = min(int(start * hz), max(0, len(features) - 1))
                cuts.append(spread(features[first : max(first + 1, round(end * hz))], frames))
            clips = torch.from_numpy(np.stack([clip for clip, _ in cuts])).to(self._device)
            gaps = torch.tensor([self.model.gap_number(apart / hz) for _, apart in cuts], device=self._device)
            with torch.no_grad():
                vectors = self.model.encode_clips(clips, gaps).cpu().numpy()
            vectors[[not clip.any() for clip, _ in cuts]] = 0
            parts.append(vectors)
        return np.concatenate(parts)
