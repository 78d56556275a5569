"""What Collaborative Experts learns from: captioned clips and what the experts saw and heard in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cinescribe import storage, tables
from cinescribe.annotations import catalogue, ce_features
from cinescribe.annotations.types import CaptionedClip
from cinescribe.encoders.experts import PAPER, SMALL, SPEECH, Expert, of_features, pooled
from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from cinescribe.models.collaborative_experts_inputs import stack_inputs
from train.recipe import Pick

_NAMED = {expert.name: expert.table for expert in PAPER}


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clips put together, with a caption each.

    Attributes:
        texts: a caption of each clip.
        experts: by name [clips, dim], or [clips, tokens, dim] with zeros behind; NaN where missing.
        available: [clips, experts] bool.
    """

    texts: Sequence[str]
    experts: Mapping[str, Tensor]
    available: Tensor


class Source(Protocol):
    """Where an expert's inputs come from."""

    def __contains__(self, video: str) -> bool:
        """Whether it knows the video."""

    def input(self, clip: CaptionedClip, expert: Expert) -> NDArray[np.float32] | None:
        """[dim] or [tokens, dim] of a clip; None: it has none."""

    def dim(self, clips: Sequence[CaptionedClip]) -> int | None:
        """Numbers of a vector; None: no clip has any."""


class Clips:
    """Captioned clips.

    Args:
        clips: the examples.
        experts: in the model's order, with their dimensions.
        sources: of the experts, by name.
    """

    def __init__(
        self, clips: Sequence[CaptionedClip], experts: Sequence[Expert], sources: Mapping[str, Source]
    ) -> None:
        self.clips, self.experts, self._sources = clips, experts, sources

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, picks: Sequence[Pick]) -> ClipBatch:
        """The clips picked, each with one of its captions at random."""
        chosen = [self.clips[pick.index] for pick in picks]
        texts = [
            clip.captions[int(np.random.default_rng(pick.seed).integers(len(clip.captions)))]
            for clip, pick in zip(chosen, picks, strict=True)
        ]
        return ClipBatch(texts, *self.inputs(chosen))

    def inputs(self, clips: Sequence[CaptionedClip]) -> tuple[dict[str, Tensor], Tensor]:
        """The experts' inputs of clips, and which there are; as `ClipBatch` has them."""
        found = [
            {expert.name: self._sources[expert.name].input(clip, expert) for expert in self.experts}
            for clip in clips
        ]
        return stack_inputs(found, self.experts)


def read(
    root: str,
    split: str,
    *,
    annotations: str,
    annotations_at: str,
    experts: str,
    tokens: Mapping[str, int],
) -> Clips:
    """The clips of a split.

    Args:
        root: folder or `s3://` prefix with the tables.
        split: of the data set; one without such a split has no clips in it.
        annotations: data set, see `cinescribe.annotations.catalogue`.
        annotations_at: folder of its files; "" for `root`.
        experts: "paper", "small", or names and tables, comma-separated: `world-clip,hearing=sound`.
        tokens: of those experts that are sequences.

    Raises:
        UsageError: an expert's table is not there, or clips are of videos without any features.
    """
    clips = catalogue.load(annotations, Path(annotations_at or root)).splits.get(split, ())
    if split == "train" and not clips:
        raise UsageError(f"{annotations} in {annotations_at or root}: no clips to train on")
    listed = parse_experts(experts)
    sources = {name: _source(root, table) for name, table in listed.items()}
    without = sorted(
        {clip.video_id for clip in clips if not any(clip.video_id in s for s in sources.values())}
    )
    if without:
        raise UsageError(
            f"{len(without)} videos of {annotations} ({split}) have no features of {', '.join(listed)} under "
            f"{root}, such as {without[0]}; extract them, or take the videos out of the annotations"
        )
    found = []
    for name, table in listed.items():
        dim = sources[name].dim(clips)
        if dim is None and clips:
            raise UsageError(
                f"expert {name}: features/{table} has nothing of the videos of {annotations} ({split}); "
                "leave it out of --experts"
            )
        if table == SPEECH and name not in tokens:
            raise UsageError(f"the expert {name} is a sequence: name it in --clusters and --tokens")
        found.append(Expert(name, table, dim or 0, tokens.get(name, 0)))
    return Clips(clips, found, sources)


def parse_experts(written: str) -> dict[str, str]:
    """Tables by name of the expert, in the order in which they are written.

    Raises:
        UsageError: a name stands twice.
    """
    if written == "paper":
        from cinescribe.models.collaborative_experts import MSR_VTT

        return {expert.name: _NAMED[expert.name] for expert in MSR_VTT}
    if written == "small":
        return {expert.name: expert.table for expert in SMALL}
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in written.split(","))):
        name, _, table = entry.partition("=")
        if name in found:
            raise UsageError(f"--experts {written}: {name} stands twice; write NAME=TABLE for one of them")
        found[name] = table or _NAMED.get(name, name)
    if not found:
        raise UsageError("--experts names none")
    return found


def _source(root: str, table: str) -> Source:
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

        self._root, self._words = root, WordVectors()
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
