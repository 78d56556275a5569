"""Clips with texts to train S3D on: `htm_aa.csv`, as HTM-AA and `cinescribe align` have it, and the videos.

The file has the columns vid, timestamp (the second of the clip's middle) and text. Videos lie in one folder,
as VID.mp4 (or another ending), or where `vid_to_path.json` ({vid: path}) in it says.
"""

import csv
import io
import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cinescribe import storage, tables
from cinescribe.errors import MediaError, UsageError
from cinescribe.media.frames import FrameReader
from cinescribe.media.library import MEDIA_EXTENSIONS
from train.recipe import Pick, Split
from train.splits import divide, read_json, told

logger = logging.getLogger(__name__)

PATHS = "vid_to_path.json"


@dataclass(frozen=True, slots=True)
class TextAt:
    """A text and the second at the middle of where it is seen."""

    second: float
    text: str


@dataclass(frozen=True, slots=True)
class View:
    """How clips are cut out of videos.

    Attributes:
        frames: of a clip.
        fps: their rate.
        size: pixels of the square picture; the video's shorter side is scaled to it.
        clips: of a video in a step, with its texts.
        threads: that decode.
    """

    frames: int = 16
    fps: float = 5.0
    size: int = 224
    clips: int = 2
    threads: int = 4

    @property
    def seconds(self) -> float:
        """Of a clip."""
        return self.frames / self.fps


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clips uint8 [clips, frames, size, size, 3] RGB, and the text of each."""

    videos: Tensor
    texts: Sequence[str]


class Clips:
    """Videos of a split with texts at their seconds.

    Args:
        videos: texts by video.
        paths: of the videos.
        view: how clips are cut.
        random: at random places and crops, for training; else at the texts' seconds and in the middle.
    """

    def __init__(
        self, videos: Mapping[str, Sequence[TextAt]], paths: Mapping[str, Path], view: View, random: bool
    ) -> None:
        self.ids = sorted(videos)
        self.videos, self.view, self.random = videos, view, random
        self._paths = paths

    def __len__(self) -> int:
        return len(self.ids)

    def texts(self) -> list[str]:
        """All texts."""
        return [text.text for film in self.ids for text in self.videos[film]]

    def batch(self, picks: Sequence[Pick]) -> ClipBatch:
        """Clips of the videos picked, one video after the other.

        A video that can't be read is left out with a warning.

        Raises:
            MediaError: none can.
        """
        with ThreadPoolExecutor(max(1, self.view.threads)) as pool:
            found = list(pool.map(self._clips, picks))
        clips = [clip for part in found if not isinstance(part, MediaError) for clip in part]
        errors = [part for part in found if isinstance(part, MediaError)]
        if not clips:
            raise errors[0]
        for error in errors:
            logger.warning("left out of a step: %s", error)
        videos = torch.from_numpy(np.stack([video for video, _ in clips]))
        return ClipBatch(videos, [text for _, text in clips])

    def _clips(self, pick: Pick) -> "list[tuple[NDArray[np.uint8], str]] | MediaError":
        """Clips of a video with their texts; the error where it can't be read."""
        film = self.ids[pick.index]
        rng = np.random.default_rng(pick.seed)
        texts = self.videos[film]
        count = self.view.clips
        if self.random:  # the same text twice only where there are fewer
            chosen = rng.choice(len(texts), count, replace=len(texts) < count)
        else:
            chosen = np.unique(np.linspace(0, len(texts) - 1, count).round().astype(int))
        try:
            reader = _reader(self._paths[film], self.view)
            at = [texts[int(number)] for number in chosen]
            return [(self._clip(reader, text.second, rng), text.text) for text in at]
        except MediaError as error:
            return error

    def _clip(self, reader: FrameReader, middle: float, rng: np.random.Generator) -> NDArray[np.uint8]:
        """[frames, size, size, 3]: a clip that holds the second, inside of the video."""
        view = self.view
        start = middle - view.seconds / 2
        if self.random:  # a whole second, up to a clip's length before [code]
            first, last = int(np.floor(middle - view.seconds)), int(np.ceil(middle))
            start = float(rng.integers(first, last + 1))
        start = max(0.0, min(start, reader.info.duration - view.seconds))
        parts = [part.frames for part in reader.at(start + np.arange(view.frames) / view.fps)]
        frames = np.concatenate(parts)
        if len(frames) < view.frames:
            raise MediaError(
                "damaged",
                f"{reader.path}: {len(frames)} of {view.frames} frames from {start:.1f} s on can be decoded",
            )
        height, width = frames.shape[1:3]
        top, left = (height - view.size) // 2, (width - view.size) // 2
        if self.random:
            top, left = (int(rng.integers(extent - view.size + 1)) for extent in (height, width))
        return frames[:, top : top + view.size, left : left + view.size]


def read(
    root: str,
    split: Split,
    view: View,
    *,
    pairs: str,
    videos: str,
    shortest: float,
    longest: float,
    held_out: int,
) -> Clips:
    """The clips of a file under a root whose videos are there.

    Held out are the videos that `splits.json` says, else the first 5% of the sorted ones. Where a table
    `films` tells the durations, shorter and longer videos are left out.

    Args:
        root: folder or `s3://` prefix.
        split: whole videos.
        view: how clips are cut.
        pairs: name of the file.
        videos: folder of the videos; "" for `media` under the root. Local, since clips are cut at random.
        shortest, longest: seconds of a video.
        held_out: clips of a video that are evaluated.

    Raises:
        UsageError: there is no such file, or none of its videos is there.
    """
    place = videos or storage.join(root, "media")
    if storage.is_s3(place):
        raise UsageError(
            f"{place}: clips are cut out of local videos; copy them and name the folder (--videos)"
        )
    texts = _pairs(storage.join(root, pairs))
    paths = _paths(place)
    table = tables.read_table(root, "films")
    known = dict(zip(table["film_id"].to_pylist(), table["duration"].to_pylist(), strict=True))
    usable = {
        film for film in texts.keys() & paths.keys() if film not in known or shortest < known[film] < longest
    }
    chosen = told(root, split)
    if chosen is None:
        chosen = set(divide(usable, 0.05, 1000, split))
    kept = {film: texts[film] for film in usable & chosen}
    if not kept and split == "train":
        there = len(texts.keys() & paths.keys())
        raise UsageError(
            f"{root}: no video to train on; {pairs} names {len(texts)}, of which {there} are in {place}, and "
            f"{len(usable)} of these last {shortest:g} to {longest:g} s; the rest is held out"
        )
    training = split == "train"
    if not training:
        view = replace(view, clips=held_out)
    return Clips(kept, paths, view, random=training)


def _pairs(address: str) -> dict[str, list[TextAt]]:
    try:
        table = csv.DictReader(io.StringIO(storage.read_bytes(address).decode("utf-8-sig")))
    except FileNotFoundError as error:
        raise UsageError(
            f"{address}: not there; `cinescribe align` writes it, or name another (--pairs)"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{address}: not a text in UTF-8 ({error})") from error
    try:
        return _texts(table, address)
    except csv.Error as error:
        raise UsageError(f"{address}, line {table.reader.line_num}: not CSV ({error})") from error


def _texts(table: "csv.DictReader[str]", address: str) -> dict[str, list[TextAt]]:
    if not {"vid", "timestamp", "text"} <= set(table.fieldnames or ()):
        raise UsageError(f"{address}: needs the columns vid, timestamp and text, as HTM-AA has them")
    found: dict[str, list[TextAt]] = {}
    for row in table:
        try:
            second = float(row["timestamp"])
            if not math.isfinite(second):
                raise ValueError("not finite")
            found.setdefault(row["vid"], []).append(TextAt(second, row["text"].strip()))
        except (TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"{address}, line {table.line_num}: timestamp must be a second") from error
    return found


def _paths(place: str) -> dict[str, Path]:
    """The videos of a folder by id; what is not there is left out."""
    listed = read_json(place, PATHS)
    if listed is not None:
        try:
            found = {film: Path(place, path) for film, path in listed.items()}
        except (AttributeError, TypeError) as error:
            where = storage.join(place, PATHS)
            raise UsageError(f"{where}: should be {{video: path}} ({error})") from error
        return {film: path for film, path in found.items() if path.is_file()}
    names = sorted(storage.list_names(place))
    return {
        Path(name).stem: Path(place, name) for name in names if Path(name).suffix.lower() in MEDIA_EXTENSIONS
    }


def _reader(path: Path, view: View) -> FrameReader:
    """Of frames whose shorter side is the picture's; the other keeps the shape."""
    reader = FrameReader(path)
    width, height = reader.info.width, reader.info.height
    scale = view.size / min(width, height)
    size = max(view.size, round(width * scale)), max(view.size, round(height * scale))
    if reader.info.duration < view.seconds:
        raise MediaError(
            "too-short", f"{path}: lasts {reader.info.duration:.1f} s, and a clip {view.seconds:.1f} s"
        )
    reader.size = size  # its frames are still to be read
    return reader
