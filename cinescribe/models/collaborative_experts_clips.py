"""What Collaborative Experts is given of clips: from tables, from speech, or from its authors' features."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cinescribe import storage, tables
from cinescribe.annotations import ce_features
from cinescribe.annotations.types import CaptionedClip
from cinescribe.encoders.experts import SPEECH, Expert, of_features, pooled
from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from cinescribe.models.collaborative_experts_inputs import stack_inputs


class Source(Protocol):
    """Where an expert's inputs come from."""

    def __contains__(self, video: str) -> bool:
        """Whether it knows the video."""

    def input(self, clip: CaptionedClip, expert: Expert) -> NDArray[np.float32] | None:
        """[dim] or [tokens, dim] of a clip; None: it has none."""

    def dim(self, clips: Sequence[CaptionedClip]) -> int | None:
        """Numbers of a vector; None: no clip has any."""


class ClipExperts:
    """The experts' inputs of clips.

    Args:
        experts: in the model's order, with their dimensions.
        sources: of the experts, by name.
    """

    def __init__(self, experts: Sequence[Expert], sources: Mapping[str, Source]) -> None:
        self.experts, self._sources = experts, sources

    def __contains__(self, video: str) -> bool:
        return any(video in source for source in self._sources.values())

    def inputs(self, clips: Sequence[CaptionedClip]) -> tuple[dict[str, Tensor], Tensor]:
        """By expert [clips, dim] or [clips, tokens, dim], and [clips, experts] which there are."""
        found = [
            {expert.name: self._sources[expert.name].input(clip, expert) for expert in self.experts}
            for clip in clips
        ]
        return stack_inputs(found, self.experts)


def source(root: str, table: str) -> Source:
    """Of an expert's table under a root; UsageError: there is none."""
    if table == SPEECH:
        return Speech(root)
    released = storage.join(root, f"{tables.FEATURES}{table}.safetensors")
    if not storage.is_s3(released) and storage.exists(released):
        return Released(Path(released))
    return Films(root, table)


class Films:
    """Features of films over time, cut at the clip's start and end."""

    def __init__(self, root: str, table: str) -> None:
        self._store = FeatureStore(root, table)

    def __contains__(self, video: str) -> bool:
        return video in self._store

    def dim(self, clips: Sequence[CaptionedClip]) -> int | None:
        """Numbers of a feature."""
        video = next((clip.video_id for clip in clips if clip.video_id in self._store), None)
        return None if video is None else self._store.dim([video])

    def input(self, clip: CaptionedClip, expert: Expert) -> NDArray[np.float32] | None:
        """The mean over the clip, or its first features."""
        if clip.video_id not in self._store:
            return None
        film = self._store.read(clip.video_id)
        features = tables.Features(film.hz, np.arange(len(film.array)) / film.hz, film.array, "", {})
        return of_features(features, clip.video_id, *_span(clip), expert)


class Speech:
    """The words of the dialogue of the table `speech`."""

    def __init__(self, root: str) -> None:
        from cinescribe.encoders.words import WordVectors

        self._words = WordVectors()
        self._films = set(tables.read_table(root, "speech")["film_id"].to_pylist())
        self._read = lru_cache(256)(lambda video: tables.read_row(root, "speech", video))

    def __contains__(self, video: str) -> bool:
        return video in self._films

    def dim(self, clips: Sequence[CaptionedClip]) -> int | None:
        """Numbers of a word's vector."""
        return self._words.dim if any(clip.video_id in self for clip in clips) else None

    def input(self, clip: CaptionedClip, expert: Expert) -> NDArray[np.float32] | None:
        """[words, 300] of what is said in the clip."""
        from cinescribe.encoders.speech_words import spoken_vectors

        row = self._read(clip.video_id) if clip.video_id in self else None
        if row is None:
            return None
        return pooled(spoken_vectors(tables.utterances_of(row), self._words, *_span(clip)), expert)


class Released:
    """Features that the paper's authors released, an array a video: `cinescribe.annotations.ce_features`."""

    def __init__(self, path: Path) -> None:
        self._path, self._features = path, ce_features.read(path)
        self._index = self._features.index()

    def __contains__(self, video: str) -> bool:
        return video in self._index

    def dim(self, clips: Sequence[CaptionedClip]) -> int | None:
        """Numbers of a vector."""
        return self._features.dim if any(clip.video_id in self for clip in clips) else None

    def input(self, clip: CaptionedClip, expert: Expert) -> NDArray[np.float32] | None:
        """What the video has."""
        if clip.start is not None or clip.end is not None:
            raise UsageError(
                f"{self._path}: has whole videos, and {clip.video_id} is asked for a part of one"
            )
        arrays = self._features.of(self._index[clip.video_id]) if clip.video_id in self else ()
        return pooled(arrays[0], expert) if arrays else None


def _span(clip: CaptionedClip) -> tuple[float, float]:
    """Start and end in seconds; of a whole video, everything."""
    return (0.0 if clip.start is None else clip.start, float("inf") if clip.end is None else clip.end)
