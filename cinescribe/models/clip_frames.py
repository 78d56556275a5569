"""Frames of clips as JSFusion and CT-SAN see them: features of one or several encoders side by side."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from cinescribe.models.frame_times import frame_times


class Timed(Protocol):
    """A clip of any task."""

    @property
    def video_id(self) -> str:
        """As the data set names it."""

    @property
    def start(self) -> float | None:
        """Seconds."""

    @property
    def end(self) -> float | None:
        """Seconds."""


AnyClip = TypeVar("AnyClip", bound=Timed)


class ClipFrames:
    """Frames of clips: the features of one or several encoders side by side.

    Args:
        root: folder or `s3://` prefix with `features/`.
        encoders: their names, joined by commas; a frame's features stand in this order.
        hz: frames a second that are looked at, or the first encoder's rate where that is lower.
        most: frames of a clip; of more equally distant ones are taken.
    """

    def __init__(self, root: str, encoders: str, hz: float, most: int) -> None:
        self.names = [name.strip() for name in encoders.split(",") if name.strip()]
        if not self.names:
            raise UsageError("--features: name one or more encoders")
        self.stores = [FeatureStore(root, name) for name in self.names]
        self.hz, self._most = hz, most

    def __contains__(self, video_id: str) -> bool:
        return all(video_id in store for store in self.stores)

    def width(self, video_id: str) -> int:
        """Of a frame."""
        return sum(store.dim([video_id]) for store in self.stores)

    def must_have_width(self, video_id: str, width: int) -> None:
        """UsageError where a frame is of another width than the model's."""
        if self.width(video_id) != width:
            raise UsageError(
                f"features {', '.join(self.names)} of {video_id}: {self.width(video_id)} numbers a frame, "
                f"and the model reads {width}; give the features that it was trained on"
            )

    def read(self, clip: Timed) -> NDArray[np.float32]:
        """[frames, width], at least one; zeros where nothing was seen or heard."""
        found = [store.read(clip.video_id) for store in self.stores]
        rate = min(self.hz, found[0].hz)
        end = len(found[0].array) / found[0].hz
        start = min(clip.start or 0.0, end)
        end = end if clip.end is None else min(clip.end, end)
        times = frame_times(start, end, rate, self._most)
        parts = []
        for one in found:
            rows = np.minimum((times * one.hz + 1e-6).astype(np.int64), len(one.array) - 1)
            parts.append(np.nan_to_num(one.array[rows].astype(np.float32)))
        return np.concatenate(parts, 1)

    def batch(self, clips: Sequence[Timed]) -> tuple[Tensor, Tensor]:
        """[clips, frames, width], zeros behind, and [clips] lengths."""
        videos = [torch.from_numpy(self.read(clip)) for clip in clips]
        lengths = torch.tensor([len(video) for video in videos])
        return torch.nn.utils.rnn.pad_sequence(videos, batch_first=True), lengths

    def having(self, clips: Sequence[AnyClip], what: str) -> list[AnyClip]:
        """The clips whose video has all features.

        Raises:
            UsageError: none has.
        """
        known = [clip for clip in clips if clip.video_id in self]
        if clips and not known:
            raise UsageError(
                f"{what}: {len(clips)} clips, none of whose videos has all of the features "
                f"{', '.join(self.names)}, such as {clips[0].video_id}"
            )
        return known
