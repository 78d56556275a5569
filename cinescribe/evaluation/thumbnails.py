"""Small pictures of clips, as data that a page holds itself."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cinescribe.errors import MediaError
from cinescribe.evaluation.run import Video

WIDTH = 192  # pixels


class Thumbnails:
    """Pictures from the middle of clips; each is cut once.

    Args:
        films: local path by film_id.
    """

    def __init__(self, films: Mapping[str, Path]) -> None:
        self._films = films
        self._made: dict[Video, str] = {}

    @property
    def wanted(self) -> bool:
        """Whether there are films to cut any from."""
        return bool(self._films)

    def of(self, video: Video) -> str:
        """A `data:` address of a JPEG picture, "" where the film isn't there or can't be read."""
        if video not in self._made:
            self._made[video] = self._cut(video)
        return self._made[video]

    def _cut(self, video: Video) -> str:
        from PIL import Image

        from cinescribe.media.frames import FrameReader
        from cinescribe.media.probe import probe

        path = self._films.get(video.film)
        if path is None:
            return ""
        try:
            info = probe(path)
            if not info.width:
                return ""
            start = video.start or 0.0
            end = info.duration if video.end is None else min(video.end, info.duration)
            height = max(2, round(WIDTH * info.height / info.width / 2) * 2)
            reader = FrameReader(path, size=(WIDTH, height))
            frames = next(iter(reader.at(np.array([(start + max(start, end)) / 2]))), None)
        except MediaError:
            return ""
        if frames is None or not len(frames.frames):
            return ""
        stream = io.BytesIO()
        Image.fromarray(frames.frames[0]).save(stream, "JPEG", quality=75)
        return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
