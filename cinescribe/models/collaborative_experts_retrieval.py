"""Collaborative Experts on a test set: all captions against all clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cinescribe.annotations.types import CaptionedClip
from cinescribe.encoders import text_tokens
from cinescribe.models import collaborative_experts_files
from cinescribe.models.collaborative_experts import ClipVectors, TextVectors
from cinescribe.models.collaborative_experts_clips import ClipExperts, source

_BATCH, _ROWS = 64, 1024  # clips encoded, and texts compared, at once


class Scorer:
    """As `cinescribe.evaluation.writing.Scorer`; it sees clips of videos that one expert at least knows.

    Args:
        folder: that `cinescribe train ce` wrote.
        root: folder or `s3://` prefix with the experts' tables.

    Raises:
        UsageError: a table is not there.
        WeightsError: the model, or its token encoder, can't be had.
    """

    def __init__(self, folder: Path, root: str) -> None:
        saved = collaborative_experts_files.load(folder)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model, self._text = saved.model.to(self._device), text_tokens.load(saved.text, self._device)
        tables = {expert.name: source(root, expert.table) for expert in saved.experts}
        self._experts = ClipExperts(saved.experts, tables)
        self.needs = f"features {', '.join(expert.table for expert in saved.experts)}"

    def sees(self, clip: CaptionedClip) -> bool:
        """Whether an expert knows its video."""
        return clip.video_id in self._experts

    def score(self, clips: Sequence[CaptionedClip], texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, clips] similarities."""
        said, seen, device = [], [], self._device
        with torch.inference_mode():
            for first in range(0, len(texts), _BATCH):
                some = list(texts[first : first + _BATCH])
                tokens = self._text.encode(some, self._model.config.text.tokens)
                said.append(self._model.encode_text(torch.from_numpy(tokens).to(device)))
            for first in range(0, len(clips), _BATCH):
                inputs, available = self._experts.inputs(clips[first : first + _BATCH])
                moved = {name: value.to(device) for name, value in inputs.items()}
                seen.append(self._model.encode_clips(moved, available.to(device)))
            table = self._model.similarity(
                TextVectors(torch.cat([t.vectors for t in said]), torch.cat([t.weights for t in said])),
                ClipVectors(torch.cat([c.vectors for c in seen]), torch.cat([c.available for c in seen])),
                _ROWS,
            )
        return np.asarray(table.cpu().numpy(), np.float32)
